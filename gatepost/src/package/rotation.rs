//! The rotation of session keys from one package to the next: every verifier must have a key before anything signs with
//! it, and must keep it until its last session has ended.
//!
//! An apply updates the API within seconds and the edge within minutes. A key that signs at once would make sessions that
//! the edge does not know yet, and their owners would be signed out until it does.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use edge_auth::config::{SessionKey, SessionKeyMaterial};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::keys::thumbprint;

/// The time that an apply and its roll-out may take.
const ROLL_OUT: SignedDuration = SignedDuration::from_mins(30);

/// A session key, as `manifest.json` describes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct PackedSessionKey {
    kid: String,
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    /// Distinguishes keys of one name: the RFC 7638 thumbprint of a public key, or an HMAC with the secret.
    fingerprint: String,
    /// When it was first packed; absent for the keys of the first package.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// The manifest's description of the keys. A key that is also in the previous package keeps its `since`.
pub(super) fn describe(
    keys: &[SessionKey],
    previous: Option<&[PackedSessionKey]>,
    now: Timestamp,
) -> Vec<PackedSessionKey> {
    let described = keys.iter().map(|key| {
        let (alg, fingerprint) = match &key.material {
            SessionKeyMaterial::ES256 { public, .. } => ("ES256", thumbprint(public)),
            SessionKeyMaterial::HS256 { secret } => ("HS256", fingerprint(secret.clone())),
            _ => ("", String::new()),
        };
        let mut described = PackedSessionKey {
            kid: key.kid.clone(),
            alg: alg.to_owned(),
            from: key.from,
            fingerprint,
            since: None,
        };
        if let Some(previous) = previous.filter(|previous| !previous.is_empty()) {
            let known = previous.iter().find(|known| known.is_same(&described));
            described.since = known.map_or(Some(now), |known| known.since);
        }
        described
    });
    described.collect()
}

/// The secret cannot be computed from it. A guess of the whole secret can be tested, as with any session.
fn fingerprint(secret: edge_auth::config::Secret) -> String {
    let text = String::from(secret);
    let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
    HEXLOWER.encode(&hmac::sign(&key, b"gatepost session secret").as_ref()[..16])
}

impl PackedSessionKey {
    fn is_same(&self, other: &Self) -> bool {
        (&self.kid, &self.alg, &self.fingerprint) == (&other.kid, &other.alg, &other.fingerprint)
    }

    /// When it begins to sign.
    fn begins(&self) -> Timestamp {
        self.from.unwrap_or(Timestamp::MIN)
    }

    /// When it stops signing: when the next key begins.
    fn ends(&self, keys: &[Self]) -> Timestamp {
        let begins = keys.iter().map(Self::begins);
        let later = begins.filter(|begins| *begins > self.begins());
        later.min().unwrap_or(Timestamp::MAX)
    }
}

