//! Path rules: which rule applies to a request, and what it requires of the viewer.
//!
//! A rule matches by method and path alone, and the first match decides. `{owner}` and `{claim:PATH}` match any one
//! segment, which the viewer's token must then confirm.

mod pattern;

use crate::config::{Access, ClaimRequirement, Fault, Rule, RuleIssuers};
use crate::http::path::CanonicalPath;
use crate::identity::Viewer;
use crate::refusal::Refusal;
use crate::token::claims::{ClaimId, ClaimPath, ClaimPlan, NotRetained};
use crate::token::requirements;
use crate::verify::IssuerNames;

use pattern::{Pattern, Segment};

/// The methods that `CloudFront` forwards; a rule for any other could never match.
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];
/// The methods of a rule that lists none.
const READING: [&str; 2] = ["GET", "HEAD"];

/// The compiled rules, in order.
pub(crate) struct RuleSet {
    rules: Vec<CompiledRule>,
}

/// One rule, ready to be matched.
pub(crate) struct CompiledRule {
    pattern: Pattern,
    access: CompiledAccess,
    methods: Vec<&'static str>,
    claims: Vec<(ClaimId, ClaimRequirement)>,
    /// The issuer blocks whose tokens it accepts; `None` means any.
    blocks: Option<Vec<usize>>,
}

enum CompiledAccess {
    Anyone,
    /// `owner` requires no more than `authenticated`: the check is `{owner}` in the path.
    Authenticated,
    Scopes {
        scopes: Vec<String>,
        /// `scope` and `scp`.
        claims: [ClaimId; 2],
    },
}

