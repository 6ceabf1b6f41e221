//! The canonical form of a request's path.
//!
//! Rules match paths, caches key on them and S3 decodes them. Where two of these read a path differently, a rule can be
//! bypassed: `/public/..%2fmedia/…` is the classic attack. A path is therefore decoded once, here, and an ambiguous
//! path never becomes a [`CanonicalPath`].

use std::fmt;

use crate::http::syntax::{decode_octet, is_sub_delim, is_unreserved};

/// A percent-decoded path with exactly one reading: absolute, UTF-8, no dot segments, no empty segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalPath {
    decoded: String,
}

/// Why a path is ambiguous or malformed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathFault {
    /// A backslash, raw or encoded: some parsers read it as a slash.
    Backslash,
    /// A `%` that is not followed by two hexadecimal digits.
    BadPercentEncoding,
    /// A control character, raw or encoded.
    ControlCharacter,
    /// A segment `.` or `..`, raw or encoded.
    DotSegment,
    /// A percent-encoding that decodes to another percent-encoding.
    DoubleEncoding,
    /// Two slashes in a row.
    EmptySegment,
    /// `%2F`: a separator to S3, but not to a router.
    EncodedSlash,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// It does not begin with a slash.
    NotAbsolute,
    /// A `+`: S3 reads it as a space, other parsers as itself. `%2B` has one reading.
    Plus,
    /// A character that RFC 3986 does not allow in a path without encoding.
    Unencoded,
}

