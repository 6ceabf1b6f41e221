//! Parses an `http` or `https` address from the configuration once. An address that two parsers could read differently
//! is refused.

use crate::http::path::CanonicalPath;

/// An absolute address, split into its parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address<'a> {
    pub(crate) is_https: bool,
    /// A name or an IPv4 address, or an IPv6 address in brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// Path and query.
    pub(crate) rest: &'a str,
    pub(crate) fragment: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Parses an address; the error is a sentence about it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "contains a space, a control character or a non-ASCII character; percent-encode it",
            );
        }
        if text.contains('\\') {
            return Err("contains a backslash; write a slash, or %5C");
        }
        let (is_https, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err("does not begin with https://");
        };
        let (rest, fragment) = match rest.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (rest, None),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err("contains a user name before its host; remove it with the @");
        }
        let (host, port) = match authority.rfind(':') {
            Some(colon) if !authority.ends_with(']') => {
                let port = &authority[colon + 1..];
                let is_plain = !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit());
                let number = port.parse().ok().filter(|_| is_plain);
                let number = number.ok_or("has a port that is not a number from 1 to 65535")?;
                (&authority[..colon], Some(number))
            }
            _ => (authority, None),
        };
        if host.is_empty() {
            return Err("has no host");
        }
        let is_name = |host: &str| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let is_v6 = |host: &str| {
            let inner = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        };
        if !is_name(host) && !is_v6(host) {
            return Err("has a host that is neither a name nor an IP address");
        }
        Ok(Self {
            is_https,
            host,
            port,
            rest,
            fragment,
        })
    }
}

/// Whether keys may be fetched from an address: no attacker on the network path can replace the issuer's keys.
pub(crate) fn check_key_address(text: &str) -> Result<(), &'static str> {
    let address = Address::parse(text)?;
    if address.fragment.is_some() {
        return Err(
            "has a fragment, which is never sent to a server; remove the # and what follows",
        );
    }
    if !address.is_https && address.host != "127.0.0.1" {
        return Err("does not begin with https:// (http:// is for 127.0.0.1 only)");
    }
    Ok(())
}

/// Whether browsers can be sent to an address: `/path` on the same site, or `https://host…`.
pub(crate) fn check_login(text: &str) -> Result<(), &'static str> {
    if text
        .replace("{url}", "")
        .contains(['{', '}', '<', '>', '"', '`', '|', '^'])
    {
        return Err(
            "contains a character that is not allowed in an address; the only placeholder is {url}",
        );
    }
    if !text.starts_with('/') {
        const ELSEWHERE: &str = "does not begin with https:// or, on the same site, with a slash";
        if !text.contains("://") {
            return Err(ELSEWHERE);
        }
        let address = Address::parse(text)?;
        return if address.is_https {
            Ok(())
        } else {
            Err(ELSEWHERE)
        };
    }
    if text.starts_with("//") {
        return Err(
            "begins with two slashes, which lead to another host; write https:// before it",
        );
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if CanonicalPath::parse(path).is_err() {
        return Err("has an ambiguous path, which would be refused");
    }
    Address::parse(&format!("https://host{text}")).map(|_| ())
}

/// Whether a text is an origin as browsers send it (RFC 6454 §6.2): no default port, no capitals, no path.
///
/// # Errors
///
/// A sentence without its subject, such as `has no host`: what is wrong, and what to write.
pub fn check_origin(text: &str) -> Result<(), &'static str> {
    if !text.contains("://") {
        return Err(
            "is not an origin; write its scheme and host, as in https://app.example.com or http://localhost:5173",
        );
    }
    let address = Address::parse(text)?;
    if !address.rest.is_empty() || address.fragment.is_some() {
        return Err("is not an origin: end it after the host, without a slash");
    }
    if address.host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("has capitals in its host, which browsers send in lower case");
    }
    match (address.is_https, address.port) {
        (true, Some(443)) | (false, Some(80)) => {
            Err("names the scheme's own port, which browsers leave out; remove it")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_key_address_gets_its_own_message() {
        for (address, fault) in [
            ("https://login.example.com/keys", None),
            ("https://login.example.com:8443/keys?v=1", None),
            ("https://[::1]:8443/keys", None),
            ("http://127.0.0.1:8080/keys", None),
            ("http://127.0.0.1/keys", None),
            // Firebase's documented address: the @ is in its path.
            (
                "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
                None,
            ),
            ("https://user@login.example.com/keys", Some("user name")),
            ("https://login.example.com@evil.example/", Some("user name")),
            ("https://login.example.com/keys#now", Some("fragment")),
            ("https://login.example.com:/keys", Some("port")),
            ("https://login.example.com:0/keys", Some("port")),
            ("https://login.example.com:65536/keys", Some("port")),
            ("https://login.example.com:+80/keys", Some("port")),
            ("https://", Some("no host")),
            ("https:///keys", Some("no host")),
            ("https://:443/keys", Some("no host")),
            ("https://a b/keys", Some("space")),
            ("https://é.example/keys", Some("non-ASCII")),
            ("https://a\\b/keys", Some("backslash")),
            ("https://[/keys", Some("host")),
            ("http://login.example.com/keys", Some("127.0.0.1 only")),
            ("http://127.0.0.1.evil.example/keys", Some("127.0.0.1 only")),
            ("ftp://login.example.com/", Some("https://")),
            ("login.example.com", Some("https://")),
        ] {
            match (check_key_address(address), fault) {
                (Ok(()), None) => {}
                (Err(message), Some(fault)) => {
                    assert!(message.contains(fault), "{address}: {message}");
                }
                (found, _) => panic!("{address}: {found:?}"),
            }
        }
    }

    #[test]
    fn logins_and_origins_have_the_form_that_browsers_use() {
        for (login, is_fine) in [
            ("/", true),
            ("/?sign_in&return_to={url}", true),
            ("/login#x", true),
            ("https://login.example.com/?to={url}", true),
            ("https://login.example.com", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://", false),
            ("https:///x", false),
            ("http://login.example.com/", false),
            ("/a b", false),
            ("/a/../login?to={url}", false),
            ("/sign+in", false),
            ("/login//start", false),
            ("/login?to={uri}", false),
            ("/a\r\nset-cookie: x=1", false),
            ("/é", false),
            ("login", false),
            ("", false),
        ] {
            assert_eq!(check_login(login).is_ok(), is_fine, "{login:?}");
        }
        let elsewhere = "does not begin with https:// or, on the same site, with a slash";
        for login in [
            "login",
            "login.example.com/",
            "http://login.example.com/",
            "",
        ] {
            assert_eq!(check_login(login), Err(elsewhere), "{login:?}");
        }
        for (origin, is_fine) in [
            ("https://app.example.com", true),
            ("https://app.example.com:8443", true),
            ("http://localhost:5173", true),
            ("http://[::1]:5173", true),
            ("https://app.example.com:443", false),
            ("http://localhost:80", false),
            ("https://[", false),
            ("https://app.example.com/", false),
            ("https://App.example.com", false),
            ("https://*.example.com", false),
            ("app.example.com", false),
            ("null", false),
        ] {
            assert_eq!(check_origin(origin).is_ok(), is_fine, "{origin}");
        }
    }
}
