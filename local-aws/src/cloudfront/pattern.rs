//! CloudFront's wildcards: `*` is any number of characters, slashes included, and `?` is exactly one. The path patterns
//! of behaviours and the resources of signed policies both use them.

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
}
