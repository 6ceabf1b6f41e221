//! Issuer blocks: which of them a token is for, and what each asks of its tokens besides the signature.
//!
//! Several blocks may be for one issuer, such as Cognito's access and ID tokens. At most one of them can accept a token:
//! what tells them apart is checked when they are configured, so their order means nothing.

use crate::claims::{ClaimId, ClaimPath, ClaimPlan, ClaimSet};
use crate::config::{
    Algorithm, Audiences, ClaimRequirement, Fault, Issuer, Secrets, TENANT_PLACEHOLDER, Tenants,
};
use crate::identity::{Owner, OwnerNames, SUBJECT};
use crate::keys::KeySet;
use crate::refusal::Refusal;
use crate::requirements;
use crate::session::SESSION_ISSUER;

use serde_json::Value;

/// Claims that people, or those who administer their accounts, can change: no owner may depend on them.
const CHANGEABLE: [&str; 4] = ["email", "preferred_username", "unique_name", "upn"];

/// The claims that verification reads of every token.
#[derive(Clone, Copy)]
pub(crate) struct StandardClaims {
    pub(crate) iss: ClaimId,
    pub(crate) aud: ClaimId,
    pub(crate) exp: ClaimId,
    pub(crate) nbf: ClaimId,
    pub(crate) iat: ClaimId,
    pub(crate) tid: ClaimId,
    pub(crate) sub: ClaimId,
}

impl StandardClaims {
    pub(crate) fn plan(plan: &mut ClaimPlan, has_tenants: bool) -> Self {
        let retain = |plan: &mut ClaimPlan, name| plan.retain(&ClaimPath::top_level(name));
        Self {
            iss: retain(plan, "iss"),
            aud: retain(plan, "aud"),
            exp: plan.read("exp"),
            nbf: plan.read("nbf"),
            iat: plan.read("iat"),
            tid: if has_tenants {
                retain(plan, "tid")
            } else {
                plan.read("tid")
            },
            sub: plan.read(SUBJECT),
        }
    }
}

/// One issuer block, ready to be held against tokens.
pub(crate) struct IssuerBlock {
    /// What rules, logs and sessions call it.
    pub(crate) name: String,
    issuer: IssuerName,
    pub(crate) audiences: Audiences,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) secrets: KeySet,
    /// The key ring of its address, if its tokens are signed with public keys.
    pub(crate) ring: Option<usize>,
    typ: Option<String>,
    claims: Vec<(ClaimId, ClaimRequirement)>,
    subject: ClaimId,
    owner_as: Option<String>,
    leeway_seconds: i64,
}

/// The `iss` of a block's tokens.
enum IssuerName {
    Exactly(String),
    /// A template of Entra's: what is before and after the tenant, and whose tokens are accepted.
    OfTenants {
        before: String,
        after: String,
        tenants: Tenants,
    },
}

impl IssuerName {
    fn new(issuer: &Issuer) -> Self {
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

    /// The tenant that an `iss` names by this template.
    fn tenant<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let Self::OfTenants { before, after, .. } = self else {
            return None;
        };
        let tenant = iss
            .strip_prefix(before.as_str())?
            .strip_suffix(after.as_str())?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!tenant.is_empty() && tenant.bytes().all(is_id)).then_some(tenant)
    }

    fn is(&self, iss: &str) -> bool {
        match self {
            Self::Exactly(issuer) => issuer == iss,
            Self::OfTenants { .. } => self.tenant(iss).is_some(),
        }
    }
}

