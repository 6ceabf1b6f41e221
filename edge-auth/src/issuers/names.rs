//! The names by which rules refer to issuer blocks.

use crate::config::{Issuer, Tenants};

/// The names by which rules refer to blocks.
pub(crate) struct IssuerNames {
    /// The name and issuer of each block.
    blocks: Vec<(String, String)>,
    are_several: bool,
}

impl IssuerNames {
    pub(crate) fn new(issuers: &[Issuer]) -> Self {
        // Each tenant of an issuer is an authority of its own: its administrators assign its claims.
        let mut authorities: Vec<(&str, &str)> = Vec::new();
        let mut has_any_tenant = false;
        for issuer in issuers {
            let name = issuer.owner_as.as_deref().unwrap_or(&issuer.issuer);
            match &issuer.tenants {
                None => authorities.push((name, "")),
                Some(Tenants::Any) => has_any_tenant = true,
                Some(Tenants::OneOf(ids)) => {
                    authorities.extend(ids.iter().map(|id| (name, id.as_str())));
                }
            }
        }
        authorities.sort_unstable();
        authorities.dedup();
        Self {
            blocks: issuers
                .iter()
                .map(|issuer| (issuer.block_name().to_owned(), issuer.issuer.clone()))
                .collect(),
            are_several: authorities.len() > 1 || has_any_tenant,
        }
    }

    /// Whether tokens of several authorities are accepted.
    pub(crate) fn are_several(&self) -> bool {
        self.are_several
    }

    /// The block with this name, or all blocks of this issuer.
    pub(crate) fn blocks_named(&self, name: &str) -> Vec<usize> {
        let blocks = self.blocks.iter().enumerate();
        blocks
            .filter(|(_, (block, issuer))| block == name || issuer == name)
            .map(|(idx, _)| idx)
            .collect()
    }

    pub(crate) fn listed(&self) -> String {
        if self.blocks.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<_> = self
            .blocks
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        names.join(", ")
    }
}
