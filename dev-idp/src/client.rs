//! The clients: the pages that may send people to sign in. The code flow looks them up by id and by origin.

/// A page that signs people in. It is a public client: it has no secret.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The addresses to which a code may be sent.
    pub redirects: Vec<Redirect>,
    /// The origins whose scripts may read tokens and keys, such as `http://localhost:8080`.
    pub origins: Vec<String>,
}

/// Addresses to which a code may be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Redirect {
    /// One address, such as `http://127.0.0.1:8080/`.
    Exact(String),
    /// Any path of an origin, such as `http://localhost:5173`, without a query or a fragment: for a front end on a
    /// development server, which has paths of its own.
    AnyPath(String),
}

impl Client {
    pub(crate) fn allows_redirect(&self, address: &str) -> bool {
        self.redirects
            .iter()
            .any(|redirect| redirect.allows(address))
    }
}

impl Redirect {
    fn allows(&self, address: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_.~%".contains(&byte);
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(is_plain);
        match self {
            Self::Exact(known) => address == known,
            Self::AnyPath(origin) => address.strip_prefix(origin.as_str()).is_some_and(is_path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_known_pages_only() {
        let client = Client {
            id: "page".to_owned(),
            redirects: vec![
                Redirect::Exact("http://127.0.0.1:8080/".to_owned()),
                Redirect::Exact("http://localhost:8080/".to_owned()),
                Redirect::AnyPath("http://localhost:5173".to_owned()),
            ],
            origins: Vec::new(),
        };
        for (address, is_allowed) in [
            ("http://127.0.0.1:8080/", true),
            ("http://localhost:8080/", true),
            ("http://localhost:8080/media/x", false),
            ("http://localhost:5173/", true),
            ("http://localhost:5173/auth/callback", true),
            ("http://localhost:5173", false),
            ("http://localhost:5173/?a=b", false),
            ("http://localhost:5173/#a", false),
            ("http://localhost:51730/", false),
            ("http://localhost:5173@evil.example/", false),
            ("https://evil.example/", false),
        ] {
            assert_eq!(client.allows_redirect(address), is_allowed, "{address}");
        }
    }
}
