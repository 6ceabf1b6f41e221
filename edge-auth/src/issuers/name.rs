//! The `iss` that a block accepts: one text, or a template with a tenant in it.

use crate::config::{Issuer, TENANT_PLACEHOLDER, Tenants};

/// The `iss` of a block's tokens.
pub(crate) enum IssuerName {
    Exactly(String),
    /// A template of Entra's: the text before and after the tenant, and the trusted tenants.
    OfTenants {
        before: String,
        after: String,
        tenants: Tenants,
    },
}

impl IssuerName {
    /// The issuer of a block.
    pub(super) fn new(issuer: &Issuer) -> Self {
        match (
            issuer.issuer.split_once(TENANT_PLACEHOLDER),
            &issuer.tenants,
        ) {
            (Some((before, after)), Some(tenants)) => Self::OfTenants {
                before: before.to_owned(),
                after: after.to_owned(),
                tenants: tenants.clone(),
            },
            _ => Self::Exactly(issuer.issuer.clone()),
        }
    }

    /// The tenant that an `iss` names in this template.
    pub(super) fn tenant<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let Self::OfTenants { before, after, .. } = self else {
            return None;
        };
        let tenant = iss
            .strip_prefix(before.as_str())?
            .strip_suffix(after.as_str())?;
        is_tenant_id(tenant).then_some(tenant)
    }

    /// Whether two templates could match the same `iss`.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        let (
            Self::OfTenants { before, after, .. },
            Self::OfTenants {
                before: other_before,
                after: other_after,
                ..
            },
        ) = (self, other)
        else {
            return false;
        };
        (before.starts_with(other_before.as_str()) || other_before.starts_with(before.as_str()))
            && (after.ends_with(other_after.as_str()) || other_after.ends_with(after.as_str()))
    }

    /// Whether tokens of this `iss` are meant.
    pub(super) fn is(&self, iss: &str) -> bool {
        match self {
            Self::Exactly(issuer) => issuer == iss,
            Self::OfTenants { .. } => self.tenant(iss).is_some(),
        }
    }
}

/// A tenant's id, in the form of `tid`. No other form is accepted, so every `iss` has one reading.
pub(super) fn is_tenant_id(text: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}
