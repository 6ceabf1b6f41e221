//! Checks that a configuration can be deployed: the demands of a deployment beyond those of the local stack.
//!
//! [`make`](super::make) calls it before anything is built. It never changes the configuration.

use anyhow::ensure;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use signing_api::{LinkSigner, SESSION_KEY_VARIABLE};

use super::runtime::{self, EDGE_RUNTIMES, PROVIDED};
use crate::config::{Config, DeliveryMode};
use crate::terminal::output;

/// The limit of a response that a viewer-request function generates, headers and body; beyond it viewers get a 502.
const MAX_RESPONSE_BYTES: usize = 40_960;
/// The longest URL that CloudFront accepts. Encoded into another URL it is up to three times as long.
const MAX_URL_BYTES: usize = 8192;

/// Checks that a viewer can sign in, and can then see something.
pub(super) fn check_who_may(config: &edge_auth::Config) -> anyhow::Result<()> {
    ensure!(
        !config.issuers.is_empty(),
        "the configuration names no issuer, so nobody could sign in; add [[issuers]] (the local stack's own is not packed)"
    );
    for issuer in &config.issuers {
        let Some(published) = &issuer.published else {
            continue;
        };
        ensure!(
            published.url.starts_with("https://"),
            "the keys of {} are at {}, which Lambda cannot reach; name an https:// address in jwks, or only a file with the keys",
            issuer.issuer,
            published.url
        );
    }
    ensure!(
        !config.rules.is_empty(),
        "the configuration has no [[rules]], so every request would be denied; add one, such as path = \"/media/{{owner}}/**\" with allow = \"owner\""
    );
    Ok(())
}

/// Checks that a mode whose viewers have nothing but sessions has keys for them.
pub(super) fn check_session(config: &Config) -> anyhow::Result<()> {
    ensure!(
        config.delivery != DeliveryMode::Signed || config.edge.session.is_some(),
        "[session] is missing: in mode \"signed\" viewers get CloudFront's cookies with their session; add it with keys, such as [{{ kid = \"2026-11\", file = \"session.pem\" }}]"
    );
    Ok(())
}

/// Checks the authorizer's largest own answers: the redirect to sign in, and the answer to a preflight.
pub(super) fn check_responses(config: &edge_auth::Config) -> anyhow::Result<()> {
    let login = config.login.as_ref().map_or(0, String::len) + 3 * MAX_URL_BYTES;
    let preflight = config.cors.as_ref().map_or(0, |cors| {
        let names = cors.methods.iter().chain(&cors.headers);
        names.map(|name| name.len() + 2).sum::<usize>() + MAX_URL_BYTES
    });
    for (key, bytes) in [("deny.login", login), ("cors", preflight)] {
        ensure!(
            bytes < MAX_RESPONSE_BYTES,
            "{key} can make answers of {bytes} bytes, and CloudFront accepts {MAX_RESPONSE_BYTES} from the edge; shorten it"
        );
    }
    Ok(())
}

/// Warns of settings that work and are probably not meant.
pub(super) fn warn(config: &Config, now: Timestamp) {
    let today = Offset::UTC.to_datetime(now).date();
    for warning in runtime::ending(today, &[&EDGE_RUNTIMES, &PROVIDED]) {
        output::warn(warning);
    }
    for warning in too_long_for_a_session(config) {
        output::warn(warning);
    }
    if config.page(LinkSigner::Bucket).sign_in.is_none() {
        output::warn("nobody can sign in at the page; configure [sign_in] or deny.login");
    }
    let session = config.edge.session.iter();
    let mut keys = session.flat_map(|session| &session.keys);
    if keys.any(|key| !key.can_sign()) {
        output::warn(format_args!(
            "a session key has only its public half here; give the API the private one in {SESSION_KEY_VARIABLE} or {SESSION_KEY_VARIABLE}_SECRET_ARN (session_key in Terraform)"
        ));
    }
}

/// Lifetimes that exceed the signer role's session. Role chaining limits it to an hour (AWS, "Methods to assume a
/// role").
fn too_long_for_a_session(config: &Config) -> Vec<&'static str> {
    const MAX: SignedDuration = SignedDuration::from_hours(1);
    let mut warnings = Vec::new();
    if config.form_lifetime > MAX {
        warnings.push(
            "uploads.expires_in is longer than 1h: forms end with the session of the signer role, and Terraform refuses it; shorten it",
        );
    }
    if config.max_link_lifetime > Some(MAX) {
        warnings.push(
            "links.max_expires_in is longer than 1h: without link_keys links end with the session of the signer role, and Terraform refuses it; shorten it, or set link_keys",
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_beyond_a_session_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gatepost.toml");
        for (form, link, warned) in [
            ("5m", None, [].as_slice()),
            ("1h", Some("1h"), &[]),
            ("61m", None, &["uploads.expires_in"]),
            ("5m", Some("24h"), &["links.max_expires_in"]),
            (
                "12h",
                Some("6d"),
                &["uploads.expires_in", "links.max_expires_in"],
            ),
        ] {
            let link = link.map_or(String::new(), |link| format!("max_expires_in = \"{link}\""));
            let text = format!("[uploads]\nexpires_in = \"{form}\"\n[links]\n{link}\n");
            std::fs::write(&file, &text).unwrap();
            let config = Config::load(Some(&file)).unwrap();
            let keys: Vec<_> = too_long_for_a_session(&config)
                .into_iter()
                .map(|warning| warning.split(' ').next().unwrap())
                .collect();
            assert_eq!(keys, warned, "{text}");
        }
    }

    #[test]
    fn an_answer_beyond_cloudfronts_limit_is_refused() {
        let check = |login: String| {
            check_responses(&edge_auth::Config {
                login: Some(login),
                ..edge_auth::Config::default()
            })
        };
        assert!(check("https://login.example.com/?return_to={url}".to_owned()).is_ok());
        assert!(check(format!("https://login.example.com/{}", "x".repeat(20_000))).is_err());
    }
}
