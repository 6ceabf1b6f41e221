//! `[delivery]`: how viewers are authorized.
//!
//! [`Config::load`](super::Config::load) calls it. It also checks that the rules are such as the mode can check: in mode
//! `function` they must fit into a CloudFront Function, in mode `signed` they must be folders.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use edge_auth::Authorizer;
use edge_auth::config::{Secret, Session, SessionKey, SessionKeyMaterial, TokenSource};
use jiff::Timestamp;
pub(crate) use signing_api::DeliveryMode;

use super::document::Section;
use super::notes::Notes;

/// The default lifetime of a session.
pub(super) const DEFAULT_SESSION_LIFETIME: u32 = 15 * 60;
/// The keys of `[delivery]`.
const SECTION: [&str; 1] = ["mode"];

/// The mode of a name.
pub(crate) fn mode_named(name: &str) -> Option<DeliveryMode> {
    let mut modes = DeliveryMode::ALL.into_iter();
    modes.find(|mode| mode.name() == name)
}

/// Reads a mode of the command line.
pub(crate) fn mode_parser() -> impl TypedValueParser<Value = DeliveryMode> {
    let values =
        DeliveryMode::ALL.map(|mode| PossibleValue::new(mode.name()).help(checked_by(mode)));
    PossibleValuesParser::new(values).map(|name| mode_named(&name).unwrap_or_default())
}

/// Who checks a viewer's request, for the help.
fn checked_by(mode: DeliveryMode) -> &'static str {
    match mode {
        DeliveryMode::Lambda => "edge-auth in Lambda@Edge: every rule, and any provider's token",
        DeliveryMode::Function => "A generated CloudFront Function: sessions with HS256 alone",
        DeliveryMode::Signed => "CloudFront: signed cookies for folders",
        DeliveryMode::Presigned => "S3: presigned URLs, which the distribution forwards",
    }
}

pub(super) fn read(root: &Section<'_>) -> DeliveryMode {
    let Some(section) = root.section("delivery", &SECTION) else {
        return DeliveryMode::default();
    };
    let Some(name) = section.text("mode") else {
        return DeliveryMode::default();
    };
    mode_named(&name).unwrap_or_else(|| {
        section.fault(
            "mode",
            &format!(
                "{name:?} is not a mode; write \"lambda\", \"function\", \"signed\" or \"presigned\""
            ),
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

/// Notes the rules that the mode cannot check.
pub(super) fn check(mode: DeliveryMode, authorizer: &Authorizer, notes: &Notes<'_>) {
    match mode {
        DeliveryMode::Lambda | DeliveryMode::Presigned => {}
        DeliveryMode::Function => check_size(authorizer, notes),
        DeliveryMode::Signed => {
            for fault in authorizer.folder_faults() {
                notes.fault(&notes.written(&fault.key), &fault.message);
            }
        }
    }
}

/// Notes that sessions are not read, in a mode whose viewers have nothing else.
pub(super) fn check_token_sources(mode: DeliveryMode, sources: &[TokenSource], notes: &Notes<'_>) {
    let is_session = |source: &TokenSource| matches!(source, TokenSource::Cookie(name) if name == edge_auth::SESSION_COOKIE);
    if mode != DeliveryMode::Lambda && !sources.iter().any(is_session) {
        let message = format!(
            "in mode {:?} sessions come in a cookie: add \"cookie:{}\"",
            mode.name(),
            edge_auth::SESSION_COOKIE
        );
        notes.fault(&notes.written("token.from"), &message);
    }
}

/// Notes the rule with which the function becomes too large.
fn check_size(authorizer: &Authorizer, notes: &Notes<'_>) {
    if let Err(error) = edge_auth_function::compile(authorizer) {
        let key = error
            .rule
            .map_or_else(|| "rules".to_owned(), |rule| format!("rules[{rule}].path"));
        notes.fault(&notes.written(&key), &error.to_string());
    }
}
