//! CloudFront's base64: `-`, `_` and `~` are written for `+`, `=` and `/`. Signatures and policies arrive in it.

use data_encoding::BASE64;

/// The bytes of a text, if it is exactly their encoding. Other spellings of the same bytes are refused, so no signed URL
/// has two texts.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        plain.push(match character {
            '-' => '+',
            '_' => '=',
            '~' => '/',
            _ if character.is_ascii_alphanumeric() => character,
            _ => return None,
        });
    }
    let bytes = BASE64.decode(plain.as_bytes()).ok()?;
    // The decoder takes several padded texts in a row.
    (BASE64.encode(&bytes) == plain).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_encoding_of_bytes_is_decoded() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("YQ__", Some(b"a")),
            ("YWI_", Some(b"ab")),
            ("---~~w__", Some(b"\xfb\xef\xbf\xff")),
            // Plain base64, base64url, and the percent-encoded tilde of some libraries.
            ("YQ==", None),
            ("+++//w==", None),
            ("YQ", None),
            ("%7E%7E%7E%7E", None),
            // Bits after the last byte, a second text, white space.
            ("YR__", None),
            ("YQ__YQ__", None),
            ("YQ__ ", None),
            ("YQ__\n", None),
            ("Y", None),
            ("ÿÿÿÿ", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text}");
        }
    }
}
