//! Expands templates in event files: tokens that are valid now, and owners.
//!
//! A text in a template file may contain `{{owner sub=alice}}`, `{{token sub=alice scope=media:read}}` or `{{session
//! sub=alice}}`, the session that the API makes of such a token. An issuer of this run signs the tokens. Recorded events are never expanded: a text from a stranger must not become a valid token. `exp`
//! and `nbf` are seconds from now; `kid=…`, `alg=none` and `tamper=…` make tokens that must be refused.

use anyhow::{Context as _, anyhow, bail};
use data_encoding::BASE64URL_NOPAD;
use dev_idp::Issuer;
use edge_auth::{Authorizer, Headers, OwnerNames, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::dev::issuer::ISSUER;

/// Expands templates.
pub(crate) struct Templates<'a> {
    issuer: &'a Issuer,
    owners: OwnerNames,
    /// Makes sessions; `None` if no configuration was given.
    api: Option<Box<Authorizer>>,
    now: Timestamp,
}

impl<'a> Templates<'a> {
    pub(crate) fn new(issuer: &'a Issuer, owners: OwnerNames, now: Timestamp) -> Self {
        Self {
            issuer,
            owners,
            api: None,
            now,
        }
    }

    /// Makes sessions as the API of this configuration does.
    pub(crate) fn with_sessions(mut self, config: &edge_auth::Config) -> Self {
        self.api = Authorizer::new(config).ok().map(Box::new);
        self
    }