impl IssuerBlock {
    /// Compiles a block without its keys; `fault` is told what is wrong with it, by key within the block.
    pub(crate) fn new(
        issuer: &Issuer,
        ring: Option<usize>,
        secrets: KeySet,
        plan: &mut ClaimPlan,
        fault: &mut dyn FnMut(&str, String),
    ) -> Self {
        let claims = requirements::compile(&issuer.claims, plan, &mut |claim, message| {
            fault(&format!("claims.{claim}"), message);
        });
        let subject = match ClaimPath::parse(issuer.subject.as_deref().unwrap_or(SUBJECT)) {
            Ok(path) => plan.retain(&path),
            Err(message) => {
                fault("subject", message);
                plan.read(SUBJECT)
            }
        };
        if CHANGEABLE.contains(&plan.name(subject)) {
            fault(
                "subject",
                format!(
                    "{} can be changed by people, and then somebody else would own their files; use a claim that is never reassigned, such as sub or oid",
                    plan.name(subject)
                ),
            );
        }
        Self {
            name: name_of(issuer).to_owned(),
            issuer: IssuerName::new(issuer),
            audiences: issuer.audiences.clone(),
            algorithms: issuer.algorithms.clone(),
            secrets,
            ring,
            typ: issuer.typ.clone(),
            claims,
            subject,
            owner_as: issuer.owner_as.clone(),
            leeway_seconds: issuer.leeway_seconds.into(),
        }
    }

    /// Whether the block is for tokens of this `iss`, whatever else they say.
    pub(crate) fn is_for(&self, iss: &str) -> bool {
        self.issuer.is(iss)
    }

    /// Whether a key that names its issuer is for a token of this `iss`. Entra's tenant-independent documents hold keys of
    /// several issuers; in the document of one tenant the member says nothing. The keys of Entra's v2 address name the v2
    /// issuer and sign v1 tokens, too: a block says that the two are one by `owner_as`.
    pub(crate) fn key_is_for(&self, key_issuer: &str, iss: &str) -> bool {
        let Some(tenant) = self.issuer.tenant(iss) else {
            return true;
        };
        let filled = |template: &str| template.replace(TENANT_PLACEHOLDER, tenant);
        let key_issuer = filled(key_issuer);
        key_issuer == iss
            || self
                .owner_as
                .as_deref()
                .is_some_and(|other| filled(other) == key_issuer)
    }

    /// An ID token is not an access token, though the same key signs both (RFC 8725 §3.11).
    pub(crate) fn check_type(&self, typ: Option<&str>) -> Result<(), Refusal> {
        match (&self.typ, typ) {
            (None, _) => Ok(()),
            (Some(wanted), Some(typ)) if media_type(typ) == media_type(wanted) => Ok(()),
            _ => Err(Refusal::UnexpectedType),
        }
    }

    pub(crate) fn check_times(&self, now: i64, exp: i64, nbf: Option<i64>) -> Result<(), Refusal> {
        if now >= self.accepted_until(exp) {
            return Err(Refusal::Expired { exp, now });
        }
        match nbf {
            Some(nbf) if now < nbf.saturating_sub(self.leeway_seconds) => {
                Err(Refusal::NotYetValid { nbf, now })
            }
            _ => Ok(()),
        }
    }

    /// When a token with this `exp` is no longer accepted.
    pub(crate) fn accepted_until(&self, exp: i64) -> i64 {
        exp.saturating_add(self.leeway_seconds)
    }

    /// Holds what a token says, or what a session retained of it, against the block: tenant, audience, required claims.
    pub(crate) fn check_claims(
        &self,
        claims: &ClaimSet,
        standard: &StandardClaims,
        plan: &ClaimPlan,
    ) -> Result<(), Refusal> {
        self.check_issuer(claims, standard)?;
        self.check_audience(claims, standard)?;
        for (id, requirement) in &self.claims {
            let claim = || plan.name(*id).to_owned();
            match claims.meets(*id, requirement) {
                Ok(true) => {}
                Ok(false) => return Err(Refusal::UnexpectedClaim { claim: claim() }),
                Err(_) => return Err(Refusal::StaleSession { claim: claim() }),
            }
        }
        Ok(())
    }

    /// How many of the block's conditions a token does not meet; none, if the token is for this block.
    pub(crate) fn count_misfits(
        &self,
        typ: Option<&str>,
        claims: &ClaimSet,
        standard: &StandardClaims,
    ) -> usize {
        let is_met = |(id, requirement): &&(ClaimId, ClaimRequirement)| {
            claims.meets(*id, requirement) == Ok(true)
        };
        let n_met = self.claims.iter().filter(is_met).count();
        usize::from(self.check_type(typ).is_err())
            + usize::from(self.check_issuer(claims, standard).is_err())
            + usize::from(self.check_audience(claims, standard).is_err())
            + (self.claims.len() - n_met)
    }

