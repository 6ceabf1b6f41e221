//! Session keys from one package to the next: every verifier must have a key before anything signs with it.
//!
//! An apply updates the API within seconds and the edge within minutes. A key that signs at once would make sessions that
//! the edge does not know yet, and everybody who has one would be signed out until it does.

use edge_auth::config::{SessionKey, SessionKeyMaterial};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::keys::thumbprint;

/// How long an apply and its roll-out may take.
const ROLL_OUT: SignedDuration = SignedDuration::from_mins(30);

/// A session key, as `manifest.json` describes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct PackedSessionKey {
    kid: String,
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    /// RFC 7638. Of a secret there is none: it could be guessed by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbprint: Option<String>,
}

/// What the manifest says of the keys.
pub(super) fn describe(keys: &[SessionKey]) -> Vec<PackedSessionKey> {
    let described = keys.iter().map(|key| {
        let (alg, thumbprint) = match &key.material {
            SessionKeyMaterial::ES256 { public, .. } => ("ES256", Some(thumbprint(public))),
            _ => ("HS256", None),
        };
        PackedSessionKey {
            kid: key.kid.clone(),
            alg: alg.to_owned(),
            from: key.from,
            thumbprint,
        }
    });
    described.collect()
}

/// Refuses a key that would sign before the edge has it. `previous` are the keys of the package that is replaced, if it is
/// known. The error is a sentence.
pub(super) fn check(
    keys: &[PackedSessionKey],
    previous: Option<&[PackedSessionKey]>,
    now: Timestamp,
) -> Result<(), String> {
    let earliest = now + ROLL_OUT;
    let is_early = |key: &&PackedSessionKey| key.from.is_none_or(|from| from < earliest);
    let is_same = |key: &PackedSessionKey, other: &PackedSessionKey| {
        (&key.kid, &key.alg, &key.thumbprint) == (&other.kid, &other.alg, &other.thumbprint)
    };
    match previous {
        // Nobody has a session yet.
        Some([]) => Ok(()),
        Some(previous) => {
            let is_new =
                |key: &&PackedSessionKey| !previous.iter().any(|known| is_same(key, known));
            match keys.iter().filter(is_new).find(is_early) {
                None => Ok(()),
                Some(key) => Err(format!(
                    "the session key {:?} was not in the package that this one replaces, and would sign before the edge has it: keep the old key, and give the new one from = \"{}\" or later (--rotate-now packs it as it is, and signs people out for minutes)",
                    key.kid,
                    // Rounded up, as somebody would write it.
                    (earliest + SignedDuration::from_mins(1)).strftime("%Y-%m-%dT%H:%M:00Z")
                )),
            }
        }
        None => {
            let n_early = keys.iter().filter(is_early).count();
            if n_early <= 1 {
                return Ok(());
            }
            Err("of several session keys more than one signs by now, and which of them the edge has is not known: name the manifest.json that is deployed with --previous (--rotate-now packs them as they are)".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_only_when_every_verifier_has_it() {
        let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
        let key = |kid: &str, minutes: Option<i64>| PackedSessionKey {
            kid: kid.to_owned(),
            alg: "ES256".to_owned(),
            from: minutes.map(|minutes| now + SignedDuration::from_mins(minutes)),
            thumbprint: Some(kid.to_owned()),
        };
        let changed = PackedSessionKey {
            thumbprint: Some("other".to_owned()),
            ..key("a", None)
        };
        for (case, keys, previous, is_fine) in [
            ("the first package", vec![key("a", None)], None, true),
            (
                "sessions for the first time",
                vec![key("a", None)],
                Some(vec![]),
                true,
            ),
            (
                "no change",
                vec![key("a", None)],
                Some(vec![key("a", None)]),
                true,
            ),
            (
                "a new key in time",
                vec![key("a", None), key("b", Some(30))],
                Some(vec![key("a", None)]),
                true,
            ),
            (
                "a new key too early",
                vec![key("a", None), key("b", Some(29))],
                Some(vec![key("a", None)]),
                false,
            ),
            (
                "a new key alone",
                vec![key("b", None)],
                Some(vec![key("a", None)]),
                false,
            ),
            (
                "another key under the same name",
                vec![changed],
                Some(vec![key("a", None)]),
                false,
            ),
            (
                "its time has come since",
                vec![key("a", None), key("b", Some(-60))],
                Some(vec![key("a", None), key("b", Some(-60))]),
                true,
            ),
            (
                "the old key is taken away",
                vec![key("b", Some(-60))],
                Some(vec![key("a", None), key("b", Some(-60))]),
                true,
            ),
            (
                "several, and nothing known",
                vec![key("a", None), key("b", Some(-60))],
                None,
                false,
            ),
            (
                "several in time, and nothing known",
                vec![key("a", None), key("b", Some(60))],
                None,
                true,
            ),
        ] {
            let found = check(&keys, previous.as_deref(), now);
            assert_eq!(found.is_ok(), is_fine, "{case}: {found:?}");
        }
    }
}
