//! The parts of a signature as a request presents them: in its query or, if that has none of their names, in its
//! cookies. Nothing is verified here.

use axum::http::header;
use axum::http::request::Parts;

use super::refusal::Refusal;

/// The names of the query parameters. Those of cookies begin with `CloudFront-`.
const NAMES: [&str; 5] = [
    "Expires",
    "Policy",
    "Signature",
    "Key-Pair-Id",
    "Hash-Algorithm",
];
const COOKIE_PREFIX: &str = "CloudFront-";

/// The parts of a signature, as they were sent.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Presented<'a> {
    pub(super) expires: Option<&'a str>,
    pub(super) policy: Option<&'a str>,
    pub(super) signature: Option<&'a str>,
    pub(super) key_pair_id: Option<&'a str>,
    pub(super) hash_algorithm: Option<&'a str>,
}

impl<'a> Presented<'a> {
    /// The parts in a request. A query with one of the names makes the request a signed URL, and its cookies are not
    /// looked at (AWS, "Decide to use signed URLs or signed cookies").
    ///
    /// A name that comes twice is refused. In cookies this happens with the sets of two folders, of which one is within
    /// the other: browsers send both, the longer path first (RFC 6265 §5.4), and AWS does not say which one CloudFront
    /// takes.
    pub(super) fn of(head: &'a Parts) -> Result<Self, Refusal> {
        let query = head.uri.query().unwrap_or_default();
        let in_query = Self::collect(query.split('&').map(name_and_value), "")?;
        if in_query != Self::default() {
            return Ok(in_query);
        }
        let lines = head.headers.get_all(header::COOKIE).iter();
        let cookies = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            // Another site's cookie may hold any bytes.
            .filter_map(|cookie| str::from_utf8(cookie).ok())
            .map(|cookie| name_and_value(cookie.trim_matches([' ', '\t'])));
        Self::collect(cookies, COOKIE_PREFIX)
    }

    fn collect(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        prefix: &str,
    ) -> Result<Self, Refusal> {
        let mut values = [None; NAMES.len()];
        for (name, value) in pairs {
            let Some(name) = name.strip_prefix(prefix) else {
                continue;
            };
            if let Some(at) = NAMES.iter().position(|known| *known == name)
                && values[at].replace(value).is_some()
            {
                return Err(Refusal::Ambiguous);
            }
        }
        let [expires, policy, signature, key_pair_id, hash_algorithm] = values;
        Ok(Self {
            expires,
            policy,
            signature,
            key_pair_id,
            hash_algorithm,
        })
    }
}

/// A query without the parameters of a signature, otherwise as it was sent; `None` if nothing is left.
pub(super) fn query_without_signature(query: &str) -> Option<String> {
    let is_own = |pair: &&str| !NAMES.contains(&name_and_value(pair).0);
    let rest: Vec<_> = query.split('&').filter(is_own).collect();
    // An empty query that the viewer sent stays: it is a part of the URL.
    (!rest.is_empty()).then(|| rest.join("&"))
}

fn name_and_value(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(query: &str, cookies: &[&'static [u8]]) -> Parts {
        let mut request = Request::builder().uri(format!("/a{query}"));
        for line in cookies {
            request = request.header("cookie", *line);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn presented<'a>(expires: Option<&'a str>, signature: Option<&'a str>) -> Presented<'a> {
        Presented {
            expires,
            signature,
            ..Presented::default()
        }
    }

    #[test]
    fn a_query_with_one_of_the_names_hides_the_cookies() {
        let cookies: &[&[u8]] = &[b"CloudFront-Signature=c; CloudFront-Expires=2"];
        let of_cookies = presented(Some("2"), Some("c"));
        for (query, expected) in [
            ("", of_cookies),
            ("?expires=1&x=Expires", presented(Some("2"), Some("c"))),
            ("?Expires=1", presented(Some("1"), None)),
            ("?a=b&Signature=q", presented(None, Some("q"))),
            ("?Expires", presented(Some(""), None)),
            // `%45` is an E: a name is as it was sent.
            ("?%45xpires=1", presented(Some("2"), Some("c"))),
            (
                "?Hash-Algorithm=SHA256",
                Presented {
                    hash_algorithm: Some("SHA256"),
                    ..Presented::default()
                },
            ),
        ] {
            let head = head(query, cookies);
            assert_eq!(Presented::of(&head), Ok(expected), "{query}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        for (query, cookies) in [
            ("?Expires=1&Expires=1", &[][..]),
            ("?Signature=&a=b&Signature", &[]),
            (
                "",
                &[&b"CloudFront-Signature=a; CloudFront-Signature=b"[..]],
            ),
            ("", &[b"CloudFront-Policy=a; CloudFront-Policy=a" as &[u8]]),
            ("", &[b"CloudFront-Policy=a", b"CloudFront-Policy=b"]),
        ] {
            let head = head(query, cookies);
            assert_eq!(Presented::of(&head), Err(Refusal::Ambiguous), "{query}");
        }
    }

    #[test]
    fn cookies_of_others_do_not_matter() {
        let head = head(
            "",
            &[
                b"a=b;CloudFront-Expires=1 ; \xff=\xff; cloudfront-expires=2; Expires=3",
                b"Signature=x;  CloudFront-Signature=a=b",
            ],
        );
        assert_eq!(Presented::of(&head), Ok(presented(Some("1"), Some("a=b"))));
    }

    #[test]
    fn the_rest_of_a_query_is_as_it_was_sent() {
        for (query, rest) in [
            ("Expires=1&Signature=s&Key-Pair-Id=k", None),
            ("a=%62&Expires=1&c", Some("a=%62&c")),
            ("Policy=p&a=1&a=2&Hash-Algorithm=SHA256", Some("a=1&a=2")),
            ("a=Expires=1&expires=2", Some("a=Expires=1&expires=2")),
            ("", Some("")),
            ("&Expires=1", Some("")),
        ] {
            assert_eq!(query_without_signature(query).as_deref(), rest, "{query}");
        }
    }
}
