//! Path rules: which rule applies to a request, and what it requires of the viewer.
//!
//! A rule matches by method and path alone, and the first match decides. `{owner}` and `{claim:PATH}` match any one
//! segment, which the viewer's token must then confirm.

mod pattern;
mod rule;

use crate::config::{ConfigFault, Rule};
use crate::http::path::CanonicalPath;
use crate::issuers::IssuerNames;
use crate::token::ClaimPlan;

pub(crate) use pattern::Segment;
pub(crate) use rule::CompiledRule;

/// The compiled rules, in order.
pub(crate) struct RuleSet {
    rules: Vec<CompiledRule>,
}

impl RuleSet {
    /// Compiles rules, plans the claims that they name, and reports every fault of every rule.
    pub(crate) fn new(
        rules: &[Rule],
        issuers: &IssuerNames,
        plan: &mut ClaimPlan,
        faults: &mut Vec<ConfigFault>,
    ) -> Self {
        let mut compiled: Vec<(usize, CompiledRule)> = Vec::with_capacity(rules.len());
        for (idx, rule) in rules.iter().enumerate() {
            let mut found = Vec::new();
            let new = CompiledRule::new(rule, issuers, plan, &mut found);
            let report = |(name, message): (String, String)| {
                faults.push(ConfigFault::new(format!("rules[{idx}].{name}"), message));
            };
            let is_whole = found.is_empty();
            found.into_iter().for_each(report);
            let Some(new) = new.filter(|_| is_whole) else {
                continue;
            };
            if let Some(earlier) = new.shadow(&compiled) {
                faults.push(ConfigFault::new(
                    format!("rules[{idx}].path"),
                    format!(
                        "unreachable: rules[{earlier}] already matches every request that this rule matches; move it up or remove it"
                    ),
                ));
            }
            compiled.push((idx, new));
        }
        Self {
            rules: compiled.into_iter().map(|(_, rule)| rule).collect(),
        }
    }

