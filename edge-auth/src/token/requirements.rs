//! Compiles required claims, both of rules and of issuer blocks.

use crate::config::{ClaimRequirement, ClaimValue, RequiredClaims};
use crate::token::claim_path::ClaimPath;
use crate::token::claim_plan::ClaimPlan;
use crate::token::claims::{ClaimId, MAX_INTEGER};

/// Plans the required claims, and reports each requirement that is probably a mistake or that no token could meet.
pub(crate) fn compile(
    required: &RequiredClaims,
    plan: &mut ClaimPlan,
    fault: &mut dyn FnMut(&str, String),
) -> Vec<(ClaimId, ClaimRequirement)> {
    let mut compiled: Vec<(ClaimId, ClaimRequirement)> = Vec::with_capacity(required.len());
    for (name, requirement) in required {
        if let Err(message) = check(requirement) {
            fault(name, message);
        }
        match ClaimPath::parse(name) {
            Ok(path) => {
                let id = plan.retain(&path);
                if compiled.iter().any(|(known, _)| *known == id) {
                    fault(
                        name,
                        "this claim is listed twice, once as a pointer".to_owned(),
                    );
                }
                compiled.push((id, requirement.clone()));
            }
            Err(message) => fault(name, message),
        }
    }
    compiled
}

fn check(requirement: &ClaimRequirement) -> Result<(), String> {
    let (values, keys): (&[ClaimValue], &[String]) = match requirement {
        ClaimRequirement::Any(values) | ClaimRequirement::All(values) => (values, &[]),
        ClaimRequirement::Keys(keys) => (&[], keys),
    };
    if values.is_empty() && keys.is_empty() {
        return Err("name at least one value; no token could meet this".to_owned());
    }
    for value in values {
        match value {
            ClaimValue::Text(text) if text.is_empty() => {
                return Err("an empty string cannot be required".to_owned());
            }
            ClaimValue::Integer(number) if number.unsigned_abs() > MAX_INTEGER.unsigned_abs() => {
                return Err(format!(
                    "{number} is beyond 2^53−1, where JSON parsers disagree; let the issuer send a string"
                ));
            }
            _ => {}
        }
    }
    if keys.iter().any(String::is_empty) {
        return Err("an empty string cannot be a required member".to_owned());
    }
    Ok(())
}

/// Whether a claim with a single value can never meet both requirements.
pub(crate) fn are_disjoint(one: &ClaimRequirement, other: &ClaimRequirement) -> bool {
    match (one, other) {
        (ClaimRequirement::Any(ours), ClaimRequirement::Any(theirs)) => {
            !ours.iter().any(|value| theirs.contains(value))
        }
        _ => false,
    }
}
