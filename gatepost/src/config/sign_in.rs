//! `[sign_in]`: how people sign in at the page.
//!
//! `OpenID Connect`'s code flow with PKCE (RFC 7636), as a public client: without a secret, because a page cannot keep
//! one. The page exchanges the resulting token for a session at once.

use edge_auth::SESSION_COOKIE;
use edge_auth::config::{Issuer, TokenSource};
use serde::{Deserialize, Serialize};

use super::document::Section;
use super::units::parse_name;

/// The default scope of the request to the identity provider.
const DEFAULT_SCOPE: &str = "openid";
/// The advice for a missing endpoint.
const AUTHORIZE: &str =
    "write the authorization endpoint, such as \"https://login.example.com/authorize\"";
const TOKEN: &str = "write the token endpoint, such as \"https://login.example.com/oauth/token\"";
/// The keys of `[sign_in]`.
const SECTION: [&str; 5] = ["authorize", "client_id", "scope", "token", "uses"];
/// The fault of a page that cannot keep people signed in.
const LACKING_SESSION: &str = "[session] is missing; the page keeps a session cookie and no token";
/// The parameters that the page sets itself.
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
    /// The page's id at the identity provider.
    pub(crate) client_id: String,
    /// The authorization endpoint; it may have its own query.
    pub(crate) authorize: String,
    /// The token endpoint, where the page exchanges a code for tokens.
    pub(crate) token: String,
    /// The issuer that the provider's answers must name, if they name one (RFC 9207).
    pub(crate) issuer: Option<String>,
    pub(crate) scope: String,
    pub(crate) uses: TokenKind,
}

/// The identity provider's token that the page sends to Gatepost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    #[default]
    AccessToken,
    IdToken,
}

impl SignIn {
    /// The origin of the token endpoint, if it is not the page's own.
    pub(crate) fn token_origin(&self) -> Option<String> {
        let address: http::Uri = self.token.parse().ok()?;
        let (scheme, authority) = (address.scheme_str()?, address.authority()?);
        Some(format!("{scheme}://{authority}"))
    }
}

pub(super) fn read(root: &Section<'_>, edge: &edge_auth::Config) -> Option<SignIn> {
    let section = root.section("sign_in", &SECTION)?;
    let mut sign_in = SignIn {
        client_id: section
            .required_text("client_id", "write the id that the provider gave the page"),
        authorize: section.required_text("authorize", AUTHORIZE),
        token: section.required_text("token", TOKEN),
        issuer: None,
        scope: section
            .text("scope")
            .unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        uses: read_kind(&section),
    };
    for (name, checked) in [
        ("client_id", check_client_id(&sign_in.client_id)),
        ("authorize", check_address(&sign_in.authorize)),
        ("token", check_address(&sign_in.token)),
        ("scope", check_scope(&sign_in.scope)),
    ] {
        if section.is_text(name)
            && let Err(message) = checked
        {
            section.fault(name, &message);
        }
    }
    // An unreadable token source may be the missing one.
    if let Some(message) = lacking_source(edge).filter(|_| !root.is_faulty("token")) {
        root.fault("sign_in", &message);
    }
    if edge.session.is_none() && !root.is_faulty("session") {
        root.fault("sign_in", LACKING_SESSION);
    }
    sign_in.issuer = issuer_at(&sign_in.authorize, &edge.issuers);
    Some(sign_in)
}

/// The one issuer of the authorization endpoint's origin. Several issuers may share an origin, and a tenant's place in
/// the address is not an issuer's name: then nothing can be compared.
fn issuer_at(authorize: &str, issuers: &[Issuer]) -> Option<String> {
    let wanted = origin_of(authorize)?;
    let mut found = issuers
        .iter()
        .filter(|block| origin_of(&block.issuer).as_ref() == Some(&wanted));
    let first = found.next()?;
    let is_only = found.all(|other| other.issuer == first.issuer);
    (is_only && first.tenants.is_none()).then(|| first.issuer.clone())
}

