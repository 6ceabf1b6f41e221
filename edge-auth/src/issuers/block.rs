//! Issuer blocks: which block a token is for, and what each requires of its tokens besides the signature.
//!
//! One issuer may have several blocks, such as Cognito's access and ID tokens. At most one of them can accept a given
//! token. Configuration checks ensure this, so the order of blocks does not matter.

use crate::config::{
    Algorithm, Audiences, ClaimRequirement, Fault, Issuer, Secrets, TENANT_PLACEHOLDER, Tenants,
};
use crate::identity::{Owner, OwnerNames, SUBJECT};
use crate::keys::jwk_set::KeySet;
use crate::refusal::Refusal;
use crate::session::{self, SESSION_ISSUER};
use crate::token::claims::{ClaimId, ClaimPath, ClaimPlan, ClaimSet};
use crate::token::requirements;

use serde_json::Value;

/// Claims that users or account administrators can change: owners must not depend on them.
const CHANGEABLE: [&str; 9] = [
    "email",
    "family_name",
    "given_name",
    "name",
    "nickname",
    "phone_number",
    "preferred_username",
    "unique_name",
    "upn",
];

/// Claims about a token, a client or a tenant: an owner derived from one would be shared, or new each time.
const NOBODYS: [&str; 14] = [
    "aud",
    "auth_time",
    "azp",
    "client_id",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "scope",
    "scp",
    "sid",
    "tid",
];

/// The claims that verification reads from every token.
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

/// One issuer block, ready to check tokens.
pub(crate) struct IssuerBlock {
    /// The block's name in rules, logs and sessions.
    pub(crate) name: String,
    issuer: IssuerName,
    pub(crate) audiences: Audiences,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) secrets: KeySet,
    /// The index of the key ring for its address, if its tokens are signed with public keys.
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
    /// A template of Entra's: the text before and after the tenant, and the trusted tenants.
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

    /// The tenant that an `iss` names in this template.
    fn tenant<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let Self::OfTenants { before, after, .. } = self else {
            return None;
        };
        let tenant = iss
            .strip_prefix(before.as_str())?
            .strip_suffix(after.as_str())?;
        is_tenant_id(tenant).then_some(tenant)
    }

    /// Whether two templates could match the same `iss`.
    fn resembles(&self, other: &Self) -> bool {
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

    fn is(&self, iss: &str) -> bool {
        match self {
            Self::Exactly(issuer) => issuer == iss,
            Self::OfTenants { .. } => self.tenant(iss).is_some(),
        }
    }
}

