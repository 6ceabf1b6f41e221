//! Texts within URLs, events and XML documents.

use std::fmt::Write as _;

/// The form encoding that S3 gives keys in notifications: `+` for a space, `/` as it is, the rest percent-encoded.
pub(super) fn encode_form(key: &str) -> String {
    percent_encode(key, "+", b"/-_.*")
}

/// Percent-encodes all but RFC 3986's unreserved characters and `/`.
pub(super) fn encode_path(text: &str) -> String {
    percent_encode(text, "%20", b"/-_.~")
}

/// Percent-encodes all but RFC 3986's unreserved characters, `/` included.
pub(super) fn encode_all(text: &str) -> String {
    percent_encode(text, "%20", b"-_.~")
}

fn percent_encode(text: &str, space: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push_str(space),
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => {
                encoded.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// A text as it is within an element of an XML document. Characters that XML does not have are replaced.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_for_where_they_are() {
        assert_eq!(encode_form("a b/ü+.jpg"), "a+b/%C3%BC%2B.jpg");
        assert_eq!(encode_all("a b/ü+.jpg~"), "a%20b%2F%C3%BC%2B.jpg~");
        assert_eq!(
            escape("<a b=\"1&2\">\u{0}"),
            "&lt;a b=&quot;1&amp;2&quot;&gt;\u{fffd}"
        );
    }
}
