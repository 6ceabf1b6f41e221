//! The one reading of a request's path.
//!
//! Rules match paths, caches key on them and S3 decodes them. Where two of these could read a path differently, a
//! rule can be walked around: `/public/..%2fmedia/…` is the classic. So a path is decoded once, here, and one that
//! allows a second reading never becomes a [`CanonicalPath`].

use std::fmt;

/// A percent-decoded path with exactly one reading: absolute, UTF-8, no dot segments, no empty segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalPath {
    decoded: String,
}

/// Why a path can be read in more than one way, or not at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathFault {
    /// A backslash, raw or encoded: a slash to some readers.
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
    /// `%2F`: a separator to S3, none to a router.
    EncodedSlash,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// It does not begin with a slash.
    NotAbsolute,
    /// A `+`: S3 reads it as a space, others as itself. `%2B` has one reading.
    Plus,
    /// A character that RFC 3986 does not allow in a path without encoding.
    Unencoded,
}

impl CanonicalPath {
    /// Reads a path as it stands on the request line, without the query.
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
                // Brackets need encoding by RFC 3986, but Chromium sends them as they are, and every reader agrees.
                b'/' | b':' | b'@' | b'[' | b']' => decoded.push(byte),
                _ if is_unreserved_or_sub_delim(byte) => decoded.push(byte),
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
        // Controls beyond ASCII (U+0080 to U+009F) have no place in a key either.
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

    /// The S3 key that this path names: the decoded path without its first slash.
    pub fn key(&self) -> &str {
        &self.decoded[1..]
    }

    /// The segments between slashes. A path that ends in a slash ends in an empty segment.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.key().split('/')
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backslash => "it holds a backslash",
            Self::BadPercentEncoding => "a % is not followed by two hexadecimal digits",
            Self::ControlCharacter => "it holds a control character",
            Self::DotSegment => "it holds a dot segment",
            Self::DoubleEncoding => "it is percent-encoded twice",
            Self::EmptySegment => "it holds an empty segment",
            Self::EncodedSlash => "it holds an encoded slash",
            Self::NotUtf8 => "it is not UTF-8",
            Self::NotAbsolute => "it does not begin with a slash",
            Self::Plus => "it holds a plus sign; write %2B",
            Self::Unencoded => "it holds a character that must be percent-encoded",
        })
    }
}

/// The octet that two hexadecimal digits name, and what follows them.
pub(crate) fn decode_octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(2)?;
    let high = char::from(digits[0]).to_digit(16)?;
    let low = char::from(digits[1]).to_digit(16)?;
    Some((u8::try_from(high * 16 + low).ok()?, rest))
}

/// RFC 3986 §2.2 and §2.3, less the plus sign.
fn is_unreserved_or_sub_delim(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_is_decoded() {
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
    fn two_readings_are_refused() {
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
    fn no_encoded_octet_makes_a_segment() {
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
