//! Issuer blocks: which block a token is for, and what each requires of its tokens besides the signature.
//!
//! One issuer may have several blocks, such as Cognito's access and ID tokens. At most one of them can accept a given
//! token. Configuration checks ensure this, so the order of blocks does not matter.

use serde_json::Value;

use crate::config::{Algorithm, Audiences, ClaimRequirement, Issuer, TENANT_PLACEHOLDER, Tenants};
use crate::identity::{Owner, OwnerNames, SUBJECT};
use crate::issuers::name::IssuerName;
use crate::keys::jwk_set::KeySet;
use crate::refusal::Refusal;
use crate::token::jws::media_type;
use crate::token::requirements;
use crate::token::{ClaimId, ClaimPath, ClaimPlan, ClaimSet};

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
    pub(crate) issuer: IssuerName,
    pub(crate) audiences: Audiences,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) secrets: KeySet,
    /// The index of the key ring for its address, if its tokens are signed with public keys.
    pub(crate) ring: Option<usize>,
    typ: Option<String>,
    pub(crate) claims: Vec<(ClaimId, ClaimRequirement)>,
    pub(crate) subject: ClaimId,
    owner_as: Option<String>,
    leeway_seconds: i64,
}

impl IssuerBlock {
    /// Compiles a block, and parses its secrets. `fault` receives each fault, with its key within the block.
    pub(crate) fn new(
        issuer: &Issuer,
        ring: Option<usize>,
        plan: &mut ClaimPlan,
        fault: &mut dyn FnMut(&str, String),
    ) -> Self {
        let secrets = read_secrets(issuer, fault);
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
            name: issuer.block_name().to_owned(),
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

/// The secrets of a block, for HS256.
fn read_secrets(issuer: &Issuer, fault: &mut dyn FnMut(&str, String)) -> KeySet {
    let is_shared = issuer.algorithms.contains(&Algorithm::HS256);
    let Some(secrets) = &issuer.secrets else {
        if is_shared {
            let message = "HS256 needs `secrets`, such as [{ file = \"secret\" }]";
            fault("algorithms", message.to_owned());
        }
        return KeySet::default();
    };
    if !is_shared {
        // Without an algorithm a secret has no use.
        if !issuer.algorithms.is_empty() {
            let message = "are for HS256 only: add it to `algorithms`";
            fault("secrets", message.to_owned());
        }
        return KeySet::default();
    }
    KeySet::secrets(&secrets.0, &[Algorithm::HS256]).unwrap_or_else(|found| {
        for message in found {
            fault("secrets", message);
        }
        KeySet::default()
    })
}
