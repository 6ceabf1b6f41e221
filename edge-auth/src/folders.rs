//! The rules as folders, for a system that can check nothing else: `CloudFront`'s signed cookies, whose policy names one
//! folder and whose signature is made before the request.
//!
//! [`Authorizer::folder_faults`] finds the rules that are not about whole folders. [`Authorizer::folders`] answers with the
//! folders that a viewer may read, decided by the same rules as a request. Nothing is signed here.

use crate::authorizer::Authorizer;
use crate::config::ConfigFault;
use crate::http::path::CanonicalPath;
use crate::identity::Viewer;
use crate::rules::{CompiledRule, Segment};

/// The longest name of a folder that comes from a claim.
const MAX_NAME: usize = 128;

/// What a rule of such a system may look like.
const SHAPES: &str = "CloudFront's cookies are for whole folders: write a path such as \"/media/{owner}/**\", \"/team/{claim:groups}/**\" or \"/reports/**\"";
/// What a rule for anyone may look like.
const OPEN_SHAPES: &str = "without a cookie CloudFront opens a folder such as \"/public/**\", or one path such as \"/robots.txt\"";

impl Authorizer {
    /// The rules that signed cookies cannot check, each with its key as `gatepost.toml` spells it: rules that are not about
    /// a whole folder, that tell methods apart, or that are about a part of another rule's folder.
    pub fn folder_faults(&self) -> Vec<ConfigFault> {
        let rules: Vec<_> = self.rules().iter().collect();
        let mut faults = Vec::new();
        for (idx, rule) in rules.iter().enumerate() {
            if let Some(message) = path_fault(rule) {
                faults.push(ConfigFault::new(format!("rules[{idx}].path"), message));
                continue;
            }
            if rule.methods() != ["GET", "HEAD"] {
                faults.push(ConfigFault::new(
                    format!("rules[{idx}].methods"),
                    "CloudFront's cookies do not tell methods apart, and are for GET and HEAD; remove this",
                ));
            }
            let earlier = rules[..idx].iter().position(|other| is_part(rule, other));
            if let Some(earlier) = earlier {
                faults.push(ConfigFault::new(
                    format!("rules[{idx}].path"),
                    format!(
                        "its folder and that of rules[{earlier}] are within each other, and a cookie for the outer one would open the inner one, too; use folders side by side"
                    ),
                ));
            }
        }
        faults
    }

    /// The folders that the rules let a viewer read, each with a slash at both ends: `/media/{owner}/`. They are in the
    /// order of the rules, and within a rule in that of the claim's values.
    ///
    /// A folder is granted only by the first rule about it. A claim's value names a folder only if it has 1 to 128 of the
    /// characters `A-Z a-z 0-9 . _ ~ -` and is not a dot segment. Rules for anyone grant nothing, because they need no
    /// cookie.
    pub fn folders(&self, viewer: &Viewer) -> Vec<String> {
        let mut granted: Vec<String> = Vec::new();
        for (idx, rule) in self.rules().iter().enumerate() {
            if rule.is_for_anyone() || path_fault(rule).is_some() {
                continue;
            }
            for folder in candidates(rule, viewer) {
                if !granted.contains(&folder) && self.grants(idx, &folder, viewer) {
                    granted.push(folder);
                }
            }
        }
        granted
    }

    /// Whether the rule with this index is the first one about a folder, and lets the viewer read it.
    fn grants(&self, idx: usize, folder: &str, viewer: &Viewer) -> bool {
        let Ok(path) = CanonicalPath::parse(folder) else {
            return false;
        };
        match self.rules().first_match("GET", &path) {
            Some((first, rule)) if first == idx => {
                let plan = self.verifier().plan();
                rule.check(&path, viewer, plan).is_ok()
            }
            _ => false,
        }
    }
}

/// The reason why a rule's path is not one that signed cookies can check.
fn path_fault(rule: &CompiledRule) -> Option<String> {
    let pattern = rule.pattern();
    let segments = pattern.segments();
    let is_variable = |segment: &&Segment| !matches!(segment, Segment::Glob(_));
    let shapes = if rule.is_for_anyone() {
        OPEN_SHAPES
    } else {
        SHAPES
    };
    if !pattern.is_open_ended() && !rule.is_for_anyone() {
        return Some(format!("the path must end in /**; {shapes}"));
    }
    if segments.first().and_then(fixed).is_none() {
        return Some(format!(
            "the first folder of the path must be fixed; {shapes}"
        ));
    }
    if segments.iter().filter(is_variable).count() > 1 {
        return Some(format!("the path has more than one variable; {shapes}"));
    }
    let texts = segments.iter().filter(|segment| !is_variable(segment));
    for text in texts.map(fixed) {
        match text {
            None => return Some(format!("a * is not possible within the path; {shapes}")),
            Some(text) if !is_name(text) => {
                return Some(format!(
                    "{text:?} cannot be in a cookie's path; use only letters, digits and . _ ~ -"
                ));
            }
            Some(_) => {}
        }
    }
    None
}

/// The text of a fixed segment.
fn fixed(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Glob(parts) => match parts.as_slice() {
            [whole] => Some(whole),
            _ => None,
        },
        Segment::Owner | Segment::Claim(_) => None,
    }
}

/// Whether one of two rules is about a part of the other's folder. Folders side by side are not, also if their names could
/// be equal: the first rule about each one decides.
fn is_part(one: &CompiledRule, other: &CompiledRule) -> bool {
    let (one, other) = (one.pattern(), other.pattern());
    let (shorter, longer) = if one.segments().len() < other.segments().len() {
        (one, other)
    } else {
        (other, one)
    };
    let mut pairs = shorter.segments().iter().zip(longer.segments());
    shorter.segments().len() < longer.segments().len()
        && shorter.is_open_ended()
        && pairs.all(|(segment, other)| can_be_equal(segment, other))
}

/// A variable matches every text, as it does for a request: the first rule is chosen before its variable is checked.
fn can_be_equal(one: &Segment, other: &Segment) -> bool {
    match (fixed(one), fixed(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// The folders of a rule for the viewer's own owner and claims, before the rule is checked.
fn candidates(rule: &CompiledRule, viewer: &Viewer) -> Vec<String> {
    let segments = rule.pattern().segments();
    let variable = segments.iter().find(|segment| fixed(segment).is_none());
    let names: Vec<String> = match variable {
        Some(Segment::Owner) => {
            let owner = viewer.owner.as_ref();
            owner
                .map(|owner| owner.as_str().to_owned())
                .into_iter()
                .collect()
        }
        Some(Segment::Claim(id)) => viewer.claims.texts(*id),
        // One folder, whose name does not depend on the viewer.
        Some(Segment::Glob(_)) | None => vec![String::new()],
    };
    let is_usable = |name: &&String| variable.is_none() || is_name(name);
    let folder = |name: &String| {
        let segments = segments
            .iter()
            .map(|segment| fixed(segment).unwrap_or(name));
        segments.fold("/".to_owned(), |folder, segment| folder + segment + "/")
    };
    names.iter().filter(is_usable).map(folder).collect()
}

/// Whether a text can be a folder of a URL and of a cookie's path without any encoding.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !matches!(text, "." | "..")
}
