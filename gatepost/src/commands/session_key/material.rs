//! The name and the secret of a new key: from a file, standard input, or the system's random number generator.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use signing_api::{MIN_SESSION_SECRET_BYTES, SharedKey, SharedSecret};
use zeroize::Zeroizing;

use super::store::Snapshot;
use crate::terminal::output;
use crate::text_file;

/// The longest name, so that the store's keys stay far below CloudFront's limit of 512 bytes.
const MAX_KID_CHARS: usize = 64;

/// The name of a new key: it is in the header of every session.
#[derive(Clone, Debug)]
pub(super) struct Kid(String);

impl Kid {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Kid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if text.is_empty() || text.len() > MAX_KID_CHARS || !text.chars().all(is_fine) {
            return Err(
                "write 1 to 64 letters, digits, dots, hyphens or underscores, such as 2026-11",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

/// Reads the secret in a file, or for `-` from standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<SharedSecret> {
    let (bytes, name) = if file == Path::new("-") {
        output::note("reading the secret from standard input");
        let bytes = text_file::secret_from(&mut std::io::stdin().lock());
        (bytes, "standard input".to_owned())
    } else {
        (text_file::secret_bytes(file), file.display().to_string())
    };
    let bytes = bytes.map_err(|reason| anyhow!("the secret of {name} cannot be used: {reason}"))?;
    let bytes = Zeroizing::new(bytes);
    SharedSecret::from_bytes(&bytes).with_context(|| {
        format!(
            "the secret of {name} has {}, fewer than {MIN_SESSION_SECRET_BYTES}; openssl rand -hex 32 makes one",
            output::count(bytes.len(), "byte")
        )
    })
}

/// 32 random bytes.
pub(super) fn generate() -> anyhow::Result<SharedSecret> {
    let mut bytes = Zeroizing::new([0; MIN_SESSION_SECRET_BYTES]);
    getrandom::fill(&mut *bytes).context("the system random number generator failed")?;
    SharedSecret::from_bytes(&*bytes).context("a random secret is too short")
}

/// The secret of a key: the one that the API has, otherwise the one that an interrupted run left in the store, otherwise
/// the given one, otherwise a random one. A given secret must be the one that is already known.
pub(super) fn choose(
    kid: &Kid,
    known: Option<&SharedKey>,
    store: &Snapshot,
    given: Option<SharedSecret>,
) -> anyhow::Result<SharedSecret> {
    let (found, place) = match (known, store.value(kid.as_str())) {
        (Some(key), _) => (key.secret.clone(), "the API's secret"),
        (None, Some(value)) => {
            let secret = SharedSecret::parse(value.to_owned());
            let secret = secret.map_err(|fault| {
                anyhow!("the store's value of {kid} cannot be used: it{fault}; choose another kid")
            })?;
            (secret, "the store")
        }
        (None, None) => return given.map_or_else(generate, Ok),
    };
    if given.is_some_and(|given| given.as_str() != found.as_str()) {
        return Err(anyhow!(
            "{place} already has another secret of {kid}; choose another kid"
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SharedSecret {
        SharedSecret::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_kid_is_a_short_word() {
        for (text, is_accepted) in [
            ("2026-11", true),
            ("a.B_c", true),
            ("", false),
            ("a b", false),
            ("é", false),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(text.parse::<Kid>().is_ok(), is_accepted, "{text}");
        }
    }

    #[test]
    fn random_secrets_differ() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.as_str(), other.as_str());
    }

    #[test]
    fn a_known_secret_comes_before_a_given_one_and_must_be_equal() {
        let kid: Kid = "b".parse().unwrap();
        let known = SharedKey {
            kid: "b".to_owned(),
            secret: secret(1),
            from: None,
        };
        for (known, stored, given, expected) in [
            (None, None, Some(3), Ok(3)),
            (None, Some(2), None, Ok(2)),
            (None, Some(2), Some(2), Ok(2)),
            (
                None,
                Some(2),
                Some(3),
                Err("the store already has another secret of b"),
            ),
            (Some(&known), Some(2), None, Ok(1)),
            (Some(&known), None, Some(1), Ok(1)),
            (
                Some(&known),
                Some(3),
                Some(3),
                Err("the API's secret already has another secret of b"),
            ),
        ] {
            let store = Snapshot::of(stored.map(|byte| ("b", secret(byte))));
            let chosen = choose(&kid, known, &store, given.map(secret));
            match (chosen, expected) {
                (Ok(chosen), Ok(byte)) => assert_eq!(chosen.as_str(), secret(byte).as_str()),
                (Err(error), Err(said)) => {
                    assert!(error.to_string().starts_with(said), "{error}");
                }
                (chosen, expected) => panic!("{chosen:?}, not {expected:?}"),
            }
        }
        let store = Snapshot::with("b", "c2hvcnQ");
        let error = choose(&kid, None, &store, None).unwrap_err().to_string();
        assert!(error.contains("fewer than 32 bytes"), "{error}");
        assert!(!error.contains("c2hvcnQ"), "{error}");
    }
}
