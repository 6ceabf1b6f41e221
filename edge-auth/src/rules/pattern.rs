//! Path patterns: what they match, and whether one covers another.

use crate::http::path::CanonicalPath;
use crate::token::{ClaimId, ClaimPath, ClaimPlan};

/// A rule's path as a list of segments, each matched against one segment of the request.
pub(crate) struct Pattern {
    segments: Vec<Segment>,
    /// Whether the pattern ended in `**`: any number of segments may follow.
    open_ended: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Segment {
    /// The text between stars; a single part means no star.
    Glob(Vec<String>),
    Owner,
    Claim(ClaimId),
}

impl Pattern {
    /// Parses a pattern, and plans the claims that it names; the errors are sentences about it, one for each fault.
    pub(super) fn parse(pattern: &str, plan: &mut ClaimPlan) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let rest = pattern.strip_prefix('/').unwrap_or_else(|| {
            faults.push("a path begins with a slash".to_owned());
            pattern
        });
        let mut texts = split(rest);
        let open_ended = texts.last() == Some(&"**");
        if open_ended {
            texts.pop();
        }
        let mut segments = Vec::with_capacity(texts.len());
        for (idx, text) in texts.iter().enumerate() {
            let is_last = idx + 1 == texts.len() && !open_ended;
            match Segment::parse(text, is_last, plan) {
                Ok(segment) => segments.push(segment),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            segments,
            open_ended,
        })
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether any number of segments may follow.
    pub(crate) fn is_open_ended(&self) -> bool {
        self.open_ended
    }

    pub(super) fn matches(&self, path: &CanonicalPath) -> bool {
        let mut found = path.segments();
        for segment in &self.segments {
            match found.next() {
                Some(text) if segment.matches(text) => {}
                _ => return false,
            }
        }
        self.open_ended || found.next().is_none()
    }

    /// Whether this pattern matches every path that the other matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_long_enough = if self.open_ended {
            other.segments.len() >= self.segments.len()
        } else {
            other.segments.len() == self.segments.len() && !other.open_ended
        };
        is_long_enough
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(segment, other)| segment.covers(other))
    }
}

impl Segment {
    /// Parses a segment, and plans the claim that it names; the error is a sentence about the pattern.
    fn parse(text: &str, is_last: bool, plan: &mut ClaimPlan) -> Result<Self, String> {
        if let Some(name) = placeholder(text)? {
            return match name.split_once(':') {
                None if name == "owner" => Ok(Self::Owner),
                Some(("claim", claim)) => Ok(Self::Claim(plan.retain(&ClaimPath::parse(claim)?))),
                _ => Err(format!(
                    "{{{name}}} is not a placeholder; write {{owner}} or {{claim:PATH}}"
                )),
            };
        }
        match text {
            _ if text.contains("**") => {
                Err("** can only be the last segment of a path".to_owned())
            }
            "" if !is_last => {
                Err("it contains an empty segment, which no request may have".to_owned())
            }
            "." | ".." => Err("it contains a dot segment, which no request may have".to_owned()),
            _ if text.contains(['%', '\\', '?', '#']) || text.chars().any(char::is_control) => {
                Err("it is matched against the decoded path: write characters as they are, without % \\ ? #".to_owned())
            }
            _ => Ok(Self::Glob(text.split('*').map(str::to_owned).collect())),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        // A placeholder for a star of the other pattern: a text that only a star of this one can match.
        const ANYTHING: &str = "\0";
        match (self, other) {
            (Self::Glob(parts), Self::Glob(others)) => glob_matches(parts, &others.join(ANYTHING)),
            (Self::Glob(parts), _) => glob_matches(parts, ANYTHING),
            (_, Self::Glob(others)) => {
                others.iter().any(|part| !part.is_empty()) || others.len() > 1
            }
            _ => true,
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(parts) => glob_matches(parts, text),
            // An empty segment names no owner and no claim value.
            Self::Owner | Self::Claim(_) => !text.is_empty(),
        }
    }
}

/// Whether a text consists of these parts in order, with anything between them.
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
    // A lone star does not match an empty segment: `/team/*` does not match `/team/`.
    !(text.is_empty() && parts.iter().all(String::is_empty))
}

/// A pattern's segments. A slash within braces belongs to a claim's name, such as `{claim:https://example.com/roles}`.
fn split(pattern: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    pattern
        .split(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == '/' && depth == 0
        })
        .collect()
}

/// The name between braces, if the segment is a placeholder. Braces in any other position are a fault.
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
            (
                "/r/{claim:https://example.com/roles}/**",
                "/r/editor/x",
                true,
            ),
            ("/r/{claim:https://example.com/roles}/**", "/r/", false),
            ("/r/{claim:/realm_access/roles}", "/r/editor", true),
            ("/r/{claim:/a}/{claim:/b/c}/x", "/r/1/2/x", true),
            ("/r/{claim:/a}/{claim:/b/c}/x", "/r/1/x", false),
            ("/café", "/caf%C3%A9", true),
            ("/A", "/a", false),
        ] {
            let canonical =
                CanonicalPath::parse(path).unwrap_or_else(|fault| panic!("{path}: {fault}"));
            let plan = &mut ClaimPlan::default();
            let matches = Pattern::parse(pattern, plan).unwrap().matches(&canonical);
            assert_eq!(matches, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn every_fault_of_a_pattern_is_reported() {
        let slash = "a path begins with a slash";
        let unknown = "{user} is not a placeholder; write {owner} or {claim:PATH}";
        let dots = "it contains a dot segment, which no request may have";
        for (pattern, expected) in [
            ("media/**", &[slash][..]),
            ("", &[slash]),
            ("media/{user}/../**", &[slash, unknown, dots]),
            ("/{user}/{user}", &[unknown, unknown]),
        ] {
            let found = Pattern::parse(pattern, &mut ClaimPlan::default()).err();
            assert_eq!(found.unwrap_or_default(), expected, "{pattern}");
        }
    }
}
