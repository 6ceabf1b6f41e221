//! Warnings: settings that work but are probably a mistake.

use crate::config::{Config, ConfigFault};

/// Settings that are probably a mistake, each with its key as `gatepost.toml` spells it.
///
/// A claim's name with a dot in it names a top-level claim of exactly that name, which few issuers send. Most people
/// who write one mean a nested member.
pub fn warnings(config: &Config) -> Vec<ConfigFault> {
    let mut named: Vec<(String, &str)> = Vec::new();
    for (idx, issuer) in config.issuers.iter().enumerate() {
        let claims = issuer.claims.keys();
        named
            .extend(claims.map(|claim| (format!("issuers[{idx}].claims.{claim}"), claim.as_str())));
        let subject = issuer.subject.as_deref();
        named.extend(subject.map(|claim| (format!("issuers[{idx}].subject"), claim)));
    }
    for (idx, rule) in config.rules.iter().enumerate() {
        let claims = rule.claims.keys();
        named.extend(claims.map(|claim| (format!("rules[{idx}].claims.{claim}"), claim.as_str())));
        let in_path = rule.path.split("{claim:").skip(1);
        let in_path = in_path.filter_map(|rest| rest.split('}').next());
        named.extend(in_path.map(|claim| (format!("rules[{idx}].path"), claim)));
    }
    let is_member_by_dots = |name: &str| {
        // A namespaced claim, such as Auth0's, is a URL.
        !name.starts_with('/') && !name.contains("://") && name.contains('.')
    };
    named
        .into_iter()
        .filter(|(_, claim)| is_member_by_dots(claim))
        .map(|(key, claim)| {
            let pointer = claim.replace('.', "/");
            let message = format!(
                "{claim} is the name of one top-level claim; for a member within another write \"/{pointer}\""
            );
            ConfigFault::new(key, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, ClaimRequirement, ClaimValue, Issuer, Rule};

    #[test]
    fn a_name_with_dots_is_probably_a_member_of_another_claim() {
        let any = || ClaimRequirement::Any(vec![ClaimValue::Bool(true)]);
        let mut issuer = Issuer {
            subject: Some("user.id".to_owned()),
            ..Issuer::default()
        };
        issuer.claims.insert("a.b".to_owned(), any());
        let mut rule = Rule::new(
            "/{claim:realm_access.roles}/{claim:https://example.com/roles}/{claim:/a/b.c}/x",
            Access::Authenticated,
        );
        rule.claims.insert("cognito:groups".to_owned(), any());
        rule.claims.insert("app_metadata.role".to_owned(), any());
        let config = Config {
            issuers: vec![issuer],
            rules: vec![rule],
            ..Config::default()
        };
        let found: Vec<_> = warnings(&config)
            .into_iter()
            .map(|warning| (warning.key, warning.message))
            .collect();
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "issuers[0].claims.a.b",
                "issuers[0].subject",
                "rules[0].claims.app_metadata.role",
                "rules[0].path",
            ]
        );
        assert_eq!(
            found[3].1,
            "realm_access.roles is the name of one top-level claim; for a member within another write \"/realm_access/roles\""
        );
    }
}
