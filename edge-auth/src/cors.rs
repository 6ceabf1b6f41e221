//! Cross-origin requests by scripts: the answer to a preflight, and which site's script may read a refusal.
//!
//! This is the part of the Fetch standard's CORS protocol that an edge needs. A browser sends a preflight without
//! credentials, so a rule that requires a viewer would always refuse it.

use crate::config::{ConfigFault, Cors};
use crate::http::address::check_origin;
use crate::http::request::{Lines, Request};
use crate::http::syntax::is_token;
use crate::refusal::NotGranted;

/// The checked configuration.
pub(crate) struct CorsPolicy {
    cors: Cors,
}

/// A granted preflight.
#[derive(Clone, Debug, PartialEq)]
pub struct Preflight {
    /// The headers of the answer, by lower-case name.
    pub headers: Vec<(&'static str, String)>,
}

impl CorsPolicy {
    pub(crate) fn new(cors: &Cors, faults: &mut Vec<ConfigFault>) -> Self {
        let mut fault = |key: String, message: &str| faults.push(ConfigFault::new(key, message));
        if cors.origins.is_empty() {
            fault("cors.origins".to_owned(), "name at least one origin");
        }
        for (idx, origin) in cors.origins.iter().enumerate() {
            let key = format!("cors.origins[{idx}]");
            if origin == "*" {
                if cors.origins.len() > 1 {
                    fault(key, "\"*\" stands alone");
                } else if cors.credentials {
                    fault(
                        key,
                        "must not be \"*\" with credentials, which would allow an attacker's site; list the origins",
                    );
                }
            } else if let Err(message) = check_origin(origin) {
                fault(key, message);
            }
        }
        if cors.methods.is_empty() {
            fault("cors.methods".to_owned(), "name at least one method");
        }
        for (idx, method) in cors.methods.iter().enumerate() {
            if method == "*"
                || !is_token(method)
                || method.bytes().any(|byte| byte.is_ascii_lowercase())
            {
                let message = "is not a method; methods are upper-case words";
                fault(format!("cors.methods[{idx}]"), message);
            }
        }
        for (idx, header) in cors.headers.iter().enumerate() {
            if !is_token(header) || header == "*" {
                let message =
                    "is not a valid header name; list names explicitly, \"*\" is not allowed";
                fault(format!("cors.headers[{idx}]"), message);
            }
        }
        Self { cors: cors.clone() }
    }

    /// The policy as configured.
    pub(crate) fn settings(&self) -> &Cors {
        &self.cors
    }

    /// Whether the request is a preflight, which a browser sends on its own.
    pub(crate) fn is_preflight(request: &Request<'_>) -> bool {
        request.method == "OPTIONS"
            && !matches!(request.origin, Lines::None)
            && !matches!(request.access_control_request_method, Lines::None)
    }

    /// Grants a preflight, or names the part of it that is not granted.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Result<Preflight, NotGranted> {
        let mut headers = self.readable_by(request).ok_or(NotGranted::Origin)?;
        let method = request.access_control_request_method.only();
        if !method.is_some_and(|method| self.cors.methods.iter().any(|granted| granted == method)) {
            return Err(NotGranted::Method);
        }
        let is_granted = |name: &str| {
            self.cors
                .headers
                .iter()
                .any(|granted| granted.eq_ignore_ascii_case(name))
        };
        let asked = request
            .access_control_request_headers
            .iter()
            .flat_map(|line| line.split(','))
            .map(|name| name.trim_matches([' ', '\t']))
            .filter(|name| !name.is_empty());
        if !asked.into_iter().all(is_granted) {
            return Err(NotGranted::Header);
        }
        headers.push(("access-control-allow-methods", self.cors.methods.join(", ")));
        if !self.cors.headers.is_empty() {
            headers.push(("access-control-allow-headers", self.cors.headers.join(", ")));
        }
        let max_age = self.cors.max_age_seconds.to_string();
        headers.push(("access-control-max-age", max_age));
        Ok(Preflight { headers })
    }

    /// The headers that let the requesting site's script read the answer; `None` if it may not.
    pub(crate) fn readable_by(&self, request: &Request<'_>) -> Option<Vec<(&'static str, String)>> {
        let origin = request.origin.only()?;
        let granted = self
            .cors
            .origins
            .iter()
            .find(|granted| *granted == "*" || *granted == origin)?;
        let mut headers = vec![("access-control-allow-origin", granted.clone())];
        if self.cors.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        Some(headers)
    }
}