    /// Expands every template in every text of a value.
    pub(crate) fn fill(&self, value: &mut Value) -> anyhow::Result<()> {
        match value {
            Value::String(text) => *text = self.fill_text(text)?,
            Value::Array(items) => {
                for item in items {
                    self.fill(item)?;
                }
            }
            Value::Object(members) => {
                for member in members.values_mut() {
                    self.fill(member)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fill_text(&self, text: &str) -> anyhow::Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (template, after) = after
                .split_once("}}")
                .context("a template begins with {{ and has no closing }}")?;
            filled.push_str(&self.expand(template)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn expand(&self, template: &str) -> anyhow::Result<String> {
        let mut words = template.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut parameters = Vec::new();
        for word in words {
            parameters.push(
                word.split_once('=')
                    .with_context(|| format!("{word:?} is not NAME=VALUE"))?,
            );
        }
        match name {
            "owner" => match parameters[..] {
                [("sub", sub)] => Ok(self.owners.owner(ISSUER, "sub", sub).to_string()),
                _ => bail!("write {{{{owner sub=NAME}}}}"),
            },
            "token" => self.token(&parameters),
            "session" => self.session(&parameters),
            _ => bail!("{name:?} is not a template; there are token, session and owner"),
        }
    }

    /// The session of a token. With `tamper=…` the session is changed, and with `age` it was made so many seconds ago.
    fn session(&self, parameters: &[(&str, &str)]) -> anyhow::Result<String> {
        let of_session = |name: &str| ["age", "tamper"].contains(&name);
        let (own, of_token): (Vec<_>, Vec<_>) =
            parameters.iter().partition(|(name, _)| of_session(name));
        let (mut age, mut tamper) = (0, None);
        for (name, value) in own {
            match name {
                "age" => age = value.parse().context("age is a number of seconds")?,
                _ => tamper = Some(value),
            }
        }
        let then = self.now.saturating_sub(SignedDuration::from_secs(age))?;
        let at_that_time = Templates {
            issuer: self.issuer,
            owners: self.owners.clone(),
            api: None,
            now: then,
        };
        let token = at_that_time.token(&of_token)?;
        let bearer = format!("Bearer {token}");
        let headers: Headers = [("authorization", bearer.as_str())].into_iter().collect();
        let api = self.api.as_deref();
        let api = api.context(
            "a session needs a configuration with \"cookie:__Host-gatepost\" in token.from",
        )?;
        let viewer = api.authenticate(then, &Request::from(&headers));
        let viewer = viewer.map_err(|refused| {
            anyhow!(
                "no session can be made of this token: {}",
                refused.refusal()
            )
        })?;
        let session = api.start_session(then, &viewer)?.token;
        match tamper {
            None => Ok(session),
            Some("signature") => flip(&session, 2),
            Some("header") => flip(&session, 0),
            _ => bail!("a session has tamper=signature or tamper=header"),
        }
    }

    fn token(&self, parameters: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut subject = "alice";
        let mut claims = Map::new();
        let (mut alg, mut tamper, mut kid) = (None, None, None);
        for (name, value) in parameters {
            match *name {
                "sub" if value.is_empty() => bail!("sub is empty; write sub=NAME"),
                "sub" => subject = value,
                "alg" => alg = Some(*value),
                "tamper" => tamper = Some(*value),
                "kid" => kid = Some(*value),
                "exp" | "nbf" => {
                    let seconds: i64 = value
                        .parse()
                        .with_context(|| format!("{name} is a number of seconds from now"))?;
                    let time = self.now.as_second().saturating_add(seconds);
                    claims.insert((*name).to_owned(), time.into());
                }
                // Scopes and groups are separated by commas.
                "scope" => {
                    claims.insert("scope".to_owned(), value.replace(',', " ").into());
                }
                "groups" => {
                    let groups: Vec<_> = value.split(',').collect();
                    claims.insert("groups".to_owned(), groups.into());
                }
                _ => {
                    claims.insert((*name).to_owned(), (*value).into());
                }
            }
        }
        let lifetime = SignedDuration::from_mins(5);
        let mut token = self.issuer.token(self.now, subject, lifetime, claims)?;
        if let Some(kid) = kid {
            token = self.issuer.sign(kid, &claims_of(&token)?)?;
        }
        match (alg, tamper) {
            (None, None) => Ok(token),
            (Some("none"), None) => unsigned(&token),
            (None, Some("signature")) => flip(&token, 2),
            (None, Some("payload")) => become_bob(&token),
            _ => bail!("there are alg=none, tamper=signature and tamper=payload, one at a time"),
        }
    }
}

/// Whether any text of a value contains a template.
pub(crate) fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split("{{").skip(1).any(is_template),
        Value::Array(items) => items.iter().any(is_in),
        Value::Object(members) => members.values().any(is_in),
        _ => false,
    }
}

/// Whether the text after the braces begins a known template.
fn is_template(text: &str) -> bool {
    ["owner", "session", "token"]
        .iter()
        .filter_map(|name| text.strip_prefix(name))
        .any(|rest| rest.starts_with([' ', '}']))
}

fn claims_of(token: &str) -> anyhow::Result<Map<String, Value>> {
    let payload = token.split('.').nth(1).context("a token has a payload")?;
    Ok(serde_json::from_slice(
        &BASE64URL_NOPAD.decode(payload.as_bytes())?,
    )?)
}

/// The token without a signature, and a header that says that it has none.
fn unsigned(token: &str) -> anyhow::Result<String> {
    let header =
        BASE64URL_NOPAD.encode(json!({"alg": "none", "typ": "JWT"}).to_string().as_bytes());
    let payload = token.split('.').nth(1).context("a token has a payload")?;
    Ok(format!("{header}.{payload}."))
}

/// The token with one bit of a part changed.
fn flip(token: &str, part: usize) -> anyhow::Result<String> {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let mut bytes = BASE64URL_NOPAD.decode(parts[part].as_bytes())?;
    bytes[0] ^= 1;
    parts[part] = BASE64URL_NOPAD.encode(&bytes);
    Ok(parts.join("."))
}

/// The token with another subject under the same signature.
fn become_bob(token: &str) -> anyhow::Result<String> {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let mut claims = claims_of(token)?;
    claims.insert("sub".to_owned(), "bob".into());
    parts[1] = BASE64URL_NOPAD.encode(&serde_json::to_vec(&claims)?);
    Ok(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_expanded_at_any_depth() {
        let issuer = crate::dev::issuer::ephemeral().unwrap();
        let templates = Templates::new(&issuer, OwnerNames::default(), Timestamp::now());
        let owner = edge_auth::Owner::of(ISSUER, "alice").to_string();
        let mut value =
            json!({"uri": "/media/{{owner sub=alice}}/x", "list": ["{{token}}"], "n": 1});
        templates.fill(&mut value).unwrap();
        assert_eq!(value["uri"], format!("/media/{owner}/x"));
        assert_eq!(value["list"][0].as_str().unwrap().split('.').count(), 3);
        for wrong in [
            "{{token sub=alice",
            "{{token sub=}}",
            "{{bogus}}",
            "{{7*7}}",
            "{{token sub}}",
            "{{owner}}",
            "{{token alg=HS256}}",
        ] {
            assert!(templates.fill_text(wrong).is_err(), "{wrong}");
        }
    }
}
