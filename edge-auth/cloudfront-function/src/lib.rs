//! The viewer-request function of delivery mode `function`: generated code for a CloudFront Function.
//!
//! [`compile`] puts the rules of a checked configuration, as data, into a fixed runtime, `gate.js`. `gatepost package`
//! writes the result. The local stack, replay and tests run the same text in [`njs`], the engine family of CloudFront
//! Functions. Nothing here decides about a viewer: the library does, and the generated code.

mod event;
pub mod njs;

use edge_auth::Authorizer;
use edge_auth::policy::Policy;
use thiserror::Error;

pub use event::{Answer, event};

/// The largest code of a CloudFront Function, in bytes.
pub const MAX_BYTES: usize = 10_240;
/// The header that only the function sets. It is in the cache key, so that no request that skipped the function is
/// answered from what the function allowed.
pub const ALLOWED_HEADER: &str = "x-gatepost-allowed";

/// `gate.js` with short names and without comments. `npm run gate` in `web/` makes it.
const RUNTIME: &str = include_str!("../gate.min.js");

/// The rules do not fit into a function.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "the function would have {bytes} bytes, more than the {MAX_BYTES} that CloudFront allows; shorten or merge rules, or use mode = \"lambda\""
)]
pub struct TooLarge {
    /// The size of the whole function.
    pub bytes: usize,
    /// The index of the first rule that does not fit; `None` if nothing fits even without rules.
    pub rule: Option<usize>,
}

/// The code of the function for an authorizer's rules.
///
/// # Errors
///
/// The code would be larger than [`MAX_BYTES`].
pub fn compile(authorizer: &Authorizer) -> Result<String, TooLarge> {
    let policy = authorizer.policy();
    let code = code_of(&policy);
    if code.len() <= MAX_BYTES {
        return Ok(code);
    }
    let fits = |n_rules: &usize| {
        let mut fewer = policy.clone();
        fewer.rules.truncate(*n_rules);
        code_of(&fewer).len() <= MAX_BYTES
    };
    Err(TooLarge {
        bytes: code.len(),
        rule: (0..policy.rules.len()).rev().find(fits),
    })
}

fn code_of(policy: &Policy) -> String {
    let (imports, rest) = RUNTIME.split_at(end_of_imports(RUNTIME));
    format!(
        "{imports}const POLICY={};{}",
        literal(policy),
        rest.trim_end()
    )
}

/// Where the import statements end. njs requires that a constant is declared before the functions that use it.
fn end_of_imports(code: &str) -> usize {
    let mut end = 0;
    while code[end..].starts_with("import ") {
        match code[end..].find(';') {
            Some(semicolon) => end += semicolon + 1,
            None => break,
        }
    }
    end
}

/// The policy as a JavaScript expression: JSON, whose two characters that older engines read as line ends are escaped.
fn literal(policy: &Policy) -> String {
    let json = serde_json::to_string(policy).unwrap_or_default();
    json.replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use edge_auth::Config;
    use edge_auth::config::{Access, Issuer, Rule};

    use super::*;

    fn config(n_rules: usize) -> Config {
        let issuer = Issuer {
            issuer: "https://login.example.com/".to_owned(),
            audiences: edge_auth::config::Audiences::Any,
            algorithms: vec![edge_auth::config::Algorithm::ES256],
            published: Some(edge_auth::config::PublishedKeys::at(
                "https://login.example.com/jwks.json",
            )),
            ..Issuer::default()
        };
        Config {
            issuers: vec![issuer],
            token_sources: vec![edge_auth::config::TokenSource::Authorization],
            rules: (0..n_rules)
                .map(|n| Rule::new(format!("/folder-{n}/{{owner}}/**"), Access::Owner))
                .collect(),
            ..Config::default()
        }
    }

    #[test]
    fn the_policy_follows_the_imports() {
        let code = compile(&Authorizer::new(&config(1)).unwrap()).unwrap();
        let policy = code.find("const POLICY=").unwrap();
        assert_eq!(
            code.matches("import ").count(),
            code[..policy].matches("import ").count()
        );
        assert!(
            code.contains(r#"{"path":["","folder-0",0],"open":true}"#),
            "{code}"
        );
        assert!(code.contains("async function handler("), "{code}");
    }

    #[test]
    fn too_many_rules_name_the_first_that_does_not_fit() {
        let most = (0..500)
            .take_while(|n| compile(&Authorizer::new(&config(*n)).unwrap()).is_ok())
            .count()
            - 1;
        assert!(most > 30, "{most}");
        let error = compile(&Authorizer::new(&config(most + 20)).unwrap()).unwrap_err();
        assert_eq!(error.rule, Some(most));
        assert!(error.bytes > MAX_BYTES);
    }

    #[test]
    fn line_separators_are_escaped() {
        let mut config = config(1);
        config.rules[0].path = "/a\u{2028}b\u{2029}/**".to_owned();
        config.rules[0].access = Access::Authenticated;
        let code = compile(&Authorizer::new(&config).unwrap()).unwrap();
        assert!(code.contains(r#""a\u2028b\u2029""#), "{code}");
    }

    #[test]
    fn the_function_adds_the_prefix_of_the_contract() {
        let source = include_str!("../gate.js");
        let prefix = format!("const PREFIX = '{}'\n", media_contract::ORIGIN_PATH);
        assert!(source.contains(&prefix));
        assert!(source.contains(&format!("headers['{ALLOWED_HEADER}']")));
    }
}
