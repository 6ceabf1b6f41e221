//! One rule: compiled from the configuration, then checked against a path and a viewer.

use crate::config::{Access, ClaimRequirement, Rule, RuleIssuers};
use crate::http::path::CanonicalPath;
use crate::identity::Viewer;
use crate::issuers::IssuerNames;
use crate::refusal::Refusal;
use crate::rules::pattern::{Pattern, Segment};
use crate::token::{ClaimId, ClaimPath, ClaimPlan, NotRetained, requirements};

/// The methods that `CloudFront` forwards; a rule for any other could never match.
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];
/// The methods of a rule that lists none.
const READING: [&str; 2] = ["GET", "HEAD"];

/// One rule, ready to be matched.
pub(crate) struct CompiledRule {
    pattern: Pattern,
    access: CompiledAccess,
    methods: Vec<&'static str>,
    claims: Vec<(ClaimId, ClaimRequirement)>,
    /// The issuer blocks whose tokens it accepts; `None` means any.
    blocks: Option<Vec<usize>>,
}

enum CompiledAccess {
    Anyone,
    /// `owner` requires no more than `authenticated`: the check is `{owner}` in the path.
    Authenticated,
    Scopes {
        scopes: Vec<String>,
        /// `scope` and `scp`.
        claims: [ClaimId; 2],
    },
}

impl CompiledRule {
    /// Compiles a rule. Each fault is added to `faults`, with its key within the rule.
    pub(super) fn new(
        rule: &Rule,
        issuers: &IssuerNames,
        plan: &mut ClaimPlan,
        faults: &mut Vec<(String, String)>,
    ) -> Option<Self> {
        let mut fault = |name: &str, message: String| faults.push((name.to_owned(), message));
        let pattern = match Pattern::parse(&rule.path, plan) {
            Ok(pattern) => Some(pattern),
            Err(found) => {
                for message in found {
                    fault("path", message);
                }
                None
            }
        };
        let segments = pattern.as_ref().map_or(&[][..], Pattern::segments);
        let names_owner = segments.contains(&Segment::Owner);
        let names_claim = segments
            .iter()
            .any(|segment| matches!(segment, Segment::Claim(_)));
        let access = match &rule.access {
            Access::Anyone => {
                if names_owner || names_claim {
                    fault(
                        "allow",
                        "\"anyone\" does not read a token, so {owner} and {claim:…} cannot be checked; write * instead"
                            .to_owned(),
                    );
                }
                if !rule.claims.is_empty() {
                    fault("claims", "\"anyone\" does not read a token, so claims cannot be checked; remove them".to_owned());
                }
                if rule.issuers != RuleIssuers::Unnamed {
                    fault("issuers", "\"anyone\" does not read a token, so its issuer cannot be checked; remove this".to_owned());
                }
                CompiledAccess::Anyone
            }
            Access::Authenticated => CompiledAccess::Authenticated,
            Access::Owner => {
                if pattern.is_some() && !names_owner {
                    fault("allow", "\"owner\" needs {owner} in the path".to_owned());
                }
                CompiledAccess::Authenticated
            }
            Access::Scopes(scopes) => {
                if scopes.is_empty() {
                    fault("scopes", "name at least one scope".to_owned());
                }
                let is_odd = |c: char| c.is_whitespace() || c.is_control();
                if scopes.iter().any(|s| s.is_empty() || s.contains(is_odd)) {
                    fault("scopes", "a scope is one word without spaces".to_owned());
                }
                let named = ["scope", "scp"];
                CompiledAccess::Scopes {
                    scopes: scopes.clone(),
                    claims: named.map(|name| plan.retain(&ClaimPath::top_level(name))),
                }
            }
        };
        let claims = requirements::compile(&rule.claims, plan, &mut |claim, message| {
            fault(&format!("claims.{claim}"), message);
        });
        let methods = compile_methods(&rule.methods, &mut fault);
        let is_about_claims =
            names_claim || !rule.claims.is_empty() || matches!(rule.access, Access::Scopes(_));
        let blocks = compile_issuers(&rule.issuers, is_about_claims, issuers, &mut fault);
        Some(Self {
            pattern: pattern?,
            access,
            methods,
            claims,
            blocks,
        })
    }

    /// The index of the rule that makes this one unreachable: together, for each method, an earlier rule matches every
    /// path that this one matches.
    pub(super) fn shadow(&self, earlier: &[(usize, Self)]) -> Option<usize> {
        let mut last = None;
        for method in &self.methods {
            let (idx, _) = earlier.iter().find(|(_, rule)| {
                rule.methods.contains(method) && rule.pattern.covers(&self.pattern)
            })?;
            last = last.max(Some(*idx));
        }
        last
    }

    /// Whether the rule is for this method and path.
    pub(super) fn matches(&self, method: &str, path: &CanonicalPath) -> bool {
        self.methods.contains(&method) && self.pattern.matches(path)
    }