    fn check_issuer(&self, claims: &ClaimSet, standard: &StandardClaims) -> Result<(), Refusal> {
        let iss = claims.get(standard.iss).and_then(Value::as_str);
        if !iss.is_some_and(|iss| self.is_for(iss)) {
            return Err(Refusal::UnknownIssuer);
        }
        let IssuerName::OfTenants { tenants, .. } = &self.issuer else {
            return Ok(());
        };
        let claim = || "tid".to_owned();
        if !claims.is_known(standard.tid) {
            return Err(Refusal::StaleSession { claim: claim() });
        }
        let tenant = iss.and_then(|iss| self.issuer.tenant(iss));
        let tid = claims.get(standard.tid).and_then(Value::as_str);
        let is_trusted = match tenants {
            Tenants::Any => true,
            Tenants::OneOf(ids) => ids.iter().any(|id| Some(id.as_str()) == tenant),
        };
        if tid != tenant || !is_trusted {
            return Err(Refusal::UnexpectedClaim { claim: claim() });
        }
        Ok(())
    }

    fn check_audience(&self, claims: &ClaimSet, standard: &StandardClaims) -> Result<(), Refusal> {
        let audiences = audience_claim(claims.get(standard.aud))?;
        let Audiences::OneOf(ours) = &self.audiences else {
            return Ok(());
        };
        if audiences.is_empty() {
            return Err(Refusal::MissingClaim { claim: "aud" });
        }
        if !audiences
            .iter()
            .any(|aud| ours.iter().any(|our| our == aud))
        {
            return Err(Refusal::WrongAudience);
        }
        Ok(())
    }

    /// The value of the claim that identifies a person; an empty text is none.
    pub(crate) fn subject(
        &self,
        claims: &ClaimSet,
        plan: &ClaimPlan,
    ) -> Result<Option<String>, Refusal> {
        match claims.get(self.subject) {
            None => Ok(None),
            Some(Value::String(subject)) if subject.is_empty() => Ok(None),
            Some(Value::String(subject)) => Ok(Some(subject.clone())),
            Some(_) if plan.name(self.subject) == SUBJECT => {
                Err(Refusal::InvalidClaim { claim: SUBJECT })
            }
            Some(_) => Err(Refusal::UnexpectedClaim {
                claim: plan.name(self.subject).to_owned(),
            }),
        }
    }

    /// The owner that a subject of this issuer has.
    pub(crate) fn owner(
        &self,
        names: &OwnerNames,
        iss: &str,
        subject: &str,
        plan: &ClaimPlan,
    ) -> Owner {
        let subject_claim = plan.name(self.subject);
        match (&self.owner_as, self.issuer.tenant(iss)) {
            (None, _) => names.owner(iss, subject_claim, subject),
            (Some(issuer), None) => names.owner(issuer, subject_claim, subject),
            (Some(issuer), Some(tenant)) => {
                let issuer = issuer.replace(TENANT_PLACEHOLDER, tenant);
                names.owner(&issuer, subject_claim, subject)
            }
        }
    }
}

/// The audiences: one text or an array of texts (RFC 7519 §4.1.3); none if the claim is absent.
fn audience_claim(claim: Option<&Value>) -> Result<Vec<&str>, Refusal> {
    const INVALID: Refusal = Refusal::InvalidClaim { claim: "aud" };
    match claim {
        None => Ok(Vec::new()),
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => audiences
            .iter()
            .map(|audience| audience.as_str().ok_or(INVALID))
            .collect(),
        Some(_) => Err(INVALID),
    }
}

/// RFC 7515 §4.1.9: a media type, whose `application/` may be left out.
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/")
        .map_or(typ.clone(), str::to_owned)
}

/// What a block is called.
fn name_of(issuer: &Issuer) -> &str {
    issuer.name.as_deref().unwrap_or(&issuer.issuer)
}

/// The names by which rules can be about blocks.
pub(crate) struct IssuerNames {
    /// Name and issuer of each block.
    blocks: Vec<(String, String)>,
    are_several: bool,
}

