//! The faults of issuer blocks, alone and together: no token may fit two blocks.

use crate::config::{Audiences, ConfigFault, Issuer, Secrets, TENANT_PLACEHOLDER, Tenants};
use crate::identity::SUBJECT;
use crate::issuers::name::{IssuerName, is_tenant_id};
use crate::session::{self, SESSION_ISSUER};
use crate::token::jws::media_type;
use crate::token::{ClaimPath, requirements};

/// The faults of each block, alone and together with the others.
pub(crate) fn faults(issuers: &[Issuer]) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    for (idx, issuer) in issuers.iter().enumerate() {
        let mut fault = |name: &str, message: &str| {
            faults.push(ConfigFault::new(format!("issuers[{idx}].{name}"), message));
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
    let name = issuer.block_name();
    if earlier.iter().any(|other| other.block_name() == name) {
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
