//! `[delivery]`: how viewers are authorized.
//!
//! [`Config::load`](super::Config::load) calls it. In mode `function` it also checks that the rules fit into a CloudFront
//! Function.

use clap::ValueEnum;
use edge_auth::Authorizer;
use edge_auth::config::{Secret, Session, SessionKey, SessionKeyMaterial};
use jiff::Timestamp;
use serde::Serialize;

use super::document::Section;
use super::notes::Notes;

/// The default lifetime of a session.
pub(super) const DEFAULT_SESSION_LIFETIME: u32 = 15 * 60;
/// The keys of `[delivery]`.
const SECTION: [&str; 1] = ["mode"];

/// The place where a viewer's request is authorized.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryMode {
    /// edge-auth in Lambda@Edge: every rule, and any provider's token.
    #[default]
    Lambda,
    /// A generated CloudFront Function: sessions with HS256 alone.
    Function,
}

impl DeliveryMode {
    /// The mode of a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "lambda" => Some(Self::Lambda),
            "function" => Some(Self::Function),
            _ => None,
        }
    }

    /// The name in `gatepost.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Function => "function",
        }
    }
}

pub(super) fn read(root: &Section<'_>) -> DeliveryMode {
    let Some(section) = root.section("delivery", &SECTION) else {
        return DeliveryMode::default();
    };
    let Some(name) = section.text("mode") else {
        return DeliveryMode::default();
    };
    DeliveryMode::from_name(&name).unwrap_or_else(|| {
        section.fault(
            "mode",
            &format!("{name:?} is not a mode; write \"lambda\" or \"function\""),
        );
        DeliveryMode::default()
    })
}

/// The configuration with a session key in it, where mode `function` has none: its secrets come when the system runs.
/// Only for checks; nothing is signed with it.
pub(crate) fn with_placeholder_key(edge: &edge_auth::Config) -> edge_auth::Config {
    let mut edge = edge.clone();
    if let Some(session) = &mut edge.session
        && session.keys.is_empty()
    {
        session
            .keys
            .push(shared_key("placeholder", None, vec![0; 32]));
    }
    edge
}

/// Sessions without keys, as mode `function` has them.
pub(crate) fn default_session() -> Session {
    Session {
        keys: Vec::new(),
        lifetime_seconds: DEFAULT_SESSION_LIFETIME,
    }
}

/// A key of sessions that is a secret.
pub(crate) fn shared_key(kid: &str, from: Option<Timestamp>, secret: Vec<u8>) -> SessionKey {
    SessionKey {
        kid: kid.to_owned(),
        from,
        material: SessionKeyMaterial::HS256 {
            secret: Secret::from(secret),
        },
    }
}

/// Notes the rule with which the function becomes too large.
pub(super) fn check_size(authorizer: &Authorizer, notes: &Notes<'_>) {
    if let Err(error) = edge_auth_function::compile(authorizer) {
        let key = error
            .rule
            .map_or_else(|| "rules".to_owned(), |rule| format!("rules[{rule}].path"));
        notes.fault(&notes.written(&key), &error.to_string());
    }
}