impl IssuerNames {
    pub(crate) fn new(issuers: &[Issuer]) -> Self {
        let mut known: Vec<&str> = issuers
            .iter()
            .map(|issuer| issuer.owner_as.as_deref().unwrap_or(&issuer.issuer))
            .collect();
        known.sort_unstable();
        known.dedup();
        let has_tenants = issuers.iter().any(|issuer| match &issuer.tenants {
            None => false,
            Some(Tenants::Any) => true,
            Some(Tenants::OneOf(ids)) => ids.len() > 1,
        });
        Self {
            blocks: issuers
                .iter()
                .map(|issuer| (name_of(issuer).to_owned(), issuer.issuer.clone()))
                .collect(),
            are_several: known.len() > 1 || has_tenants,
        }
    }

    /// Whether tokens of several authorities are accepted: each tenant is one, for its administrators hand out its claims.
    pub(crate) fn are_several(&self) -> bool {
        self.are_several
    }

    /// The block of this name, or all of this issuer.
    pub(crate) fn blocks_named(&self, name: &str) -> Vec<usize> {
        let blocks = self.blocks.iter().enumerate();
        blocks
            .filter(|(_, (block, issuer))| block == name || issuer == name)
            .map(|(idx, _)| idx)
            .collect()
    }

    pub(crate) fn listed(&self) -> String {
        let names: Vec<_> = self
            .blocks
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        names.join(", ")
    }
}

/// What is wrong with the blocks themselves, and with each beside the others.
pub(crate) fn faults(issuers: &[Issuer]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (idx, issuer) in issuers.iter().enumerate() {
        let mut fault = |name: &str, message: &str| {
            faults.push(Fault::new(format!("issuers[{idx}].{name}"), message));
        };
        if issuer.issuer.is_empty() {
            fault("issuer", "is empty");
        }
        if issuer.issuer.chars().any(char::is_control) {
            fault("issuer", "holds a control character");
        }
        if issuer.issuer == SESSION_ISSUER {
            fault(
                "issuer",
                "is reserved for sessions; use your identity provider's issuer",
            );
        }
        if let Some(name) = &issuer.name {
            if name.is_empty() {
                fault("name", "is empty");
            } else if name.contains("://") || name.chars().any(char::is_control) {
                fault("name", "is a word of your own, not an address");
            }
        }
        let (earlier, later) = issuers.split_at(idx);
        if earlier
            .iter()
            .any(|other| name_of(other) == name_of(issuer))
        {
            let key = if issuer.name.is_some() {
                "name"
            } else {
                "issuer"
            };
            fault(
                key,
                "another block has this name; give each block of one issuer a `name` of its own",
            );
        }
        // A name that is another block's issuer would make rules about it ambiguous.
        let others = earlier.iter().chain(later.iter().skip(1));
        if issuer.name.is_some() && others.clone().any(|other| other.issuer == name_of(issuer)) {
            fault("name", "is the issuer of another block");
        }
        if let Some(owner_as) = &issuer.owner_as {
            match others.clone().find(|other| &other.issuer == owner_as) {
                None => fault(
                    "owner_as",
                    "is not the issuer of another block; name one that publishes the same keys",
                ),
                Some(other) if !publish_the_same_keys(issuer, other) => fault(
                    "owner_as",
                    "names an issuer with other keys: it could then speak for the other's people",
                ),
                Some(other) if issuer.subject.as_deref() != other.subject.as_deref() => fault(
                    "owner_as",
                    "names an issuer whose `subject` is another claim",
                ),
                Some(other) if other.tenants != issuer.tenants => {
                    fault("owner_as", "names an issuer with other `tenants`")
                }
                Some(other) if other.owner_as.is_some() => fault(
                    "owner_as",
                    "names an issuer that has an `owner_as` itself; name the last one",
                ),
                Some(_) => {}
            }
        }
        match (
            issuer.issuer.matches(TENANT_PLACEHOLDER).count(),
            &issuer.tenants,
        ) {
            (0, None) => {}
            (0, Some(_)) => fault(
                "tenants",
                "is about an issuer with {tenantid} in it, and this one has none",
            ),
            (1, None) => fault(
                "tenants",
                "is missing: list the ids of the tenants that you trust, or write \"any\"",
            ),
            (1, Some(Tenants::OneOf(ids))) if ids.is_empty() => {
                fault("tenants", "name at least one tenant, or write \"any\"");
            }
            (1, Some(Tenants::OneOf(ids))) if ids.iter().any(String::is_empty) => {
                fault("tenants", "holds an empty text");
            }
            (1, Some(_)) => {}
            _ => fault("issuer", "holds {tenantid} more than once"),
        }
        match &issuer.audiences {
            Audiences::Any => {}
            Audiences::OneOf(names) if names.is_empty() => fault(
                "audiences",
                "name at least one audience, or write \"any\" to skip the check",
            ),
            Audiences::OneOf(names) if names.iter().any(String::is_empty) => {
                fault("audiences", "holds an empty text");
            }
            Audiences::OneOf(_) => {}
        }
        if issuer.algorithms.is_empty() {
            fault("algorithms", "name at least one algorithm");
        }
        if issuer.typ.as_deref() == Some("") {
            fault("typ", "is empty; remove it to accept any");
        }
        let like_it = earlier.iter().position(|other| overlap(other, issuer));
        if let Some(other) = like_it {
            fault(
                "issuer",
                &format!(
                    "issuers[{other}] could accept the same tokens; let the two differ by `typ`, by `audiences` without a common value, or by values of one required claim without a common one"
                ),
            );
        }
    }
    faults
}

