//! The origins that the local stack answers to: its own, and those of front ends on development servers of their own.
//!
//! The bucket, the API, the edge and the sign-in page share one list, so that a page is let in everywhere or nowhere.

use dev_idp::Redirect;
use edge_auth::config::Cors;

/// How long a browser may remember the answer to a preflight, where `[cors]` does not say.
const MAX_AGE_SECONDS: u32 = 600;

/// Origins such as `http://localhost:8080`.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    own: [String; 2],
    others: Vec<String>,
}

impl Origins {
    /// Those of loopback at a port, and others. `*` is for reading media; nothing else is open to every page.
    pub(super) fn new(port: u16, others: &[String]) -> Self {
        // Browsers leave out the port that is HTTP's own.
        let port = match port {
            80 => String::new(),
            port => format!(":{port}"),
        };
        let own = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}{port}"));
        let others = others.iter().filter(|origin| *origin != "*");
        Self {
            own,
            others: others.cloned().collect(),
        }
    }

    /// The stack's own address.
    pub(super) fn address(&self) -> &str {
        &self.own[0]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.own.iter().chain(&self.others)
    }

    /// The addresses to which a sign-in may redirect: the page, or any path of another origin, whose front end has paths
    /// of its own.
    pub(super) fn redirects(&self) -> Vec<Redirect> {
        let page = |origin: &String| Redirect::Exact(format!("{origin}/"));
        let others = self.others.iter().cloned().map(Redirect::AnyPath);
        self.own.iter().map(page).chain(others).collect()
    }

    /// Whether a `Host` header is that of an origin: a development server passes on the one that it was asked by.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.with_host(host).is_some()
    }

    /// The origin that a `Host` header names.
    pub(super) fn with_host(&self, host: &str) -> Option<&str> {
        let without_port =
            |text: &str, port: &str| text.strip_suffix(port).unwrap_or(text).to_owned();
        let mut origins = self.iter().map(String::as_str);
        origins.find(|origin| {
            let (scheme, named) = origin.split_once("://").unwrap_or(("", origin));
            let port = if scheme == "https" { ":443" } else { ":80" };
            without_port(named, port).eq_ignore_ascii_case(&without_port(host, port))
        })
    }

    /// The advice for a request that names another host.
    pub(super) fn advice(&self) -> String {
        let origins: Vec<_> = self.iter().map(String::as_str).collect();
        format!(
            "The local stack answers at {}, and to no other name: a page elsewhere could point its own name here. \
             For a front end on another server, start it with: gatepost dev --origin http://HOST:PORT\n",
            origins.join(" and ")
        )
    }
}

/// Adds the origins of the command line to those of the configuration.
pub(super) fn add(cors: &mut Option<Cors>, origins: &[String]) {
    if origins.is_empty() {
        return;
    }
    let cors = cors.get_or_insert_with(|| Cors {
        origins: Vec::new(),
        methods: vec!["GET".to_owned(), "HEAD".to_owned()],
        headers: vec!["authorization".to_owned()],
        credentials: false,
        max_age_seconds: MAX_AGE_SECONDS,
    });
    for origin in origins {
        // `*` already means all of them, and must be alone.
        if !cors
            .origins
            .iter()
            .any(|known| known == origin || known == "*")
        {
            cors.origins.push(origin.clone());
        }
    }
}

/// Reads an origin of the command line.
pub(super) fn parse(text: &str) -> Result<String, String> {
    edge_auth::check_origin(text).map_err(|message| format!("{text:?} {message}"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_if_an_origin_has_it() {
        let others = [
            "http://localhost:5173".to_owned(),
            "https://app.example.com".to_owned(),
            "*".to_owned(),
        ];
        for (port, host, is_known) in [
            (8080, "127.0.0.1:8080", true),
            (8080, "LocalHost:8080", true),
            (8080, "localhost", false),
            (8080, "localhost:80", false),
            (8080, "localhost:5173", true),
            (8080, "app.example.com", true),
            (8080, "app.example.com:443", true),
            (8080, "app.example.com:80", false),
            (8080, "*", false),
            (8080, "evil.example:8080", false),
            (80, "localhost", true),
            (80, "127.0.0.1:80", true),
            (80, "localhost:8080", false),
        ] {
            let origins = Origins::new(port, &others);
            assert_eq!(origins.has_host(host), is_known, "{host} at {port}");
        }
        assert_eq!(Origins::new(80, &[]).address(), "http://127.0.0.1");
    }

    #[test]
    fn a_sign_in_redirects_to_the_page_or_to_another_origin() {
        let origins = Origins::new(8080, &["http://localhost:5173".to_owned()]);
        assert_eq!(
            origins.redirects(),
            [
                Redirect::Exact("http://127.0.0.1:8080/".to_owned()),
                Redirect::Exact("http://localhost:8080/".to_owned()),
                Redirect::AnyPath("http://localhost:5173".to_owned()),
            ]
        );
    }

    #[test]
    fn origins_of_the_command_line_join_those_of_the_configuration() {
        let vite = || vec!["http://localhost:5173".to_owned()];
        let mut cors = None;
        add(&mut cors, &[]);
        assert!(cors.is_none());
        add(&mut cors, &vite());
        add(&mut cors, &vite());
        assert_eq!(cors.as_ref().unwrap().origins, vite());
        let mut all = Some(Cors {
            origins: vec!["*".to_owned()],
            ..cors.unwrap()
        });
        add(&mut all, &vite());
        assert_eq!(all.unwrap().origins, ["*"]);
    }

    #[test]
    fn a_text_that_is_not_an_origin_is_refused() {
        assert!(parse("http://localhost:5173").is_ok());
        for text in [
            "localhost:5173",
            "http://localhost:5173/",
            "*",
            "http://a/b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
