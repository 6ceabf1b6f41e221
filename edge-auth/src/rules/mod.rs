//! Path rules: which is about this request, and what it asks of the viewer.
//!
//! A rule matches by method and path alone; the first that matches decides, whatever it then says. `{owner}` and
//! `{claim:NAME}` match any one segment, and the viewer must be what that segment names.

mod pattern;

use crate::config::{Access, Fault, RequiredClaims, Rule};
use crate::identity::Viewer;
use crate::path::CanonicalPath;
use crate::refusal::Refusal;

use pattern::{Pattern, Segment};

/// The methods that `CloudFront` passes on; a rule for another could never match.
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];
/// The methods of a rule that names none.
const READING: [&str; 2] = ["GET", "HEAD"];

/// The compiled rules, in order.
pub(crate) struct RuleSet {
    rules: Vec<CompiledRule>,
}

/// One rule, ready to be matched.
pub(crate) struct CompiledRule {
    pattern: Pattern,
    access: Access,
    methods: Vec<&'static str>,
    claims: RequiredClaims,
}

impl RuleSet {
    pub(crate) fn new(rules: &[Rule], faults: &mut Vec<Fault>) -> Self {
        let mut compiled: Vec<(usize, CompiledRule)> = Vec::with_capacity(rules.len());
        for (idx, rule) in rules.iter().enumerate() {
            let mut fault =
                |name, message| faults.push(Fault::new(format!("rules[{idx}].{name}"), message));
            match CompiledRule::new(rule) {
                Ok(new) => {
                    if let Some(earlier) = new.shadow(&compiled) {
                        fault(
                            "path",
                            format!(
                                "no request comes as far as this rule: rules[{earlier}] decides all that it is about; put it further up or leave it out"
                            ),
                        );
                    }
                    compiled.push((idx, new));
                }
                Err((name, message)) => fault(name, message),
            }
        }
        Self {
            rules: compiled.into_iter().map(|(_, rule)| rule).collect(),
        }
    }

    /// The claims that viewers are asked for.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| {
            let in_path = rule
                .pattern
                .segments()
                .iter()
                .filter_map(|segment| match segment {
                    Segment::Claim(claim) => Some(claim.as_str()),
                    _ => None,
                });
            in_path.chain(rule.claims.keys().map(String::as_str))
        })
    }

    /// The first rule about this method and path, with its index.
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

impl CompiledRule {
    fn new(rule: &Rule) -> Result<Self, (&'static str, String)> {
        let pattern = Pattern::parse(&rule.path).map_err(|fault| ("path", fault))?;
        let segments = pattern.segments();
        let names_somebody = segments
            .iter()
            .any(|segment| !matches!(segment, Segment::Glob(_)));
        let names_owner = segments.contains(&Segment::Owner);
        match &rule.access {
            Access::Owner if !names_owner => {
                return Err(("allow", "\"owner\" needs {owner} in the path".to_owned()));
            }
            Access::Anyone if names_somebody => {
                return Err((
                    "allow",
                    "\"anyone\" has no identity that {owner} or {claim:…} could be held against; write * instead"
                        .to_owned(),
                ));
            }
            Access::Anyone if !rule.claims.is_empty() => {
                return Err((
                    "claims",
                    "\"anyone\" has no token whose claims could be looked at".to_owned(),
                ));
            }
            Access::Scopes(scopes) if scopes.is_empty() => {
                return Err(("scopes", "name at least one scope".to_owned()));
            }
            Access::Scopes(scopes) if scopes.iter().any(|s| s.is_empty() || s.contains(' ')) => {
                return Err(("scopes", "a scope is one word without spaces".to_owned()));
            }
            _ => {}
        }
        if rule.claims.values().any(Vec::is_empty) {
            return Err((
                "claims",
                "name at least one value for each claim".to_owned(),
            ));
        }
        let mut methods = Vec::with_capacity(rule.methods.len());
        for method in &rule.methods {
            let Some(known) = METHODS.into_iter().find(|known| known == method) else {
                return Err((
                    "methods",
                    format!(
                        "{method:?} is none of the methods that CloudFront passes on: {}",
                        METHODS.join(", ")
                    ),
                ));
            };
            methods.push(known);
        }
        if methods.is_empty() {
            methods.extend(READING);
        }
        Ok(Self {
            pattern,
            access: rule.access.clone(),
            methods,
            claims: rule.claims.clone(),
        })
    }

    /// The rule that leaves nothing to this one: for each method an earlier one decides on every path that it matches.
    fn shadow(&self, earlier: &[(usize, Self)]) -> Option<usize> {
        let mut last = None;
        for method in &self.methods {
            let (idx, _) = earlier.iter().find(|(_, rule)| {
                rule.methods.contains(method) && rule.pattern.covers(&self.pattern)
            })?;
            last = last.max(Some(*idx));
        }
        last
    }

    fn matches(&self, method: &str, path: &CanonicalPath) -> bool {
        self.methods.contains(&method) && self.pattern.matches(path)
    }

    /// Whether the rule can be decided without knowing the viewer.
    pub(crate) fn is_for_anyone(&self) -> bool {
        self.access == Access::Anyone
    }

    /// Holds the viewer against what the rule asks and what the path names.
    pub(crate) fn check(&self, path: &CanonicalPath, viewer: &Viewer) -> Result<(), Refusal> {
        for (segment, text) in self.pattern.segments().iter().zip(path.segments()) {
            match segment {
                Segment::Glob(_) => {}
                Segment::Owner if text == viewer.owner.as_str() => {}
                Segment::Owner => return Err(Refusal::NotOwner),
                Segment::Claim(claim) if viewer.claim_holds(claim, text) => {}
                Segment::Claim(claim) => {
                    return Err(Refusal::ClaimMismatch {
                        claim: claim.clone(),
                    });
                }
            }
        }
        if let Some(claim) = viewer.missing_claim(&self.claims) {
            return Err(Refusal::ClaimRequired {
                claim: claim.to_owned(),
            });
        }
        match &self.access {
            Access::Anyone | Access::Authenticated | Access::Owner => Ok(()),
            Access::Scopes(scopes) => match scopes.iter().find(|scope| !viewer.has_scope(scope)) {
                None => Ok(()),
                Some(scope) => Err(Refusal::MissingScope {
                    scope: scope.clone(),
                }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, access: Access) -> Rule {
        Rule {
            path: path.to_owned(),
            access,
            methods: Vec::new(),
            claims: RequiredClaims::new(),
        }
    }

    fn faults(rules: &[Rule]) -> Vec<String> {
        let mut faults = Vec::new();
        RuleSet::new(rules, &mut faults);
        faults.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn rules_hold_for_reading_unless_they_say_otherwise() {
        let mut post = rule("/a", Access::Anyone);
        post.methods = vec!["POST".to_owned()];
        let mut faults = Vec::new();
        let set = RuleSet::new(&[rule("/a", Access::Anyone), post], &mut faults);
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
                claims: RequiredClaims::from([("team".to_owned(), vec![])]),
                ..rule("/c", Access::Authenticated)
            },
            Rule {
                claims: RequiredClaims::from([("team".to_owned(), vec![])]),
                ..rule("/d", Access::Anyone)
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
                "rules[10].methods",
                "rules[11].claims",
                "rules[12].claims",
            ]
        );
    }

    #[test]
    fn a_rule_that_no_request_reaches_is_a_fault() {
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
