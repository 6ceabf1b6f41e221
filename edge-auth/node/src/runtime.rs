//! The addon's functions, in safe Rust.

use std::sync::OnceLock;

use edge_auth::{Authorizer, Changes, Config, ConfigFault, Decision, Denied, NeedKeys, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The authorizer of this process: its configuration is in the package and never changes.
static AUTHORIZER: OnceLock<Authorizer> = OnceLock::new();

/// Sets the configuration, once. Answers with the names of the headers that can carry a token, as a JSON array.
pub(crate) fn configure(config: &str) -> Result<String, String> {
    let config: Config = serde_json::from_str(config)
        .map_err(|error| format!("the configuration cannot be read: {error}"))?;
    let authorizer = Authorizer::new(&config).map_err(|faults| {
        format!(
            "the configuration is not valid: {}",
            ConfigFault::listed(&faults)
        )
    })?;
    let token_headers: Vec<_> = authorizer.token_headers().collect();
    let token_headers = json!(token_headers).to_string();
    AUTHORIZER
        .set(authorizer)
        .map_err(|_| "the addon is already configured".to_owned())?;
    // A panic's own message may quote its input, such as a token.
    std::panic::set_hook(Box::new(|panic| {
        let line = json!({
            "level": "error",
            "message": "the addon panicked",
            "location": panic.location().map(ToString::to_string),
        });
        eprintln!("{line}");
    }));
    Ok(token_headers)
}

/// Decides, and returns the outcome in one string:
///
/// - empty: the request is forwarded without an owner;
/// - an owner: the request is forwarded as that owner's;
/// - an owner or nothing, a line feed and a text: the same, and the text replaces its one `Cookie` line. If the text is
///   empty, the line is removed;
/// - JSON with one of `forward` (further changes), `response` (an answer, with `log`), `needKeys`.
///
/// Nearly all requests take one of the first three forms, which need no JSON.
pub(crate) fn decide(
    now: Timestamp,
    request_id: &str,
    request: &Request<'_>,
) -> Result<String, String> {
    let authorizer = authorizer()?;
    let decision = authorizer.decide(now, request);
    let denied = match &decision {
        Decision::Allow(allowed) => {
            return Ok(changes_to_text(&authorizer.changes(request, allowed)));
        }
        Decision::NeedKeys(need) => return Ok(json!({"needKeys": need_to_json(need)}).to_string()),
        Decision::Deny(denied) => Some(denied),
        Decision::Redirect(redirect) => Some(&redirect.denied),
        _ => None,
    };
    let log = denied.map(|denied: &Denied| denied.log_line(request_id).to_string());
    let response = authorizer.response(request, &decision);
    Ok(json!({"response": response, "log": log}).to_string())
}

/// The keys that the first request will need.
pub(crate) fn keys_due(now: Timestamp) -> Result<String, String> {
    let due = authorizer()?.keys_due(now);
    let due: Vec<_> = due.iter().map(need_to_json).collect();
    Ok(json!(due).to_string())
}

/// Takes a fetched set, as the text that was received.
pub(crate) fn accept_keys(now: Timestamp, url: &str, jwks: &str) -> Result<String, String> {
    let authorizer = authorizer()?;
    // A set may begin with a byte order mark, which is not valid JSON (RFC 8259 §8.1).
    let jwks = jwks.strip_prefix('\u{feff}').unwrap_or(jwks);
    let Ok(jwks) = serde_json::from_str::<Value>(jwks) else {
        authorizer.keys_not_fetched(now, url);
        return Err("the answer is not JSON".to_owned());
    };
    authorizer
        .accept_keys(now, url, &jwks)
        .map(|left_out| left_out.join("; "))
        .map_err(|faults| faults.join("; "))
}

/// Records that keys could not be fetched.
pub(crate) fn keys_not_fetched(now: Timestamp, url: &str) -> Result<(), String> {
    authorizer()?.keys_not_fetched(now, url);
    Ok(())
}

fn authorizer() -> Result<&'static Authorizer, String> {
    AUTHORIZER
        .get()
        .ok_or_else(|| "the addon is not configured".to_owned())
}

fn need_to_json(need: &NeedKeys) -> Value {
    json!({"issuer": need.issuer, "url": need.url, "timeoutMs": need.timeout_ms})
}

fn changes_to_text(changes: &Changes) -> String {
    let mut owner = changes
        .owner
        .as_ref()
        .map_or_else(String::new, |owner| owner.as_str().to_owned());
    match (&changes.cookie, &changes.querystring) {
        (None, None) => owner,
        (Some(lines), None) if is_one_plain_line(lines) => {
            owner.push('\n');
            owner.extend(lines[0].as_deref());
            owner
        }
        _ => json!({"forward": {
            "owner": changes.owner,
            "cookie": changes.cookie,
            "querystring": changes.querystring,
        }})
        .to_string(),
    }
}

/// Whether a change of `Cookie` can follow a line feed and be parsed unambiguously.
fn is_one_plain_line(lines: &[Option<String>]) -> bool {
    match lines {
        [None] => true,
        [Some(line)] => !line.is_empty() && !line.contains('\n'),
        _ => false,
    }
}
