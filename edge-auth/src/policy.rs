//! The rules as data, for a runtime that cannot run this crate: a `CloudFront` Function, whose code is generated.
//!
//! A [`Policy`] exists only for a checked configuration. It holds no keys: such a runtime accepts nothing but sessions
//! with HS256, and reads their secrets from a store of its own. Members at their default are left out, because the code
//! of a function is limited to 10,240 bytes.

use serde::Serialize;
use serde_json::{Value, json};

use crate::authorizer::Authorizer;
use crate::config::{Audiences, ClaimRequirement, ClaimValue, Cors, Tenants};
use crate::issuers::{IssuerBlock, IssuerName};
use crate::rules::{CompiledRule, Segment};
use crate::token::{ClaimId, ClaimPlan};

/// The rules, issuer blocks, sign-in address and cross-origin policy of an authorizer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// The rules in order.
    pub rules: Vec<PolicyRule>,
    /// The issuer blocks. Each lists the conditions that a session's original token must meet.
    pub blocks: Vec<PolicyBlock>,
    /// The page that browsers are sent to when they must sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The cross-origin policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<PolicyCors>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyRule {
    /// The segments of its path. The first is the empty text before the leading slash.
    pub path: Vec<PolicySegment>,
    /// Whether any number of segments may follow.
    #[serde(skip_serializing_if = "is_false")]
    pub open: bool,
    /// The methods that it matches, unless these are GET and HEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<&'static str>>,
    /// Whether it needs no viewer.
    #[serde(skip_serializing_if = "is_false")]
    pub anyone: bool,
    /// The indices of the issuer blocks that it accepts; without them every block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<usize>>,
    /// The required claims.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<RequiredClaim>,
    /// The required scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// A segment of a rule's path.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PolicySegment {
    /// Exactly this text.
    Text(String),
    /// These texts in order, with anything between them.
    Glob(Vec<String>),
    /// The viewer's owner. In JSON it is `0`.
    Owner(u8),
    /// A value of this claim.
    Claim {
        /// The name of the claim in sessions.
        claim: String,
    },
}

/// A requirement on a claim: the name of the claim in sessions, `any`, `all` or `keys`, and the values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequiredClaim(pub String, pub &'static str, pub Value);

/// One issuer block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyBlock {
    /// Its name, which a session carries.
    pub name: String,
    /// The `iss` of its tokens: a text, or the texts before and after a tenant.
    pub iss: Value,
    /// The trusted tenants; without them every tenant, if `iss` has a place for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
    /// The accepted audiences; without them any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// The name of the claim that identifies a person, in sessions.
    pub subject: String,
    /// The required claims.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<RequiredClaim>,
}

/// The cross-origin policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyCors {
    /// The allowed origins; `*` alone means all.
    pub origins: Vec<String>,
    /// The methods of preflights.
    pub methods: Vec<String>,
    /// The request headers of preflights, as configured.
    pub headers: Vec<String>,
    /// Whether requests may carry cookies.
    #[serde(skip_serializing_if = "is_false")]
    pub credentials: bool,
    /// How many seconds a browser may cache the answer.
    pub age: u32,
}

impl Authorizer {
    /// The rules as data.
    pub fn policy(&self) -> Policy {
        let plan = self.verifier().plan();
        Policy {
            rules: self
                .rules()
                .iter()
                .map(|rule| PolicyRule::of(rule, plan))
                .collect(),
            blocks: self
                .verifier()
                .blocks()
                .iter()
                .map(|block| PolicyBlock::of(block, plan))
                .collect(),
            login: self.sign_in().map(|page| page.login().to_owned()),
            cors: self.cors().map(|cors| PolicyCors::of(cors.settings())),
        }
    }
}

impl PolicyRule {
    fn of(rule: &CompiledRule, plan: &ClaimPlan) -> Self {
        let pattern = rule.pattern();
        let before_the_slash = PolicySegment::Text(String::new());
        let segments = pattern
            .segments()
            .iter()
            .map(|segment| PolicySegment::of(segment, plan));
        Self {
            path: std::iter::once(before_the_slash).chain(segments).collect(),
            open: pattern.is_open_ended(),
            methods: (rule.methods() != ["GET", "HEAD"]).then(|| rule.methods().to_vec()),
            anyone: rule.is_for_anyone(),
            blocks: rule.blocks().map(<[usize]>::to_vec),
            claims: required(rule.claims(), plan),
            scopes: rule.scopes().to_vec(),
        }
    }
}

impl PolicySegment {
    fn of(segment: &Segment, plan: &ClaimPlan) -> Self {
        match segment {
            Segment::Glob(parts) => match parts.as_slice() {
                [whole] => Self::Text(whole.clone()),
                parts => Self::Glob(parts.to_vec()),
            },
            Segment::Owner => Self::Owner(0),
            Segment::Claim(id) => Self::Claim {
                claim: plan.name(*id).to_owned(),
            },
        }
    }
}

impl PolicyBlock {
    fn of(block: &IssuerBlock, plan: &ClaimPlan) -> Self {
        let (iss, tenants) = match &block.issuer {
            IssuerName::Exactly(issuer) => (Value::from(issuer.as_str()), None),
            IssuerName::OfTenants {
                before,
                after,
                tenants,
            } => {
                let listed = match tenants {
                    Tenants::Any => None,
                    Tenants::OneOf(ids) => Some(ids.clone()),
                };
                (json!([before, after]), listed)
            }
        };
        Self {
            name: block.name.clone(),
            iss,
            tenants,
            audiences: match &block.audiences {
                Audiences::Any => None,
                Audiences::OneOf(audiences) => Some(audiences.clone()),
            },
            subject: plan.name(block.subject).to_owned(),
            claims: required(&block.claims, plan),
        }
    }
}

impl PolicyCors {
    fn of(cors: &Cors) -> Self {
        Self {
            origins: cors.origins.clone(),
            methods: cors.methods.clone(),
            headers: cors.headers.clone(),
            credentials: cors.credentials,
            age: cors.max_age_seconds,
        }
    }
}

fn required(claims: &[(ClaimId, ClaimRequirement)], plan: &ClaimPlan) -> Vec<RequiredClaim> {
    let values = |values: &[ClaimValue]| json!(values);
    claims
        .iter()
        .map(|(id, requirement)| {
            let (kind, wanted) = match requirement {
                ClaimRequirement::Any(any) => ("any", values(any)),
                ClaimRequirement::All(all) => ("all", values(all)),
                ClaimRequirement::Keys(keys) => ("keys", json!(keys)),
            };
            RequiredClaim(plan.name(*id).to_owned(), kind, wanted)
        })
        .collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
