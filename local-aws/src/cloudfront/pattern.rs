//! CloudFront's wildcards: `*` is any number of characters, slashes included, and `?` is exactly one. The path patterns
//! of behaviours and the resources of signed policies both use them. A path is normalized for the choice of a behaviour
//! and for nothing else.

use std::borrow::Cow;

/// Whether a text matches a pattern. After a mismatch, the last `*` takes one more byte.
pub(super) fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut last_star = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                last_star = Some((at_pattern, at_text));
                at_pattern += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[at_text] => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match &mut last_star {
                Some((star, taken)) => {
                    *taken += 1;
                    (at_pattern, at_text) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|&byte| byte == b'*')
}

/// A path without dot segments and empty segments, as patterns of behaviours are compared with it (AWS, "Path
/// normalization"). Functions, signatures, the cache and the origin get the path as it was sent. Percent-encodings stay
/// here; AWS does not say whether CloudFront decodes them for this.
pub(super) fn normalized(path: &str) -> Cow<'_, str> {
    let is_normal = |segment: &str| !matches!(segment, "" | "." | "..");
    let (above, last) = path.rsplit_once('/').unwrap_or(("", path));
    if !matches!(last, "." | "..") && above.split('/').skip(1).all(is_normal) {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let mut normal = format!("/{}", kept.join("/"));
    if matches!(last, "" | "." | "..") && !kept.is_empty() {
        normal.push('/');
    }
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_spans_slashes_and_a_question_mark_is_one_character() {
        for (pattern, text, expected) in [
            ("https://h/a/*", "https://h/a/", true),
            ("https://h/a/*", "https://h/a/b/c?d=1", true),
            ("https://h/a/*", "https://h/ab/c", false),
            ("https://h/?", "https://h/a", true),
            ("https://h/?", "https://h/?", true),
            ("https://h/?", "https://h/ab", false),
            ("https://h/?", "https://h/", false),
            ("*", "", true),
            ("", "a", false),
            ("*b*b", "abb", true),
            ("*b*b", "ab", false),
        ] {
            let found = is_match(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_path_is_normalized_for_the_choice_of_a_behaviour() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/.b/..c/...", "/a/.b/..c/..."),
            ("//", "/"),
            ("//a", "/a"),
            ("/a//b///c", "/a/b/c"),
            ("/a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/../../a", "/a"),
            ("/..", "/"),
            ("/a//../b", "/b"),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(normalized(path), expected, "{path}");
        }
    }
}