    /// The rules in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CompiledRule> {
        self.rules.iter()
    }

    /// The first rule for this method and path, with its index.
    pub(crate) fn first_match(
        &self,
        method: &str,
        path: &CanonicalPath,
    ) -> Option<(usize, &CompiledRule)> {
        self.rules
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.matches(method, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Access, ClaimRequirement, ClaimValue, Issuer, RequiredClaims, RuleIssuers,
    };

    fn rule(path: &str, access: Access) -> Rule {
        Rule::new(path, access)
    }

    fn compile(rules: &[Rule], issuers: &[&str]) -> (RuleSet, Vec<ConfigFault>) {
        let issuers: Vec<_> = issuers
            .iter()
            .map(|issuer| Issuer {
                issuer: (*issuer).to_owned(),
                ..Issuer::default()
            })
            .collect();
        let mut faults = Vec::new();
        let names = IssuerNames::new(&issuers);
        let set = RuleSet::new(rules, &names, &mut ClaimPlan::default(), &mut faults);
        (set, faults)
    }

    fn faults(rules: &[Rule]) -> Vec<String> {
        let (_, faults) = compile(rules, &["https://a/"]);
        faults.into_iter().map(|fault| fault.key).collect()
    }

    fn none_of(claim: &str) -> RequiredClaims {
        RequiredClaims::from([(claim.to_owned(), ClaimRequirement::Any(vec![]))])
    }

    #[test]
    fn rules_apply_to_get_and_head_by_default() {
        let mut post = rule("/a", Access::Anyone);
        post.methods = vec!["POST".to_owned()];
        let (set, _) = compile(&[rule("/a", Access::Anyone), post], &[]);
        let path = CanonicalPath::parse("/a").unwrap_or_else(|fault| panic!("{fault}"));
        for (method, idx) in [
            ("GET", Some(0)),
            ("HEAD", Some(0)),
            ("POST", Some(1)),
            ("PUT", None),
            ("get", None),
        ] {
            let found = set.first_match(method, &path).map(|(idx, _)| idx);
            assert_eq!(found, idx, "{method}");
        }
    }

    #[test]
    fn every_bad_rule_is_reported() {
        let rules = [
            rule("media/**", Access::Anyone),
            rule("/a/**/b", Access::Anyone),
            rule("/a//b", Access::Anyone),
            rule("/a/../b", Access::Anyone),
            rule("/a%20b", Access::Anyone),
            rule("/a/{user}", Access::Authenticated),
            rule("/a/x{owner}", Access::Authenticated),
            rule("/a/{owner}", Access::Anyone),
            rule("/a/*", Access::Owner),
            rule("/a", Access::Scopes(vec![])),
            Rule {
                methods: vec!["get".to_owned()],
                ..rule("/b", Access::Anyone)
            },
            Rule {
                claims: none_of("team"),
                ..rule("/c", Access::Authenticated)
            },
            Rule {
                claims: none_of("team"),
                ..rule("/d", Access::Anyone)
            },
            // Every fault of a rule at once.
            Rule {
                methods: vec!["TRACE".to_owned()],
                ..rule("e", Access::Scopes(vec!["a b".to_owned()]))
            },
        ];
        assert_eq!(
            faults(&rules),
            [
                "rules[0].path",
                "rules[1].path",
                "rules[2].path",
                "rules[3].path",
                "rules[4].path",
                "rules[5].path",
                "rules[6].path",
                "rules[7].allow",
                "rules[8].allow",
                "rules[9].scopes",
                "rules[10].methods[0]",
                "rules[11].claims.team",
                "rules[12].claims",
                "rules[12].claims.team",
                "rules[13].path",
                "rules[13].scopes",
                "rules[13].methods[0]",
            ]
        );
    }

    #[test]
    fn with_several_issuers_a_rule_names_those_whose_claims_it_trusts() {
        let about = |issuers: RuleIssuers| Rule {
            issuers,
            ..rule("/x/{claim:groups}", Access::Authenticated)
        };
        let one_of = |names: &[&str]| {
            RuleIssuers::OneOf(names.iter().map(|&name| name.to_owned()).collect())
        };
        let claims = Rule {
            claims: RequiredClaims::from([(
                "team".to_owned(),
                ClaimRequirement::Any(vec![ClaimValue::Text("red".to_owned())]),
            )]),
            ..rule("/x", Access::Authenticated)
        };
        let scopes = rule("/x", Access::Scopes(vec!["read".to_owned()]));
        let two = ["https://a/", "https://b/"];
        for (rule, issuers, is_fault) in [
            (about(RuleIssuers::Unnamed), &two[..1], false),
            (about(RuleIssuers::Unnamed), &two[..], true),
            (claims, &two[..], true),
            (scopes, &two[..], true),
            (rule("/{owner}/x", Access::Owner), &two[..], false),
            (rule("/x", Access::Authenticated), &two[..], false),
            (about(RuleIssuers::Any), &two[..], false),
            (about(one_of(&["https://b/"])), &two[..], false),
            (about(one_of(&["https://c/"])), &two[..], true),
            (about(one_of(&[])), &two[..], true),
        ] {
            let (_, faults) = compile(std::slice::from_ref(&rule), issuers);
            let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
            let place = match &rule.issuers {
                RuleIssuers::OneOf(names) if !names.is_empty() => "rules[0].issuers[0]",
                _ => "rules[0].issuers",
            };
            let expected: &[&str] = if is_fault { &[place] } else { &[] };
            assert_eq!(keys, expected, "{rule:?}");
        }
    }

    #[test]
    fn an_unreachable_rule_is_a_fault() {
        let rules = |paths: &[(&str, &[&str])]| -> Vec<Rule> {
            paths
                .iter()
                .map(|(path, methods)| Rule {
                    methods: methods.iter().map(|&method| method.to_owned()).collect(),
                    ..rule(path, Access::Authenticated)
                })
                .collect()
        };
        for (paths, reachable) in [
            (vec![("/a/*", [].as_slice()), ("/a/b", &[])], false),
            (vec![("/a/b", &[]), ("/a/*", &[])], true),
            (vec![("/a/**", &[]), ("/a", &[])], false),
            (vec![("/a/**", &[]), ("/a/b/**", &[])], false),
            (vec![("/a/*", &[]), ("/a/**", &[])], true),
            (vec![("/**", &[]), ("/", &[])], false),
            (vec![("/{owner}/x", &[]), ("/*/x", &[])], false),
            (vec![("/*/x", &[]), ("/{claim:groups}/x", &[])], false),
            (vec![("/x*/a", &[]), ("/{owner}/a", &[])], true),
            (vec![("/a/*", &[]), ("/a/", &[])], true),
            (vec![("/a*", &[]), ("/a*b", &[])], false),
            (vec![("/a*b", &[]), ("/a*", &[])], true),
            (vec![("/*b*", &[]), ("/a*b", &[])], false),
            (vec![("/a*b*", &[]), ("/a*b", &[])], false),
            (vec![("/aa*a", &[]), ("/a*aa", &[])], true),
            (vec![("/a", &["GET"]), ("/a", &[])], true),
            (
                vec![("/a", &["GET"]), ("/a", &["HEAD"]), ("/a", &[])],
                false,
            ),
            (vec![("/a", &[]), ("/a", &["PUT"])], true),
        ] {
            assert_eq!(faults(&rules(&paths)).is_empty(), reachable, "{paths:?}");
        }
    }
}