/// Refuses keys that would sign people out. `previous` are the replaced package's keys, if they are known. The error is a
/// sentence.
pub(super) fn check(
    keys: &[PackedSessionKey],
    previous: Option<&[PackedSessionKey]>,
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(), String> {
    const OVERRIDE: &str = "(--rotate-now packs it as it is, and signs people out)";
    if !keys.is_empty() && keys.iter().all(|key| key.begins() > now) {
        return Err(format!(
            "no session key signs yet, so nobody could sign in; keep the key that signs now, or let the first key begin at once {OVERRIDE}"
        ));
    }
    let Some(previous) = previous else {
        let n_early = keys
            .iter()
            .filter(|key| key.begins() < now + ROLL_OUT)
            .count();
        if n_early <= 1 {
            return Ok(());
        }
        return Err("the session keys of the deployed edge are unknown, and more than one key signs within 30 minutes; name the manifest.json that is deployed with --previous (--rotate-now packs them as they are)".to_owned());
    };
    for key in keys {
        let known_everywhere = key.since.map(|since| since + ROLL_OUT);
        if known_everywhere.is_some_and(|time| time > now && key.begins() < time) {
            return Err(format!(
                "the session key {:?} would sign before every edge has it; keep the old key, and give the new one from = \"{}\" or later {OVERRIDE}",
                key.kid,
                // Rounded up to a minute.
                (now + ROLL_OUT + SignedDuration::from_mins(1)).strftime("%Y-%m-%dT%H:%M:00Z")
            ));
        }
    }
    for gone in previous {
        let is_kept = keys.iter().any(|key| key.is_same(gone));
        let last_session_ends = gone.ends(previous).min(now).saturating_add(lifetime);
        let has_signed = gone.begins() <= now;
        if !is_kept && has_signed && last_session_ends.is_ok_and(|end| end > now) {
            return Err(format!(
                "sessions that the key {:?} signed are still valid; keep it until {} {OVERRIDE}",
                gone.kid,
                last_until(gone, previous, lifetime)
            ));
        }
    }
    Ok(())
}

/// When the last session of a removed key ends.
fn last_until(
    gone: &PackedSessionKey,
    keys: &[PackedSessionKey],
    lifetime: SignedDuration,
) -> String {
    let ends = gone.ends(keys);
    if ends == Timestamp::MAX {
        return "another has taken its place and the lifetime of a session is over".to_owned();
    }
    let last = ends.saturating_add(lifetime);
    last.map_or_else(|_| "then".to_owned(), |end| end.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: SignedDuration = SignedDuration::from_mins(15);

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn at(minutes: i64) -> Timestamp {
        now() + SignedDuration::from_mins(minutes)
    }

    /// A key that begins to sign, and was first packed, so many minutes from now.
    fn key(kid: &str, from: Option<i64>, since: Option<i64>) -> PackedSessionKey {
        PackedSessionKey {
            kid: kid.to_owned(),
            alg: "ES256".to_owned(),
            from: from.map(at),
            fingerprint: kid.to_owned(),
            since: since.map(at),
        }
    }

    #[test]
    fn a_key_signs_only_when_every_verifier_has_it() {
        for (case, keys, previous, is_fine) in [
            ("the first package", vec![key("a", None, None)], None, true),
            (
                "sessions for the first time",
                vec![key("a", None, None)],
                Some(vec![]),
                true,
            ),
            (
                "no change",
                vec![key("a", None, None)],
                Some(vec![key("a", None, None)]),
                true,
            ),
            (
                "a new key in time",
                vec![key("a", None, None), key("b", Some(30), Some(0))],
                Some(vec![key("a", None, None)]),
                true,
            ),
            (
                "a new key too early",
                vec![key("a", None, None), key("b", Some(29), Some(0))],
                Some(vec![key("a", None, None)]),
                false,
            ),
            (
                "a new key alone",
                vec![key("b", None, Some(0))],
                Some(vec![key("a", None, None)]),
                false,
            ),
            (
                "packed ten minutes ago, and moved forward since",
                vec![key("a", None, None), key("b", Some(0), Some(-10))],
                Some(vec![key("a", None, None), key("b", Some(600), Some(-10))]),
                false,
            ),
            (
                "packed an hour ago, and moved forward since",
                vec![key("a", None, None), key("b", Some(0), Some(-60))],
                Some(vec![key("a", None, None), key("b", Some(600), Some(-60))]),
                true,
            ),
            (
                "the old key is taken away when its last session has ended",
                vec![key("b", Some(-15), Some(-60))],
                Some(vec![key("a", None, None), key("b", Some(-15), Some(-60))]),
                true,
            ),
            (
                "the old key is taken away a minute earlier",
                vec![key("b", Some(-14), Some(-60))],
                Some(vec![key("a", None, None), key("b", Some(-14), Some(-60))]),
                false,
            ),
            (
                "a key is taken away that never signed",
                vec![key("a", None, None)],
                Some(vec![key("a", None, None), key("b", Some(60), Some(-60))]),
                true,
            ),
            (
                "nothing signs",
                vec![key("b", Some(60), Some(0))],
                Some(vec![key("a", None, None)]),
                false,
            ),
            (
                "several, and nothing known",
                vec![key("a", None, None), key("b", Some(-60), None)],
                None,
                false,
            ),
            (
                "several in time, and nothing known",
                vec![key("a", None, None), key("b", Some(60), None)],
                None,
                true,
            ),
        ] {
            let found = check(&keys, previous.as_deref(), LIFETIME, now());
            assert_eq!(found.is_ok(), is_fine, "{case}: {found:?}");
        }
    }

    #[test]
    fn a_key_keeps_the_time_at_which_it_was_first_packed() {
        let secret = |text: &str| SessionKey {
            kid: "s".to_owned(),
            from: None,
            material: SessionKeyMaterial::HS256 {
                secret: text.as_bytes().to_vec().into(),
            },
        };
        let old = "a secret of thirty-two bytes, old";
        let first = describe(&[secret(old)], None, now());
        assert_eq!(first[0].since, None);
        let again = describe(&[secret(old)], Some(&first), at(60));
        assert_eq!(again, first);
        // Another secret under the same name is another key.
        let other = describe(
            &[secret("a secret of thirty-two bytes, new")],
            Some(&first),
            at(60),
        );
        assert_eq!(other[0].since, Some(at(60)));
        assert!(!serde_json::to_string(&first).unwrap().contains("thirty"));
    }
}
