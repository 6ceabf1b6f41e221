//! Path rules: which is about this request, and what it asks of the viewer.
//!
//! A rule matches by method and path alone; the first that matches decides, whatever it then says. `{owner}` and
//! `{claim:NAME}` match any one segment, and the viewer must be what that segment names.

use crate::config::{Access, Fault, Rule};
use crate::identity::Viewer;
use crate::path::CanonicalPath;
use crate::refusal::Refusal;

/// The compiled rules, in order.
pub(crate) struct RuleSet {
    rules: Vec<CompiledRule>,
}

/// One rule, ready to be matched.
pub(crate) struct CompiledRule {
    segments: Vec<Segment>,
    /// Whether the pattern ended in `**`: any number of segments may follow.
    open_ended: bool,
    access: Access,
    methods: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Segment {
    /// The text between stars; one part means that there was no star.
    Glob(Vec<String>),
    Owner,
    Claim(String),
}

impl RuleSet {
    pub(crate) fn new(rules: &[Rule], faults: &mut Vec<Fault>) -> Self {
        let mut compiled = Vec::with_capacity(rules.len());
        for (idx, rule) in rules.iter().enumerate() {
            match CompiledRule::new(rule) {
                Ok(rule) => compiled.push(rule),
                Err((name, message)) => {
                    faults.push(Fault::new(format!("rules[{idx}].{name}"), message));
                }
            }
        }
        Self { rules: compiled }
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
            .find(|(_, rule)| rule.covers_method(method) && rule.matches(path))
    }
}

impl CompiledRule {
    fn new(rule: &Rule) -> Result<Self, (&'static str, String)> {
        let (segments, open_ended) = parse_pattern(&rule.path).map_err(|fault| ("path", fault))?;
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
            Access::Scopes(scopes) if scopes.is_empty() => {
                return Err(("scopes", "name at least one scope".to_owned()));
            }
            Access::Scopes(scopes) if scopes.iter().any(|s| s.is_empty() || s.contains(' ')) => {
                return Err(("scopes", "a scope is one word without spaces".to_owned()));
            }
            _ => {}
        }
        if let Some(method) = rule
            .methods
            .iter()
            .find(|method| method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err((
                "methods",
                format!("{method:?} is no method; methods are upper-case words"),
            ));
        }
        Ok(Self {
            segments,
            open_ended,
            access: rule.access.clone(),
            methods: rule.methods.clone(),
        })
    }

    fn covers_method(&self, method: &str) -> bool {
        if self.methods.is_empty() {
            return matches!(method, "GET" | "HEAD");
        }
        self.methods.iter().any(|covered| covered == method)
    }

    fn matches(&self, path: &CanonicalPath) -> bool {
        let mut found = path.segments();
        for segment in &self.segments {
            match found.next() {
                Some(text) if segment.matches(text) => {}
                _ => return false,
            }
        }
        self.open_ended || found.next().is_none()
    }

    /// Whether the rule can be decided without knowing the viewer.
    pub(crate) fn is_for_anyone(&self) -> bool {
        self.access == Access::Anyone
    }

    /// Holds the viewer against what the rule asks and what the path names.
    pub(crate) fn check(&self, path: &CanonicalPath, viewer: &Viewer) -> Result<(), Refusal> {
        for (segment, text) in self.segments.iter().zip(path.segments()) {
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

impl Segment {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(parts) => glob_matches(parts, text),
            // An empty segment names nobody.
            Self::Owner | Self::Claim(_) => !text.is_empty(),
        }
    }
}

/// Whether a text is made of these parts in order, with anything between them.
fn glob_matches(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|whole| whole == text);
    };
    let Some(rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
        return false;
    };
    for part in middle {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    // A lone star stands for something: `/team/*` is not about `/team/`.
    !(text.is_empty() && parts.iter().all(String::is_empty))
}

/// Takes a pattern apart; the errors are sentences about it.
fn parse_pattern(pattern: &str) -> Result<(Vec<Segment>, bool), String> {
    let Some(rest) = pattern.strip_prefix('/') else {
        return Err("a path begins with a slash".to_owned());
    };
    let mut texts: Vec<&str> = rest.split('/').collect();
    let open_ended = texts.last() == Some(&"**");
    if open_ended {
        texts.pop();
    }
    let mut segments = Vec::with_capacity(texts.len());
    for (idx, text) in texts.iter().enumerate() {
        let is_last = idx + 1 == texts.len() && !open_ended;
        let segment = if let Some(name) = placeholder(text)? {
            match name.split_once(':') {
                None if name == "owner" => Segment::Owner,
                Some(("claim", claim)) if !claim.is_empty() => Segment::Claim(claim.to_owned()),
                _ => {
                    return Err(format!(
                        "{{{name}}} is no placeholder; there are {{owner}} and {{claim:NAME}}"
                    ));
                }
            }
        } else if text.contains("**") {
            return Err("** is the last segment of a path or does not stand in it".to_owned());
        } else {
            match *text {
                "" if !is_last => {
                    return Err("it holds an empty segment, which no request may have".to_owned());
                }
                "." | ".." => {
                    return Err("it holds a dot segment, which no request may have".to_owned());
                }
                _ if text.contains(['%', '\\', '?', '#']) || text.chars().any(char::is_control) => {
                    return Err("it is matched against the decoded path: write characters as they are, without % \\ ? #".to_owned());
                }
                _ => Segment::Glob(text.split('*').map(str::to_owned).collect()),
            }
        };
        segments.push(segment);
    }
    Ok((segments, open_ended))
}

/// The name between braces, if the segment is a placeholder. Braces anywhere else are a mistake.
fn placeholder(segment: &str) -> Result<Option<&str>, String> {
    if let Some(name) = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        && !name.contains(['{', '}'])
    {
        return Ok(Some(name));
    }
    if segment.contains(['{', '}']) {
        return Err(format!(
            "{segment:?}: a placeholder is a whole segment, such as {{owner}}"
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, access: Access) -> Rule {
        Rule {
            path: path.to_owned(),
            access,
            methods: Vec::new(),
        }
    }

    fn matches(pattern: &str, path: &str) -> bool {
        let mut faults = Vec::new();
        let set = RuleSet::new(&[rule(pattern, Access::Authenticated)], &mut faults);
        assert_eq!(faults, [], "{pattern}");
        let path = CanonicalPath::parse(path).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        set.first_match("GET", &path).is_some()
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", true),
            ("/a/**", "/ab", false),
            ("/a", "/a/", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/", false),
            ("/a/*", "/a/b/c", false),
            ("/a/*.webp", "/a/640.webp", true),
            ("/a/*.webp", "/a/640.webp.exe", false),
            ("/a/x*y*z", "/a/x1y2z", true),
            ("/a/x*y*z", "/a/xz", false),
            ("/a/xx*xx", "/a/xxx", false),
            ("/media/{owner}/**", "/media/k5x/a/b.webp", true),
            ("/media/{owner}/**", "/media/", false),
            ("/team/{claim:groups}/**", "/team/red/x", true),
            ("/café", "/caf%C3%A9", true),
            ("/A", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
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
        ];
        let mut faults = Vec::new();
        RuleSet::new(&rules, &mut faults);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
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
            ]
        );
    }
}