    /// The pattern of its path.
    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The methods that it matches.
    pub(crate) fn methods(&self) -> &[&'static str] {
        &self.methods
    }

    /// The claims that it requires.
    pub(crate) fn claims(&self) -> &[(ClaimId, ClaimRequirement)] {
        &self.claims
    }

    /// The scopes that it requires.
    pub(crate) fn scopes(&self) -> &[String] {
        match &self.access {
            CompiledAccess::Scopes { scopes, .. } => scopes,
            CompiledAccess::Anyone | CompiledAccess::Authenticated => &[],
        }
    }

    /// The issuer blocks whose tokens it accepts; `None` means any.
    pub(crate) fn blocks(&self) -> Option<&[usize]> {
        self.blocks.as_deref()
    }

    /// Whether the rule can be decided without knowing the viewer.
    pub(crate) fn is_for_anyone(&self) -> bool {
        matches!(self.access, CompiledAccess::Anyone)
    }

    /// Checks the viewer against the rule and the path. Refusals name claims in the canonical form of `plan`.
    pub(crate) fn check(
        &self,
        path: &CanonicalPath,
        viewer: &Viewer,
        plan: &ClaimPlan,
    ) -> Result<(), Refusal> {
        if let Some(blocks) = &self.blocks
            && !blocks.contains(&viewer.block)
        {
            return Err(Refusal::IssuerNotAllowed);
        }
        let claim_of = |id: &ClaimId| plan.name(*id).to_owned();
        let stale = |id: &ClaimId| {
            let claim = claim_of(id);
            move |NotRetained| Refusal::StaleSession { claim }
        };
        for (segment, text) in self.pattern.segments().iter().zip(path.segments()) {
            match segment {
                Segment::Glob(_) => {}
                Segment::Owner => match &viewer.owner {
                    Some(owner) if owner.as_str() == text => {}
                    Some(_) => return Err(Refusal::NotOwner),
                    None => return Err(Refusal::NoOwner),
                },
                Segment::Claim(id) => {
                    if !viewer.claims.names(*id, text).map_err(stale(id))? {
                        return Err(Refusal::ClaimMismatch {
                            claim: claim_of(id),
                        });
                    }
                }
            }
        }
        for (id, requirement) in &self.claims {
            if !viewer.claims.meets(*id, requirement).map_err(stale(id))? {
                return Err(Refusal::ClaimRequired {
                    claim: claim_of(id),
                });
            }
        }
        let CompiledAccess::Scopes { scopes, claims } = &self.access else {
            return Ok(());
        };
        for scope in scopes {
            let mut is_granted = false;
            for id in claims {
                is_granted |= viewer.claims.grants(*id, scope).map_err(stale(id))?;
            }
            if !is_granted {
                return Err(Refusal::MissingScope {
                    scope: scope.clone(),
                });
            }
        }
        Ok(())
    }
}

fn compile_methods(named: &[String], fault: &mut dyn FnMut(&str, String)) -> Vec<&'static str> {
    if named.is_empty() {
        return READING.to_vec();
    }
    let mut methods = Vec::with_capacity(named.len());
    for (idx, method) in named.iter().enumerate() {
        match METHODS.into_iter().find(|known| known == method) {
            Some(known) => methods.push(known),
            None => fault(
                &format!("methods[{idx}]"),
                format!(
                    "{method:?} is not a method that CloudFront forwards; those are {}",
                    METHODS.join(", ")
                ),
            ),
        }
    }
    methods
}

/// The issuer blocks whose tokens a rule accepts; `None` means any.
fn compile_issuers(
    named: &RuleIssuers,
    is_about_claims: bool,
    issuers: &IssuerNames,
    fault: &mut dyn FnMut(&str, String),
) -> Option<Vec<usize>> {
    let names = match named {
        RuleIssuers::Any => return None,
        RuleIssuers::Unnamed => {
            if is_about_claims && issuers.are_several() {
                fault(
                    "issuers",
                    format!(
                        "is missing: every issuer could grant what this rule requires; name those that may ({}), or write \"any\"",
                        issuers.listed()
                    ),
                );
            }
            return None;
        }
        RuleIssuers::OneOf(names) => names,
    };
    if names.is_empty() {
        fault(
            "issuers",
            "name at least one issuer, or write \"any\"".to_owned(),
        );
    }
    let mut blocks = Vec::new();
    for (idx, name) in names.iter().enumerate() {
        let key = format!("issuers[{idx}]");
        if name == "any" {
            fault(
                &key,
                "write \"any\" without brackets to accept every issuer".to_owned(),
            );
            continue;
        }
        let found = issuers.blocks_named(name);
        if found.is_empty() {
            let listed = issuers.listed();
            fault(
                &key,
                format!("{name:?} is not configured; there are {listed}"),
            );
        }
        blocks.extend(found);
    }
    Some(blocks)
}
