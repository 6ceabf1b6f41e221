//! The part of the file that the page is told: how people sign in there.
//!
//! `OpenID Connect`'s code flow with PKCE (RFC 7636), as a public client: there is no secret, for a page can keep none.
//! The token that comes of it is traded for a session at once.

use edge_auth::SESSION_COOKIE;
use edge_auth::config::TokenSource;
use serde::{Deserialize, Serialize};

use super::document::Section;
use super::parse_name;

/// What an identity provider is asked for where the file does not say.
const DEFAULT_SCOPE: &str = "openid";
/// What the page puts into the address itself.
const OURS: [&str; 7] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// How the page signs people in, as its `settings.json` has it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct SignIn {
    /// As the identity provider knows the page.
    pub(crate) client_id: String,
    /// Where people sign in; may have a query of its own.
    pub(crate) authorize: String,
    /// Where the page trades a code for tokens.
    pub(crate) token: String,
    pub(crate) scope: String,
    pub(crate) uses: TokenKind,
}

/// Which of an identity provider's tokens is for Gatepost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    #[default]
    AccessToken,
    IdToken,
}

impl SignIn {
    /// The origin that the page fetches tokens from, if that is not its own.
    pub(crate) fn token_origin(&self) -> Option<String> {
        let address: http::Uri = self.token.parse().ok()?;
        let (scheme, authority) = (address.scheme_str()?, address.authority()?);
        Some(format!("{scheme}://{authority}"))
    }
}

pub(super) fn read(root: &Section<'_>, edge: &edge_auth::Config) -> Option<SignIn> {
    let section = root.section("sign_in")?;
    let sign_in = SignIn {
        client_id: section.required_text("client_id"),
        authorize: section.required_text("authorize"),
        token: section.required_text("token"),
        scope: section
            .text("scope")
            .unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        uses: read_kind(&section),
    };
    for (name, address) in [("authorize", &sign_in.authorize), ("token", &sign_in.token)] {
        if section.has(name)
            && let Err(message) = check_address(address)
        {
            section.fault(name, &message);
        }
    }
    if let Some(message) = lacking(edge) {
        root.fault("sign_in", &message);
    }
    section.finish();
    Some(sign_in)
}

/// What signing in at the page lacks, if anything: the page sends its token once, before whatever cookie it has, and has
/// nothing but the cookie afterwards.
pub(crate) fn lacking(edge: &edge_auth::Config) -> Option<String> {
    let place = |wanted: &TokenSource| edge.token_sources.iter().position(|found| found == wanted);
    let header = place(&TokenSource::Authorization);
    let cookie = place(&TokenSource::Cookie(SESSION_COOKIE.to_owned()));
    match (header, cookie) {
        _ if edge.session.is_none() => {
            Some("it wants [session]: the page keeps no token".to_owned())
        }
        (Some(header), Some(cookie)) if header < cookie => None,
        _ => Some(format!(
            "it wants \"authorization\" in token.from, and \"cookie:{SESSION_COOKIE}\" after it"
        )),
    }
}

fn read_kind(section: &Section<'_>) -> TokenKind {
    section
        .parsed("uses", |text| {
            parse_name(text)
                .ok_or_else(|| format!("{text:?} is neither \"access_token\" nor \"id_token\""))
        })
        .unwrap_or_default()
}

fn check_address(address: &str) -> Result<(), String> {
    let parsed = address.parse::<http::Uri>().ok();
    let Some(parsed) = parsed.filter(|_| address.starts_with("https://")) else {
        return Err("it is an address, https:// and all".to_owned());
    };
    if address.contains('#') {
        return Err("an address of this kind has no fragment".to_owned());
    }
    let names = parsed.query().unwrap_or_default().split('&');
    match names
        .filter_map(|parameter| parameter.split('=').next())
        .find(|name| OURS.contains(name))
    {
        Some(name) => Err(format!("the page sets {name} itself")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_providers() {
        for (address, fault) in [
            ("https://login.example.com/authorize", None),
            ("https://login.example.com/authorize?audience=media", None),
            ("http://login.example.com/authorize", Some("https://")),
            ("/authorize", Some("https://")),
            ("https://", Some("https://")),
            ("https://login.example.com/a b", Some("https://")),
            ("https://login.example.com/#x", Some("fragment")),
            (
                "https://login.example.com/?scope=openid",
                Some("sets scope"),
            ),
            ("https://login.example.com/?a=1&state=2", Some("sets state")),
        ] {
            match (check_address(address), fault) {
                (Ok(()), None) => {}
                (Err(message), Some(fault)) => assert!(message.contains(fault), "{message}"),
                (found, _) => panic!("{address}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_token_is_found_before_the_cookie() {
        let cookie = || TokenSource::Cookie(SESSION_COOKIE.to_owned());
        let other = || TokenSource::Cookie("other".to_owned());
        for (token_sources, is_enough) in [
            (vec![TokenSource::Authorization, cookie()], true),
            (
                vec![other(), TokenSource::Authorization, other(), cookie()],
                true,
            ),
            (vec![cookie(), TokenSource::Authorization], false),
            (vec![cookie()], false),
            (vec![TokenSource::Authorization, other()], false),
        ] {
            let mut edge = edge_auth::Config {
                token_sources,
                session: Some(edge_auth::config::Session {
                    secrets: edge_auth::config::Secrets(serde_json::Value::Null),
                    lifetime_seconds: 900,
                }),
                ..edge_auth::Config::default()
            };
            let message = lacking(&edge);
            assert_eq!(message.is_none(), is_enough, "{message:?}");
            edge.session = None;
            assert!(lacking(&edge).is_some());
        }
    }

    #[test]
    fn tokens_come_from_an_origin() {
        let mut sign_in = SignIn {
            client_id: "page".to_owned(),
            authorize: "https://login.example.com/authorize".to_owned(),
            token: "https://tokens.example.com:8443/oauth/token".to_owned(),
            scope: "openid".to_owned(),
            uses: TokenKind::AccessToken,
        };
        let origin = Some("https://tokens.example.com:8443".to_owned());
        assert_eq!(sign_in.token_origin(), origin);
        sign_in.token = "/dev/token".to_owned();
        assert_eq!(sign_in.token_origin(), None);
    }
}
