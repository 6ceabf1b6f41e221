//! The development issuer of the local stack: its names, where its key is kept, and the configuration that makes
//! `edge-auth` trust it.
//!
//! `gatepost dev`, `token` and `replay` use it. No deployed authorizer trusts it.

use std::path::Path;

use dev_idp::{Issuer, IssuerError};
use edge_auth::config::{Access, Algorithm, Audiences, RuleIssuers};

/// The `iss` of its tokens. The name does not resolve.
pub(crate) const ISSUER: &str = "https://gatepost.localhost";
/// The `aud` of its tokens.
const AUDIENCE: &str = "gatepost";

const KEY_FILE: &str = "issuer-key.p8";

/// An issuer for one run of a command.
pub(crate) fn ephemeral() -> Result<Issuer, IssuerError> {
    Issuer::ephemeral(ISSUER, AUDIENCE)
}

/// The issuer of a data directory that `gatepost dev` has made: its stack accepts the tokens, and no stack would accept
/// those of a new key.
pub(crate) fn existing(data_dir: &Path) -> anyhow::Result<Issuer> {
    let shown = data_dir.display();
    anyhow::ensure!(
        data_dir.join(KEY_FILE).exists(),
        "{shown} is not the data directory of a local stack, so no stack would take the token; start `gatepost dev` here, or name the directory of one with --data-dir"
    );
    Ok(open(data_dir)?)
}

/// The issuer of a data directory; its key is made if it is missing.
pub(super) fn open(data_dir: &Path) -> Result<Issuer, IssuerError> {
    Issuer::open(ISSUER, AUDIENCE, &data_dir.join(KEY_FILE))
}

/// The configuration that makes an authorizer trust it.
fn configuration(issuer: &Issuer) -> edge_auth::config::Issuer {
    edge_auth::config::Issuer {
        issuer: issuer.name().to_owned(),
        audiences: Audiences::OneOf(vec![issuer.audience().to_owned()]),
        algorithms: vec![Algorithm::ES256],
        jwks: Some(issuer.jwks()),
        ..edge_auth::config::Issuer::default()
    }
}

/// Makes a configuration trust it beside the configured issuers, in whose place it signs people in: a rule that is about
/// their tokens also applies to its tokens.
pub(crate) fn join(issuer: &Issuer, config: &mut edge_auth::Config) {
    config.issuers.push(configuration(issuer));
    for rule in &mut config.rules {
        match &mut rule.issuers {
            RuleIssuers::OneOf(names) => names.push(ISSUER.to_owned()),
            RuleIssuers::Unnamed if rule.access != Access::Anyone => {
                rule.issuers = RuleIssuers::Any;
            }
            RuleIssuers::Unnamed | RuleIssuers::Any => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_auth::{Authorizer, Config, Headers, Request};
    use jiff::{SignedDuration, Timestamp};
    use serde_json::Map;

    use super::*;

    #[test]
    fn an_authorizer_that_trusts_it_identifies_the_subject() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = open(folder.path()).unwrap();
        let config = Config {
            issuers: vec![configuration(&issuer)],
            token_sources: vec![edge_auth::config::TokenSource::Authorization],
            ..Config::default()
        };
        let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
        let now = Timestamp::now();
        // An issuer that is opened again has the same key.
        let token = open(folder.path())
            .unwrap()
            .token(now, "alice", SignedDuration::from_mins(1), Map::new())
            .unwrap();
        let headers: Headers = [("authorization", format!("Bearer {token}").as_str())]
            .into_iter()
            .collect();
        let viewer = authorizer
            .authenticate(now, &Request::from(&headers))
            .unwrap();
        assert_eq!(
            (viewer.issuer.as_str(), viewer.subject.as_deref()),
            (ISSUER, Some("alice"))
        );
        let stranger = configuration(&ephemeral().unwrap());
        let config = Config {
            issuers: vec![stranger],
            ..config
        };
        let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert!(
            authorizer
                .authenticate(now, &Request::from(&headers))
                .is_err()
        );
    }
}
