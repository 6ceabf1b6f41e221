//! Texts within URLs, events and XML documents.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Encodes all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
const RESERVED_IN_FORM: &AsciiSet = &RESERVED.remove(b'/').remove(b'*').add(b'~');

/// The form encoding that S3 gives keys in notifications: `+` for a space, `/` unchanged, the rest percent-encoded.
pub(super) fn encode_form(key: &str) -> String {
    // Every other `%20` would be `%2520` by now.
    utf8_percent_encode(key, RESERVED_IN_FORM)
        .to_string()
        .replace("%20", "+")
}

/// Percent-encodes all but the unreserved characters of RFC 3986 and `/`.
pub(super) fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_IN_PATH).to_string()
}

/// Percent-encodes all but the unreserved characters of RFC 3986, `/` included.
pub(super) fn encode_all(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
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
    fn each_place_has_its_encoding() {
        assert_eq!(encode_form("a b/ü+.jpg"), "a+b/%C3%BC%2B.jpg");
        assert_eq!(encode_form("%20*-_.~"), "%2520*-_.%7E");
        assert_eq!(encode_path("a b/ü+*~"), "a%20b/%C3%BC%2B%2A~");
        assert_eq!(encode_all("a b/ü+.jpg~"), "a%20b%2F%C3%BC%2B.jpg~");
        assert_eq!(
            escape("<a b=\"1&2\">\u{0}"),
            "&lt;a b=&quot;1&amp;2&quot;&gt;\u{fffd}"
        );
    }
}
