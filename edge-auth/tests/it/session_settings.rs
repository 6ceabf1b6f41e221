//! Sessions with a secret, for tests of verifiers.

use edge_auth::Config;
use edge_auth::config::{Session, SessionKey, SessionKeyMaterial};

/// A secret of 32 bytes, made for this test.
pub(crate) fn hs256(kid: &str) -> SessionKey {
    SessionKey {
        kid: kid.to_owned(),
        from: None,
        material: SessionKeyMaterial::HS256 {
            secret: format!("{kid:-<32}").into_bytes().into(),
        },
    }
}

pub(crate) fn with_session(mut config: Config, keys: &[SessionKey]) -> Config {
    config.session = Some(Session {
        keys: keys.to_vec(),
        lifetime_seconds: 900,
    });
    config
}
