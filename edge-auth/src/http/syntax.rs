//! The syntax of HTTP and URIs: tokens, unreserved characters, percent coding.
//!
//! Paths are decoded with [`decode_octet`] alone: `percent-encoding` passes a malformed `%`, which
//! [`CanonicalPath`](crate::http::path::CanonicalPath) must refuse.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether a text is a token of RFC 9110 §5.6.2, such as the name of a cookie or header.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// An unreserved character of RFC 3986 §2.3.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A sub-delimiter of RFC 3986 §2.2, except the plus sign, which S3 reads as a space.
pub(crate) fn is_sub_delim(byte: u8) -> bool {
    b"!$&'()*,;=".contains(&byte)
}

/// Encodes everything but RFC 3986's unreserved characters.
pub(crate) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decodes every well-formed percent-encoding, and leaves a malformed `%` as it is.
pub(crate) fn decode_leniently(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// The octet that two hexadecimal digits encode, and the rest.
pub(crate) fn decode_octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(2)?;
    let high = char::from(digits[0]).to_digit(16)?;
    let low = char::from(digits[1]).to_digit(16)?;
    Some((u8::try_from(high * 16 + low).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_coding_is_undone() {
        let every: String = (0..=u8::MAX).map(char::from).collect();
        let encoded = percent_encode(&every);
        assert!(
            encoded
                .bytes()
                .all(|byte| is_unreserved(byte) || byte == b'%')
        );
        assert_eq!(decode_leniently(&encoded), every.as_bytes());
        assert_eq!(percent_encode("/a b?é"), "%2Fa%20b%3F%C3%A9");
    }

    #[test]
    fn a_malformed_percent_stays() {
        for text in ["%", "%7", "%zz", "a%g0", "%+1"] {
            assert_eq!(decode_leniently(text), text.as_bytes());
        }
    }

    #[test]
    fn a_token_has_no_separators() {
        for (text, is_one) in [
            ("__Host-gatepost", true),
            ("x!#$%&'*+-.^_`|~1", true),
            ("", false),
            ("a b", false),
            ("a;b", false),
            ("a=b", false),
            ("é", false),
        ] {
            assert_eq!(is_token(text), is_one, "{text:?}");
        }
    }
}