impl IssuerBlock {
    /// Compiles a block without its keys. `fault` receives each fault, with its key within the block.
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
            Ok(path) => {
                let member = path.last_member().to_ascii_lowercase();
                if NOBODYS.contains(&member.as_str()) {
                    fault(
                        "subject",
                        format!(
                            "{} does not identify a person; use a claim such as sub or oid",
                            path.last_member()
                        ),
                    );
                }
                if CHANGEABLE.contains(&member.as_str()) {
                    fault(
                        "subject",
                        format!(
                            "{} can be changed by users, and then somebody else would own their files; use a claim that is never reassigned, such as sub or oid",
                            path.last_member()
                        ),
                    );
                }
                plan.retain(&path)
            }
            Err(message) => {
                fault("subject", message);
                plan.read(SUBJECT)
            }
        };
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

    /// Whether the block is for tokens of this `iss`, regardless of other claims.
    pub(crate) fn is_for(&self, iss: &str) -> bool {
        self.issuer.is(iss)
    }

    /// Whether a key of a tenant-independent document may verify a token of this `iss`. Entra's documents hold keys for
    /// all tenants and keys for one. A key for one, such as that of personal accounts, must not verify another tenant's
    /// tokens ("Storm-0558", 2023). The keys at Entra's v2 address name the v2 issuer but also sign v1 tokens: a
    /// block's `owner_as` says that the two issuers are the same.
    pub(crate) fn key_is_for(&self, key_issuer: &str, iss: &str) -> bool {
        let Some(tenant) = self.issuer.tenant(iss) else {
            let is_for_all = key_issuer.contains(TENANT_PLACEHOLDER);
            return is_for_all || key_issuer == iss || self.owner_as.as_deref() == Some(key_issuer);
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

    /// When a token with this `exp` expires, leeway included.
    pub(crate) fn accepted_until(&self, exp: i64) -> i64 {
        exp.saturating_add(self.leeway_seconds)
    }

    /// Checks the claims of a token, or those that a session retained, against the block: tenant, audience, required
    /// claims.
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

    /// How many of the block's conditions a token fails; zero if the token is for this block.
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

    /// The value of the claim that identifies a person; an empty string counts as absent.
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

    /// Whether a session retained the claim that identifies a person.
    pub(crate) fn knows_subject(&self, claims: &ClaimSet) -> bool {
        claims.is_known(self.subject)
    }

    /// The owner for a subject of this issuer.
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

/// A tenant's id, in the form of `tid`. No other form is accepted, so every `iss` has one reading.
fn is_tenant_id(text: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// The audiences: one string or an array of strings (RFC 7519 §4.1.3); empty if the claim is absent.
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

/// RFC 7515 §4.1.9: a media type whose `application/` may be omitted.
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/")
        .map_or(typ.clone(), str::to_owned)
}

/// A block's name.
fn name_of(issuer: &Issuer) -> &str {
    issuer.name.as_deref().unwrap_or(&issuer.issuer)
}

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
                .map(|issuer| (name_of(issuer).to_owned(), issuer.issuer.clone()))
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

/// The faults of each block, alone and together with the others.
pub(crate) fn faults(issuers: &[Issuer]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (idx, issuer) in issuers.iter().enumerate() {
        let mut fault = |name: &str, message: &str| {
            faults.push(Fault::new(format!("issuers[{idx}].{name}"), message));
        };
        check_alone(issuer, &mut fault);
        let (earlier, later) = issuers.split_at(idx);
        let others: Vec<_> = earlier.iter().chain(later.iter().skip(1)).collect();
        check_name(issuer, earlier, &others, &mut fault);
        if let Some(owner_as) = &issuer.owner_as
            && let Some(message) = owner_as_fault(issuer, owner_as, &others)
        {
            fault("owner_as", message);
        }
        if let Some(other) = earlier.iter().position(|other| overlap(other, issuer)) {
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

/// The faults of a block that do not depend on other blocks.
fn check_alone(issuer: &Issuer, fault: &mut dyn FnMut(&str, &str)) {
    if issuer.issuer.is_empty() {
        fault("issuer", "is empty");
    }
    if issuer.issuer.chars().any(char::is_control) {
        fault("issuer", "contains a control character");
    }
    if issuer
        .issuer
        .replace(TENANT_PLACEHOLDER, "")
        .contains(['{', '}'])
    {
        fault(
            "issuer",
            "contains a brace; the only placeholder is {tenantid}",
        );
    }
    if let Some(published) = &issuer.published
        && published.url.contains(['{', '}'])
    {
        fault(
            "jwks.url",
            "contains a brace, but placeholders are not replaced here; name the address for all tenants",
        );
    }
    if issuer.issuer == SESSION_ISSUER {
        fault(
            "issuer",
            "is reserved for sessions; use your identity provider's issuer",
        );
    }
    let n_tenants = issuer.issuer.matches(TENANT_PLACEHOLDER).count();
    match (&issuer.tenants, n_tenants) {
        (None, 0) => {}
        (Some(_), 0) => fault(
            "tenants",
            "applies only to an issuer that contains {tenantid}; remove it",
        ),
        (None, _) => fault(
            "tenants",
            "is missing: list the ids of the tenants that you trust, or write \"any\"",
        ),
        (Some(Tenants::OneOf(ids)), _) if ids.is_empty() || ids.iter().any(String::is_empty) => {
            fault("tenants", "name at least one tenant, or write \"any\"");
        }
        (Some(Tenants::OneOf(ids)), _) if ids.iter().any(|id| id == "any") => {
            fault(
                "tenants",
                "write \"any\" without brackets to accept every tenant",
            );
        }
        (Some(Tenants::OneOf(ids)), _) if !ids.iter().all(|id| is_tenant_id(id)) => fault(
            "tenants",
            "contains a value that is not a tenant id; write ids in lower case, such as 11111111-2222-4333-8444-555555555555",
        ),
        (Some(_), 1) => {}
        (Some(_), _) => fault("issuer", "contains {tenantid} more than once"),
    }
    if let Audiences::OneOf(names) = &issuer.audiences {
        if names.is_empty() {
            fault(
                "audiences",
                "name at least one audience, or write \"any\" to skip the check",
            );
        } else if names.iter().any(String::is_empty) {
            fault("audiences", "contains an empty string");
        } else if names.iter().any(|name| name == "any") {
            fault(
                "audiences",
                "write \"any\" without brackets to skip the check",
            );
        }
    }
    if issuer.algorithms.is_empty() {
        fault("algorithms", "name at least one algorithm");
    }
    match issuer.typ.as_deref() {
        Some("") => fault("typ", "is empty; remove it to accept any"),
        Some(typ) if typ.chars().any(char::is_control) => {
            fault("typ", "contains a control character");
        }
        Some(typ) if media_type(typ) == session::TYP => fault("typ", "is reserved for sessions"),
        _ => {}
    }
}

/// Names identify blocks in rules, logs and sessions.
fn check_name(
    issuer: &Issuer,
    earlier: &[Issuer],
    others: &[&Issuer],
    fault: &mut dyn FnMut(&str, &str),
) {
    let name = name_of(issuer);
    if earlier.iter().any(|other| name_of(other) == name) {
        let key = if issuer.name.is_some() {
            "name"
        } else {
            "issuer"
        };
        fault(
            key,
            "another block has this name; give each block of one issuer its own `name`",
        );
    }
    let Some(name) = &issuer.name else {
        return;
    };
    if name.is_empty() {
        fault("name", "is empty");
    } else if name == "any" {
        fault("name", "\"any\" means every issuer; choose another word");
    } else if name.contains("://") || name.chars().any(char::is_control) {
        fault("name", "is an address; choose a short name");
    }
    // A rule could then mean either.
    if others.iter().any(|other| &other.issuer == name) {
        fault("name", "is the issuer of another block");
    }
}

/// Why two blocks cannot name the same people.
fn owner_as_fault(issuer: &Issuer, owner_as: &str, others: &[&Issuer]) -> Option<&'static str> {
    let Some(other) = others.iter().find(|other| other.issuer == owner_as) else {
        return Some("is not the issuer of another block; name one that publishes the same keys");
    };
    if !publish_the_same_keys(issuer, other) {
        Some("names an issuer with other keys, and either could then sign in as the other's users")
    } else if subject_of(issuer) != subject_of(other) {
        Some("names an issuer whose `subject` is another claim")
    } else if issuer.tenants != other.tenants {
        Some("names an issuer with other `tenants`")
    } else if other.owner_as.is_some() {
        Some("names an issuer that has an `owner_as` itself; name the last one")
    } else {
        None
    }
}

fn subject_of(issuer: &Issuer) -> String {
    canonical_name(issuer.subject.as_deref().unwrap_or(SUBJECT))
}

/// The canonical form of a claim path.
fn canonical_name(path: &str) -> String {
    ClaimPath::parse(path).map_or_else(|_| path.to_owned(), |path| path.name())
}

/// Whether two blocks trust the same keys.
fn publish_the_same_keys(one: &Issuer, other: &Issuer) -> bool {
    let secrets = |issuer: &Issuer| issuer.secrets.as_ref().map(|Secrets(set)| set.clone());
    let is_same_set = match (&one.published, &other.published) {
        (Some(one), Some(other)) => one.url == other.url,
        (None, None) => one.jwks == other.jwks,
        _ => false,
    };
    is_same_set && secrets(one) == secrets(other)
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
            // Whether the two can share an `iss`.
            let meets = |ids: &[String], one: &Issuer, template: &IssuerName, tenants: &Tenants| {
                ids.iter().any(|id| {
                    let iss = one.issuer.replace(TENANT_PLACEHOLDER, id);
                    let tenant = template.tenant(&iss);
                    tenant.is_some_and(|tenant| is_trusted(tenants, tenant))
                })
            };
            match (one_tenants, other_tenants) {
                (Tenants::OneOf(ids), tenants) => meets(ids, one, &theirs, tenants),
                (tenants, Tenants::OneOf(ids)) => meets(ids, other, &ours, tenants),
                (Tenants::Any, Tenants::Any) => ours.resembles(&theirs),
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
    let other_claim = one.claims.iter().any(|(name, ours)| {
        let is_same = |other: &str| canonical_name(other) == canonical_name(name);
        let mut theirs = other.claims.iter().filter(|(name, _)| is_same(name));
        theirs.any(|(_, theirs)| requirements::are_disjoint(ours, theirs))
    });
    same_issuer && !other_type && !other_audience && !other_claim
}
