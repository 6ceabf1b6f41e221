//! Upload ids: 26 characters that identify an upload, contain the time when its form was made, and sort newest first.
//!
//! A ULID has 48 bits of milliseconds and 80 random bits, in Crockford's base32. S3 lists keys in ascending order only.
//! The time is therefore inverted here, so that the newest media come first in a listing.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const LENGTH: usize = 26;
const MAX_MILLIS: u64 = (1 << 48) - 1;
/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of an upload.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UploadId(u128);

impl UploadId {
    /// An id made at `now` with these random bits.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond())
            .unwrap_or(0)
            .min(MAX_MILLIS);
        let mut low = [0; 16];
        low[6..].copy_from_slice(&random);
        Self((u128::from(MAX_MILLIS - millis) << 80) | u128::from_be_bytes(low))
    }

    /// Parses an id. Only its canonical form is accepted.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut value: u128 = 0;
        for (idx, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&symbol| symbol == byte)?;
            // 26 characters hold 130 bits; the first character has only three.
            if idx == 0 && digit > 7 {
                return None;
            }
            value = (value << 5) | digit as u128;
        }
        Some(Self(value))
    }

    /// When the id was made.
    pub fn made_at(self) -> Timestamp {
        let inverted = u64::try_from(self.0 >> 80).unwrap_or(MAX_MILLIS);
        let millis = i64::try_from(MAX_MILLIS - inverted).unwrap_or(0);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for idx in (0..LENGTH).rev() {
            let digit = (self.0 >> (idx * 5)) & 31;
            f.write_char(char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl Serialize for UploadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UploadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"an upload id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: i64, random: u8) -> UploadId {
        UploadId::new(Timestamp::from_millisecond(millis).unwrap(), [random; 10])
    }

    #[test]
    fn the_newest_sorts_first() {
        let texts: Vec<_> = [2_000_000_000_000, 1_700_000_000_001, 1_700_000_000_000, 0]
            .map(|millis| id(millis, 7).to_string())
            .to_vec();
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn an_id_is_parsed_from_its_text() {
        for random in [0, 1, 127, 255] {
            let id = id(1_763_900_000_123, random);
            let text = id.to_string();
            assert_eq!(text.len(), LENGTH);
            assert_eq!(UploadId::parse(&text), Some(id));
            assert_eq!(id.made_at().as_millisecond(), 1_763_900_000_123);
        }
    }

    #[test]
    fn nothing_else_is_an_id() {
        let text = id(0, 0).to_string();
        for other in [
            "",
            "..",
            &text[1..],
            &text.to_uppercase(),
            &format!("8{}", &text[1..]),
            &format!("{}/", &text[1..]),
            &format!("{}u", &text[1..]),
        ] {
            assert_eq!(UploadId::parse(other), None, "{other}");
        }
    }
}