/// Whether two blocks trust the same keys.
fn publish_the_same_keys(one: &Issuer, other: &Issuer) -> bool {
    match (&one.published, &other.published) {
        (Some(one), Some(other)) => one.url == other.url,
        (None, None) => {
            let secret = |issuer: &Issuer| issuer.secrets.as_ref().map(|Secrets(set)| set.clone());
            one.jwks == other.jwks && secret(one) == secret(other)
        }
        _ => false,
    }
}

/// Whether both blocks could accept one token.
fn overlap(one: &Issuer, other: &Issuer) -> bool {
    let (ours, theirs) = (IssuerName::new(one), IssuerName::new(other));
    let is_trusted = |tenants: &Tenants, tenant: &str| match tenants {
        Tenants::Any => true,
        Tenants::OneOf(ids) => ids.iter().any(|id| id == tenant),
    };
    let same_issuer = match (&ours, &theirs) {
        (IssuerName::Exactly(one), IssuerName::Exactly(other)) => one == other,
        (IssuerName::Exactly(exact), template @ IssuerName::OfTenants { tenants, .. })
        | (template @ IssuerName::OfTenants { tenants, .. }, IssuerName::Exactly(exact)) => {
            template
                .tenant(exact)
                .is_some_and(|tenant| is_trusted(tenants, tenant))
        }
        (
            IssuerName::OfTenants {
                tenants: one_tenants,
                ..
            },
            IssuerName::OfTenants {
                tenants: other_tenants,
                ..
            },
        ) => {
            one.issuer == other.issuer
                && match (one_tenants, other_tenants) {
                    (Tenants::OneOf(ids), tenants) | (tenants, Tenants::OneOf(ids)) => {
                        ids.iter().any(|id| is_trusted(tenants, id))
                    }
                    (Tenants::Any, Tenants::Any) => true,
                }
        }
    };
    let other_type = matches!(
        (&one.typ, &other.typ),
        (Some(one), Some(other)) if media_type(one) != media_type(other)
    );
    let other_audience = matches!(
        (&one.audiences, &other.audiences),
        (Audiences::OneOf(ours), Audiences::OneOf(theirs))
            if !ours.iter().any(|audience| theirs.contains(audience))
    );
    let other_claim = one.claims.iter().any(|(name, requirement)| {
        let theirs = other.claims.get(name);
        theirs.is_some_and(|theirs| requirements::are_disjoint(requirement, theirs))
    });
    same_issuer && !other_type && !other_audience && !other_claim
}