impl RuleSet {
    /// Compiles rules, plans the claims that they name, and reports every fault of every rule.
    pub(crate) fn new(
        rules: &[Rule],
        issuers: &IssuerNames,
        plan: &mut ClaimPlan,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut compiled: Vec<(usize, CompiledRule)> = Vec::with_capacity(rules.len());
        for (idx, rule) in rules.iter().enumerate() {
            let mut found = Vec::new();
            let new = CompiledRule::new(rule, issuers, plan, &mut found);
            let report = |(name, message): (String, String)| {
                faults.push(Fault::new(format!("rules[{idx}].{name}"), message));
            };
            let is_whole = found.is_empty();
            found.into_iter().for_each(report);
            let Some(new) = new.filter(|_| is_whole) else {
                continue;
            };
            if let Some(earlier) = new.shadow(&compiled) {
                faults.push(Fault::new(
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

impl CompiledRule {
    /// Compiles a rule. Each fault is added to `faults`, with its key within the rule.
    fn new(
        rule: &Rule,
        issuers: &IssuerNames,
        plan: &mut ClaimPlan,
        faults: &mut Vec<(String, String)>,
    ) -> Option<Self> {
        let mut fault = |name: &str, message: String| faults.push((name.to_owned(), message));
        let pattern = match Pattern::parse(&rule.path, plan) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                fault("path", message);
                None
            }
        };
        let segments = pattern.as_ref().map_or(&[][..], Pattern::segments);
        let names_owner = segments.contains(&Segment::Owner);
        let names_claim = segments
            .iter()
            .any(|segment| matches!(segment, Segment::Claim(_)));
        let access = match &rule.access {
            Access::Anyone => {
                if names_owner || names_claim {
                    fault(
                        "allow",
                        "\"anyone\" does not read a token, so {owner} and {claim:…} cannot be checked; write * instead"
                            .to_owned(),
                    );
                }
                if !rule.claims.is_empty() {
                    fault("claims", "\"anyone\" does not read a token, so claims cannot be checked; remove them".to_owned());
                }
                if rule.issuers != RuleIssuers::Unnamed {
                    fault("issuers", "\"anyone\" does not read a token, so its issuer cannot be checked; remove this".to_owned());
                }
                CompiledAccess::Anyone
            }
            Access::Authenticated => CompiledAccess::Authenticated,
            Access::Owner => {
                if pattern.is_some() && !names_owner {
                    fault("allow", "\"owner\" needs {owner} in the path".to_owned());
                }
                CompiledAccess::Authenticated
            }
            Access::Scopes(scopes) => {
                if scopes.is_empty() {
                    fault("scopes", "name at least one scope".to_owned());
                }
                let is_odd = |c: char| c.is_whitespace() || c.is_control();
                if scopes.iter().any(|s| s.is_empty() || s.contains(is_odd)) {
                    fault("scopes", "a scope is one word without spaces".to_owned());
                }
                let named = ["scope", "scp"];
                CompiledAccess::Scopes {
                    scopes: scopes.clone(),
                    claims: named.map(|name| plan.retain(&ClaimPath::top_level(name))),
                }
            }
        };
        let claims = requirements::compile(&rule.claims, plan, &mut |claim, message| {
            fault(&format!("claims.{claim}"), message);
        });
        let methods = compile_methods(&rule.methods, &mut fault);
        let is_about_claims =
            names_claim || !rule.claims.is_empty() || matches!(rule.access, Access::Scopes(_));
        let blocks = compile_issuers(&rule.issuers, is_about_claims, issuers, &mut fault);
        Some(Self {
            pattern: pattern?,
            access,
            methods,
            claims,
            blocks,
        })
    }

    /// The index of the rule that makes this one unreachable: together, for each method, an earlier rule matches every
    /// path that this one matches.
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
        matches!(self.access, CompiledAccess::Anyone)
    }

    /// Checks the viewer against the rule and the path. Refusals name claims in the canonical form of `plan`.
    pub(crate) fn check(
        &self,
        path: &CanonicalPath,
        viewer: &Viewer,
        plan: &ClaimPlan,
    ) -> Result<(), Refusal> {
        if let Some(blocks) = &self.blocks
            && !blocks.contains(&viewer.block)
        {
            return Err(Refusal::IssuerNotAllowed);
        }
        let claim_of = |id: &ClaimId| plan.name(*id).to_owned();
        let stale = |id: &ClaimId| {
            let claim = claim_of(id);
            move |NotRetained| Refusal::StaleSession { claim }
        };
        for (segment, text) in self.pattern.segments().iter().zip(path.segments()) {
            match segment {
                Segment::Glob(_) => {}
                Segment::Owner => match &viewer.owner {
                    Some(owner) if owner.as_str() == text => {}
                    Some(_) => return Err(Refusal::NotOwner),
                    None => return Err(Refusal::NoOwner),
                },
                Segment::Claim(id) => {
                    if !viewer.claims.names(*id, text).map_err(stale(id))? {
                        return Err(Refusal::ClaimMismatch {
                            claim: claim_of(id),
                        });
                    }
                }
            }
        }
        for (id, requirement) in &self.claims {
            if !viewer.claims.meets(*id, requirement).map_err(stale(id))? {
                return Err(Refusal::ClaimRequired {
                    claim: claim_of(id),
                });
            }
        }
        let CompiledAccess::Scopes { scopes, claims } = &self.access else {
            return Ok(());
        };
        for scope in scopes {
            let mut is_granted = false;
            for id in claims {
                is_granted |= viewer.claims.grants(*id, scope).map_err(stale(id))?;
            }
            if !is_granted {
                return Err(Refusal::MissingScope {
                    scope: scope.clone(),
                });
            }
        }
        Ok(())
    }
}

fn compile_methods(named: &[String], fault: &mut dyn FnMut(&str, String)) -> Vec<&'static str> {
    if named.is_empty() {
        return READING.to_vec();
    }
    let mut methods = Vec::with_capacity(named.len());
    for (idx, method) in named.iter().enumerate() {
        match METHODS.into_iter().find(|known| known == method) {
            Some(known) => methods.push(known),
            None => fault(
                &format!("methods[{idx}]"),
                format!(
                    "{method:?} is not a method that CloudFront forwards; those are {}",
                    METHODS.join(", ")
                ),
            ),
        }
    }
    methods
}

/// The issuer blocks whose tokens a rule accepts; `None` means any.
fn compile_issuers(
    named: &RuleIssuers,
    is_about_claims: bool,
    issuers: &IssuerNames,
    fault: &mut dyn FnMut(&str, String),
) -> Option<Vec<usize>> {
    let names = match named {
        RuleIssuers::Any => return None,
        RuleIssuers::Unnamed => {
            if is_about_claims && issuers.are_several() {
                fault(
                    "issuers",
                    format!(
                        "is missing: every issuer could grant what this rule requires; name those that may ({}), or write \"any\"",
                        issuers.listed()
                    ),
                );
            }
            return None;
        }
        RuleIssuers::OneOf(names) => names,
    };
    if names.is_empty() {
        fault(
            "issuers",
            "name at least one issuer, or write \"any\"".to_owned(),
        );
    }
    let mut blocks = Vec::new();
    for (idx, name) in names.iter().enumerate() {
        let key = format!("issuers[{idx}]");
        if name == "any" {
            fault(
                &key,
                "write \"any\" without brackets to accept every issuer".to_owned(),
            );
            continue;
        }
        let found = issuers.blocks_named(name);
        if found.is_empty() {
            let listed = issuers.listed();
            fault(
                &key,
                format!("{name:?} is not configured; there are {listed}"),
            );
        }
        blocks.extend(found);
    }
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClaimValue, Issuer, RequiredClaims};

    fn rule(path: &str, access: Access) -> Rule {
        Rule::new(path, access)
    }

    fn compile(rules: &[Rule], issuers: &[&str]) -> (RuleSet, Vec<Fault>) {
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