impl CanonicalPath {
    /// Parses a path as it is on the request line, without the query.
    ///
    /// # Errors
    ///
    /// Why the path is ambiguous or malformed. Only the first reason is reported.
    pub fn parse(raw: &str) -> Result<Self, PathFault> {
        let bytes = raw.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathFault::NotAbsolute);
        }
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'%' => {
                    let (value, after) = decode_octet(rest).ok_or(PathFault::BadPercentEncoding)?;
                    rest = after;
                    match value {
                        b'/' => return Err(PathFault::EncodedSlash),
                        b'\\' => return Err(PathFault::Backslash),
                        b'%' if decode_octet(rest).is_some() => {
                            return Err(PathFault::DoubleEncoding);
                        }
                        0..=0x1f | 0x7f => return Err(PathFault::ControlCharacter),
                        _ => decoded.push(value),
                    }
                }
                b'\\' => return Err(PathFault::Backslash),
                b'+' => return Err(PathFault::Plus),
                0..=0x1f | 0x7f => return Err(PathFault::ControlCharacter),
                // RFC 3986 requires brackets to be encoded, but Chromium sends them raw, and all parsers agree on them.
                b'/' | b':' | b'@' | b'[' | b']' => decoded.push(byte),
                _ if is_unreserved(byte) || is_sub_delim(byte) => decoded.push(byte),
                _ => return Err(PathFault::Unencoded),
            }
        }
        let decoded = String::from_utf8(decoded).map_err(|_| PathFault::NotUtf8)?;
        // `%` and hex digits may also meet across an encoding, as in `%252e` and `%25%32e`.
        let mut at = decoded.as_bytes();
        while let Some(percent) = at.iter().position(|&byte| byte == b'%') {
            at = &at[percent + 1..];
            if decode_octet(at).is_some() {
                return Err(PathFault::DoubleEncoding);
            }
        }
        // Control characters beyond ASCII (U+0080 to U+009F) are not allowed in a key either.
        if decoded.chars().any(char::is_control) {
            return Err(PathFault::ControlCharacter);
        }
        let mut segments = decoded[1..].split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" if segments.peek().is_some() => return Err(PathFault::EmptySegment),
                "." | ".." => return Err(PathFault::DotSegment),
                _ => {}
            }
        }
        Ok(Self { decoded })
    }

    /// The decoded path, beginning with a slash.
    pub fn as_str(&self) -> &str {
        &self.decoded
    }

    /// The S3 key that this path names: the decoded path without its leading slash.
    pub fn key(&self) -> &str {
        &self.decoded[1..]
    }

    /// The segments between slashes. A path that ends in a slash has an empty last segment.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.key().split('/')
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backslash => "it contains a backslash",
            Self::BadPercentEncoding => "a % is not followed by two hexadecimal digits",
            Self::ControlCharacter => "it contains a control character",
            Self::DotSegment => "it contains a dot segment",
            Self::DoubleEncoding => "it is percent-encoded twice",
            Self::EmptySegment => "it contains an empty segment",
            Self::EncodedSlash => "it contains an encoded slash",
            Self::NotUtf8 => "it is not UTF-8",
            Self::NotAbsolute => "it does not begin with a slash",
            Self::Plus => "it contains a plus sign; write %2B",
            Self::Unencoded => "it contains a character that must be percent-encoded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unambiguous_path_is_decoded() {
        for (raw, decoded) in [
            ("/", "/"),
            ("/media/a/640.webp", "/media/a/640.webp"),
            ("/%6dedia/a", "/media/a"),
            ("/caf%C3%A9.jpg", "/café.jpg"),
            ("/a%20b", "/a b"),
            ("/a%2Bb", "/a+b"),
            ("/100%25.jpg", "/100%.jpg"),
            ("/folder/", "/folder/"),
            ("/a..b/.hidden/...", "/a..b/.hidden/..."),
            ("/a=b;c,d:e@f", "/a=b;c,d:e@f"),
            ("/a[1].jpg", "/a[1].jpg"),
            ("/a%5B1%5d.jpg", "/a[1].jpg"),
        ] {
            let path = CanonicalPath::parse(raw).unwrap_or_else(|fault| panic!("{raw}: {fault}"));
            assert_eq!(path.as_str(), decoded, "{raw}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_refused() {
        use PathFault::*;
        for (raw, fault) in [
            ("", NotAbsolute),
            ("media/a", NotAbsolute),
            ("/media/../admin", DotSegment),
            ("/media/%2e%2e/admin", DotSegment),
            ("/media/.%2E/admin", DotSegment),
            ("/media/./a", DotSegment),
            ("/media/a/..", DotSegment),
            ("//media/a", EmptySegment),
            ("/media//a", EmptySegment),
            ("/media/a//", EmptySegment),
            ("/media%2fa", EncodedSlash),
            ("/media/..%2Fadmin", EncodedSlash),
            ("/media\\a", Backslash),
            ("/media%5ca", Backslash),
            ("/media/%252e%252e/a", DoubleEncoding),
            ("/media/%25%32e/a", DoubleEncoding),
            ("/media/%", BadPercentEncoding),
            ("/media/%2", BadPercentEncoding),
            ("/media/%zz", BadPercentEncoding),
            ("/media/%u002e", BadPercentEncoding),
            ("/media/a%00.webp", ControlCharacter),
            ("/media/a%0d%0ab", ControlCharacter),
            ("/media/a%7f", ControlCharacter),
            ("/media/a\n", ControlCharacter),
            ("/media/%C2%85", ControlCharacter),
            ("/media/%c0%af", NotUtf8),
            ("/media/%ff", NotUtf8),
            ("/media/a+b", Plus),
            ("/media/a b", Unencoded),
            ("/media/é", Unencoded),
            ("/media/a?b", Unencoded),
            ("/media/a#b", Unencoded),
            ("/media/<a>", Unencoded),
        ] {
            assert_eq!(CanonicalPath::parse(raw), Err(fault), "{raw}");
        }
    }

    #[test]
    fn an_encoded_octet_never_makes_a_segment() {
        for byte in 0..=255_u8 {
            let raw = format!("/a%{byte:02X}b");
            let Ok(path) = CanonicalPath::parse(&raw) else {
                continue;
            };
            assert_eq!(path.segments().count(), 1, "{raw}");
            assert!(!path.key().contains(['/', '\\']), "{raw}");
        }
    }
}
