//! The claims of one token, and whether they meet what the configuration requires.

use serde_json::{Number, Value};

use crate::config::{ClaimRequirement, ClaimValue};

/// The largest integer that every JSON parser reads alike (RFC 8259 §6).
pub(crate) const MAX_INTEGER: i64 = (1 << 53) - 1;

/// The index of a claim in its plan, and in every set that was read with the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClaimId(pub(super) usize);

/// The claims of one token, by their index in the plan.
#[derive(Clone, PartialEq)]
pub(crate) struct ClaimSet(pub(super) Vec<Slot>);

/// Whether a claim is present, and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Slot {
    #[default]
    Absent,
    /// The session was made before the configuration required this claim.
    NotRetained,
    Present(Value),
}

/// A session does not say whether its token had this claim.
#[derive(Debug, PartialEq)]
pub(crate) struct NotRetained;

impl ClaimSet {
    /// The claim's value, if the token has it.
    pub(crate) fn get(&self, id: ClaimId) -> Option<&Value> {
        match &self.0[id.0] {
            Slot::Present(value) => Some(value),
            Slot::Absent | Slot::NotRetained => None,
        }
    }

    /// Whether the set says if the token has the claim.
    pub(crate) fn is_known(&self, id: ClaimId) -> bool {
        self.known(id).is_ok()
    }

    /// Takes a claim's value out of the set.
    pub(crate) fn take(&mut self, id: ClaimId) -> Option<Value> {
        match std::mem::take(&mut self.0[id.0]) {
            Slot::Present(value) => Some(value),
            Slot::Absent | Slot::NotRetained => None,
        }
    }

    /// Whether a claim meets its requirement.
    pub(crate) fn meets(
        &self,
        id: ClaimId,
        requirement: &ClaimRequirement,
    ) -> Result<bool, NotRetained> {
        let claim = self.known(id)?;
        Ok(match requirement {
            ClaimRequirement::Any(values) => values.iter().any(|value| has_value(claim, value)),
            ClaimRequirement::All(values) => values.iter().all(|value| has_value(claim, value)),
            ClaimRequirement::Keys(keys) => {
                let object = claim.and_then(Value::as_object);
                object.is_some_and(|object| {
                    keys.iter().any(|key| object.get(key).is_some_and(is_set))
                })
            }
        })
    }

    /// Whether a claim contains the value that a path segment names.
    pub(crate) fn names(&self, id: ClaimId, segment: &str) -> Result<bool, NotRetained> {
        let claim = self.known(id)?;
        let is = |value: &Value| match value {
            Value::String(text) => {
                text == segment
                    // A group with its full path, as Keycloak sends it.
                    || text.strip_prefix('/') == Some(segment)
            }
            Value::Number(number) => {
                integer(number).is_some_and(|integer| integer.to_string() == segment)
            }
            _ => false,
        };
        Ok(any_value(claim, is))
    }

    /// The texts that [`names`](Self::names) finds in a claim: its own, or those of its items. A session may have left some
    /// out.
    pub(crate) fn texts(&self, id: ClaimId) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::String(text) => {
                let full_path = text.strip_prefix('/');
                Some(full_path.unwrap_or(text).to_owned())
            }
            Value::Number(number) => integer(number).map(|integer| integer.to_string()),
            _ => None,
        };
        match self.get(id) {
            Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
            Some(claim) => text(claim).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Whether a claim grants a scope: one space-separated string (RFC 8693 §4.2), or an array.
    pub(crate) fn grants(&self, id: ClaimId, scope: &str) -> Result<bool, NotRetained> {
        Ok(match self.known(id)? {
            Some(Value::String(scopes)) => scopes.split(' ').any(|granted| granted == scope),
            Some(Value::Array(scopes)) => {
                scopes.iter().any(|granted| granted.as_str() == Some(scope))
            }
            _ => false,
        })
    }

    fn known(&self, id: ClaimId) -> Result<Option<&Value>, NotRetained> {
        match &self.0[id.0] {
            Slot::Present(value) => Ok(Some(value)),
            Slot::Absent => Ok(None),
            Slot::NotRetained => Err(NotRetained),
        }
    }
}

/// Whether a claim is this value, or an array with it among its items.
fn has_value(claim: Option<&Value>, wanted: &ClaimValue) -> bool {
    any_value(claim, |found| match (wanted, found) {
        (ClaimValue::Bool(wanted), Value::Bool(found)) => wanted == found,
        (ClaimValue::Integer(wanted), Value::Number(found)) => integer(found) == Some(*wanted),
        (ClaimValue::Text(wanted), Value::String(found)) => wanted == found,
        _ => false,
    })
}

fn any_value(claim: Option<&Value>, is: impl Fn(&Value) -> bool) -> bool {
    match claim {
        Some(Value::Array(items)) => items.iter().any(is),
        Some(claim) => is(claim),
        None => false,
    }
}

/// A number that every parser reads as an integer. JavaScript has no numbers but these, and writes `42.0` for its `42`.
fn integer(number: &Number) -> Option<i64> {
    let integer = if let Some(integer) = number.as_i64() {
        integer
    } else {
        let float = number.as_f64()?;
        if float.fract() != 0.0 || float.abs() > 9.1e15 {
            return None;
        }
        // Within that range the cast is lossless.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was just checked"
        )]
        let integer = float as i64;
        integer
    };
    (-MAX_INTEGER..=MAX_INTEGER)
        .contains(&integer)
        .then_some(integer)
}

/// Whether a member of an object counts: Zitadel's roles are members, and a provider may switch one off by its value.
fn is_set(member: &Value) -> bool {
    match member {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The part of a value that a requirement can match: the values of an array, the member names of an object.
#[cfg(any(test, feature = "signing"))]
pub(super) fn reduced(value: &Value) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .filter(|item| matches!(item, Value::String(_) | Value::Bool(_) | Value::Number(_)))
            .cloned()
            .collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| is_set(member))
            .map(|(name, _)| (name.clone(), Value::Bool(true)))
            .collect(),
        other => other.clone(),
    }
}