/// The origin of an HTTPS address, without the default port.
fn origin_of(address: &str) -> Option<String> {
    let rest = address.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let plain = authority.strip_suffix(":443").unwrap_or(&authority);
    Some(plain.to_owned())
}

/// The setting that signing in at the page still needs, if any. The token sources come first: a session needs its cookie.
pub(crate) fn lacking(edge: &edge_auth::Config) -> Option<String> {
    let lacks_session = edge.session.is_none();
    lacking_source(edge).or_else(|| lacks_session.then(|| LACKING_SESSION.to_owned()))
}

/// What `token.from` lacks. The page sends its token once, which must be found before any cookie; afterwards it has only
/// the session cookie.
fn lacking_source(edge: &edge_auth::Config) -> Option<String> {
    let place = |wanted: &TokenSource| edge.token_sources.iter().position(|found| found == wanted);
    let header = place(&TokenSource::Authorization);
    let cookie = place(&TokenSource::Cookie(SESSION_COOKIE.to_owned()));
    match (header, cookie) {
        (Some(header), Some(cookie)) if header < cookie => None,
        _ => Some(format!(
            "token.from must list \"authorization\", and \"cookie:{SESSION_COOKIE}\" after it"
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

/// RFC 6749, appendix A.1: printable ASCII.
fn check_client_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("is empty; write the id that the provider gave the page".to_owned());
    }
    check_characters(id, "copy the id from the provider")
}

/// RFC 6749 §3.3: words of printable ASCII without `"` and `\`, with a space between them.
fn check_scope(scope: &str) -> Result<(), String> {
    if scope.trim().is_empty() {
        return Err(format!(
            "is empty; leave it out to ask for {DEFAULT_SCOPE:?}"
        ));
    }
    check_characters(scope, "copy the scopes from the provider")?;
    match scope.chars().find(|character| "\"\\".contains(*character)) {
        Some(character) => Err(format!(
            "contains {character:?}, which is not allowed in a scope; separate scopes with spaces"
        )),
        None => Ok(()),
    }
}

/// A provider's address. Its origin becomes part of the page's Content-Security-Policy, so the host must not contain a
/// character with a meaning there, such as `*` or `;`.
fn check_address(address: &str) -> Result<(), String> {
    let Some(rest) = address.strip_prefix("https://") else {
        return Err("is not a URL; write the whole address, beginning with https://".to_owned());
    };
    let advice = "percent-encode it in a path, and write a host as xn--…";
    check_characters(address, advice)?;
    if address.contains(' ') {
        return Err("contains a space; write %20, or remove it".to_owned());
    }
    // RFC 6749 §3.1 and §3.2.
    if address.contains('#') {
        return Err("has a fragment; remove \"#\" and everything after it".to_owned());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    check_authority(authority)?;
    let Ok(parsed) = address.parse::<http::Uri>() else {
        return Err("is not a valid URL; percent-encode what RFC 3986 does not allow".to_owned());
    };
    let names = parsed.query().unwrap_or_default().split('&');
    match names
        .filter_map(|parameter| parameter.split('=').next())
        .find(|name| OURS.contains(name))
    {
        Some(name) => Err(format!("the page sets {name} itself; remove it")),
        None => Ok(()),
    }
}

/// A host and perhaps a port, without a user name.
fn check_authority(authority: &str) -> Result<(), String> {
    if authority.contains('@') {
        return Err("has a user name before the host; remove everything up to \"@\"".to_owned());
    }
    // An IPv6 address has colons, and ends in a bracket.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host; write one after https://".to_owned());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if !host.bytes().all(is_name) && !is_ipv6 {
        return Err(format!("{host:?} is not a valid host name"));
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => Err(format!(
            "{port:?} is not a valid port; leave it out for 443"
        )),
        _ => Ok(()),
    }
}

/// Refuses everything but printable ASCII: neither a header nor a URL can contain more.
fn check_characters(text: &str, advice: &str) -> Result<(), String> {
    match text
        .chars()
        .find(|&found| found != ' ' && !found.is_ascii_graphic())
    {
        Some(character) if character.is_control() => Err(format!(
            "contains the control character {character:?}; remove it"
        )),
        Some(character) => Err(format!(
            "contains {character:?}, which is not ASCII; {advice}"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::notes::Notes;
    use super::*;

    /// A configuration that allows signing in at the page.
    fn edge() -> edge_auth::Config {
        edge_auth::Config {
            token_sources: vec![
                TokenSource::Authorization,
                TokenSource::Cookie(SESSION_COOKIE.to_owned()),
            ],
            session: Some(edge_auth::config::Session {
                keys: Vec::new(),
                lifetime_seconds: 900,
            }),
            ..edge_auth::Config::default()
        }
    }

    fn assert_refused(checked: &Result<(), String>, fault: Option<&str>, text: &str) {
        assert_eq!(
            checked.as_ref().err().map(String::as_str),
            fault,
            "{text:?}"
        );
    }

    #[test]
    fn an_address_that_is_not_a_providers_is_refused() {
        let no_https = Some("is not a URL; write the whole address, beginning with https://");
        let no_host = Some("has no host; write one after https://");
        let has_user = Some("has a user name before the host; remove everything up to \"@\"");
        for (address, fault) in [
            ("https://login.example.com", None),
            ("https://login.example.com/authorize", None),
            ("https://login.example.com/authorize?audience=media", None),
            ("https://login.example.com?audience=media", None),
            ("https://login.example.com:8443/a%20b", None),
            ("https://[2001:db8::1]:8443/a", None),
            ("https://login.example.com/users/me@home", None),
            ("http://login.example.com/authorize", no_https),
            ("/authorize", no_https),
            ("", no_https),
            ("https://", no_host),
            ("https:///authorize", no_host),
            ("https://:8443/authorize", no_host),
            ("https://?a=1", no_host),
            (
                "https://login.example.com/a b",
                Some("contains a space; write %20, or remove it"),
            ),
            (
                "https://login.example.com/a\n",
                Some("contains the control character '\\n'; remove it"),
            ),
            (
                "https://login.example.com/a\u{7f}",
                Some("contains the control character '\\u{7f}'; remove it"),
            ),
            (
                "https://bücher.example/",
                Some(
                    "contains 'ü', which is not ASCII; percent-encode it in a path, and write a host as xn--…",
                ),
            ),
            ("https://alice@login.example.com/", has_user),
            ("https://alice:secret@login.example.com/", has_user),
            (
                "https://login.example.com/#x",
                Some("has a fragment; remove \"#\" and everything after it"),
            ),
            (
                "https://*.example.com/",
                Some("\"*.example.com\" is not a valid host name"),
            ),
            (
                "https://a.example;script-src/",
                Some("\"a.example;script-src\" is not a valid host name"),
            ),
            (
                "https://a.example\\b/",
                Some("\"a.example\\\\b\" is not a valid host name"),
            ),
            (
                "https://login.example.com:https/",
                Some("\"https\" is not a valid port; leave it out for 443"),
            ),
            (
                "https://login.example.com/<x>",
                Some("is not a valid URL; percent-encode what RFC 3986 does not allow"),
            ),
            (
                "https://login.example.com/?scope=openid",
                Some("the page sets scope itself; remove it"),
            ),
            (
                "https://login.example.com/?a=1&state=2",
                Some("the page sets state itself; remove it"),
            ),
        ] {
            assert_refused(&check_address(address), fault, address);
        }
    }

    #[test]
    fn each_fault_has_the_key_of_its_text() {
        for (table, keys) in [
            (
                r#"{ client_id = "page", authorize = "https://a.example/", token = "https://a.example/" }"#,
                &[][..],
            ),
            (
                r#"{ client_id = "", authorize = "https://a.example/#", token = "https://u@a.example/", scope = "é" }"#,
                &[
                    "sign_in.client_id",
                    "sign_in.authorize",
                    "sign_in.token",
                    "sign_in.scope",
                ],
            ),
            // A text that is missing has one fault, not two.
            (
                r#"{ authorize = 1, token = "https://a.example/" }"#,
                &["sign_in.client_id", "sign_in.authorize"],
            ),
        ] {
            let text = format!("sign_in = {table}");
            let document = toml::de::DeTable::parse(&text).unwrap();
            let notes = Notes::new(&text);
            read(&Section::root(&notes, &document, &["sign_in"]), &edge());
            assert_eq!(notes.keys(), keys, "{text}");
        }
    }

    #[test]
    fn client_ids_and_scopes_are_printable_ascii() {
        for (id, fault) in [
            ("page", None),
            ("1example23456789.apps.example.com", None),
            (
                "",
                Some("is empty; write the id that the provider gave the page"),
            ),
            (
                "page\n",
                Some("contains the control character '\\n'; remove it"),
            ),
        ] {
            assert_refused(&check_client_id(id), fault, id);
        }
        let empty = Some("is empty; leave it out to ask for \"openid\"");
        for (scope, fault) in [
            ("openid", None),
            ("openid profile https://api.example.com/media.read", None),
            ("", empty),
            (" ", empty),
            (
                "openid\tprofile",
                Some("contains the control character '\\t'; remove it"),
            ),
            (
                "openid médias",
                Some("contains 'é', which is not ASCII; copy the scopes from the provider"),
            ),
            (
                "\"openid\"",
                Some("contains '\"', which is not allowed in a scope; separate scopes with spaces"),
            ),
        ] {
            assert_refused(&check_scope(scope), fault, scope);
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
                ..edge()
            };
            let message = lacking(&edge);
            assert_eq!(message.is_none(), is_enough, "{message:?}");
            edge.session = None;
            // The sources come first: they are the cause where a session is made only for its cookie.
            let expected = message.unwrap_or_else(|| LACKING_SESSION.to_owned());
            assert_eq!(lacking(&edge), Some(expected));
        }
    }

    #[test]
    fn the_answers_issuer_is_the_only_one_of_the_authorization_endpoints_origin() {
        const AUTHORIZE: &str = "https://login.example.com/authorize?audience=media";
        let at = |issuers: &[&str], authorize: &str| {
            let block = |issuer: &&str| Issuer {
                issuer: (*issuer).to_owned(),
                tenants: issuer
                    .contains("{tenantid}")
                    .then_some(edge_auth::config::Tenants::Any),
                ..Issuer::default()
            };
            issuer_at(authorize, &issuers.iter().map(block).collect::<Vec<_>>())
        };
        let (root, realm) = ("https://login.example.com", "https://login.example.com/a");
        let tenants = "https://login.example.com/{tenantid}/v2.0";
        let capitals = "https://LOGIN.example.com:443/";
        let suffix = "https://login.example.com.evil.example/";
        for (issuers, expected) in [
            (&[root][..], Some(root)),
            (&[realm, realm, "https://other.example/"], Some(realm)),
            (&[capitals], Some(capitals)),
            (&[root, realm], None),
            (&[tenants], None),
            (&[tenants, realm], None),
            (&[suffix, "accounts.example.com"], None),
            (&["http://login.example.com"], None),
            (&[], None),
        ] {
            assert_eq!(at(issuers, AUTHORIZE).as_deref(), expected, "{issuers:?}");
        }
        assert_eq!(at(&["/dev"], "/dev/sign-in"), None);
    }

    #[test]
    fn tokens_come_from_an_origin() {
        let mut sign_in = SignIn {
            client_id: "page".to_owned(),
            authorize: "https://login.example.com/authorize".to_owned(),
            token: "https://tokens.example.com:8443/oauth/token".to_owned(),
            issuer: None,
            scope: "openid".to_owned(),
            uses: TokenKind::AccessToken,
        };
        let origin = Some("https://tokens.example.com:8443".to_owned());
        assert_eq!(sign_in.token_origin(), origin);
        sign_in.token = "/dev/token".to_owned();
        assert_eq!(sign_in.token_origin(), None);
    }
}
