//! Reads files that people save with an editor, and handles the bytes that editors add: byte order marks, a final line
//! break, UTF-16. `config`, `package` and `replay` call it; they interpret the content.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
/// UTF-16, little-endian and big-endian.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Reads JSON (RFC 8259), which may begin with a byte order mark of UTF-8: §8.1 lets a parser ignore it.
///
/// # Errors
///
/// A sentence without the file's name: it cannot be read, is in UTF-16, or is not JSON.
pub(crate) fn read_json(file: &Path) -> Result<Value, String> {
    let json = read_json_text(file)?;
    serde_json::from_slice(&json).map_err(|error| not_json(&error))
}

/// Reads the JSON values of a file, one after the other: a single one, or JSON Lines (<https://jsonlines.org>).
///
/// # Errors
///
/// A sentence without the file's name: it cannot be read, is in UTF-16, is not JSON, or is empty.
pub(crate) fn read_json_values(file: &Path) -> Result<Vec<Value>, String> {
    let json = read_json_text(file)?;
    let values: Vec<Value> = serde_json::Deserializer::from_slice(&json)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| not_json(&error))?;
    if values.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(values)
}

fn not_json(error: &serde_json::Error) -> String {
    format!("it is not JSON: {error}")
}

/// The bytes of JSON, without a byte order mark.
fn read_json_text(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = read(file)?;
    // JSON has no NUL, and each ASCII character of UTF-16 has one.
    if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) || bytes.contains(&0) {
        return Err("it is in UTF-16; save it as UTF-8".to_owned());
    }
    if bytes.starts_with(UTF_8_MARK) {
        bytes.drain(..UTF_8_MARK.len());
    }
    Ok(bytes)
}

/// Reads a secret: the file's bytes, less one line break (LF or CRLF) at the end where the rest is text.
///
/// A binary secret keeps its last byte, even if that is 0x0A. A file with a byte
/// order mark or in UTF-16 is refused: the party that shares the secret would have other bytes.
///
/// # Errors
///
/// A sentence without the file's name and without the secret.
pub(crate) fn secret_bytes(file: &Path) -> Result<Vec<u8>, String> {
    secret_of(read(file)?)
}

/// The same from a stream.
///
/// # Errors
///
/// A sentence without the secret.
pub(crate) fn secret_from(stream: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    secret_of(bytes)
}

fn secret_of(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.starts_with(UTF_8_MARK) {
        return Err(
            "it begins with a byte order mark, which would be part of the secret; save it without one"
                .to_owned(),
        );
    }
    if is_utf_16(&bytes) {
        return Err(
            "it is in UTF-16, or begins like it; save it as UTF-8 without a byte order mark, or make another secret"
                .to_owned(),
        );
    }
    if let Some(what) = not_a_secret(&bytes) {
        return Err(what.to_owned());
    }
    let without_break = bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .filter(|rest| is_printable(rest));
    if let Some(rest) = without_break {
        let length = rest.len();
        bytes.truncate(length);
    }
    if bytes.is_empty() {
        return Err("it is empty; write the secret into it".to_owned());
    }
    Ok(bytes)
}

/// Why a text is certainly not a secret, if it is not. It is easy to name a key file by mistake, and a public key is known
/// to everybody.
pub(crate) fn not_a_secret(bytes: &[u8]) -> Option<&'static str> {
    let text = str::from_utf8(bytes).ok()?.trim();
    if text.contains("-----BEGIN ") {
        return Some("it is a key in PEM, not a secret; openssl rand -hex 32 makes a secret");
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let is_jwk = json.get("kty").is_some() || json.get("keys").is_some();
    is_jwk.then_some("it is a JWK or a JWK Set, not a secret; openssl rand -hex 32 makes a secret")
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("it cannot be read: {error}"))
}

/// Whether these bytes are UTF-16 text: they begin with the mark, or every second byte is NUL, as in ASCII text. A random
/// binary secret does not look like that.
fn is_utf_16(bytes: &[u8]) -> bool {
    if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return true;
    }
    let (units, rest) = bytes.as_chunks::<2>();
    let is_ascii = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    !units.is_empty()
        && rest.is_empty()
        && (units.iter().all(|&[low, high]| high == 0 && is_ascii(low))
            || units.iter().all(|&[high, low]| high == 0 && is_ascii(low)))
}

fn is_printable(bytes: &[u8]) -> bool {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(is_odd))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_file<T>(content: &[u8], read: impl Fn(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, content).unwrap();
        read(&file)
    }

    fn utf_16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn json_is_read_in_utf_8_with_and_without_a_mark() {
        let little = utf_16(r#"{"keys":[]}"#, u16::to_le_bytes);
        let big = utf_16(r#"{"keys":[]}"#, u16::to_be_bytes);
        let is_utf_16 = Err("it is in UTF-16; save it as UTF-8");
        for (content, expected) in [
            (&br#"{"keys":[]}"#[..], Ok(json!({"keys": []}))),
            (b"\xef\xbb\xbf{\"keys\":[]}\r\n", Ok(json!({"keys": []}))),
            ("\"é\"".as_bytes(), Ok(json!("é"))),
            (&little, is_utf_16.clone()),
            (&big, is_utf_16.clone()),
            (&[b"\xff\xfe", &little[..]].concat(), is_utf_16.clone()),
            (&[b"\xfe\xff", &big[..]].concat(), is_utf_16),
            (
                b"\xef\xbb\xbf\xef\xbb\xbf{}",
                Err("it is not JSON: expected value at line 1 column 1"),
            ),
            (
                b"",
                Err("it is not JSON: EOF while parsing a value at line 1 column 0"),
            ),
            (
                b"{} {}",
                Err("it is not JSON: trailing characters at line 1 column 4"),
            ),
        ] {
            let found = with_file(content, read_json);
            assert_eq!(
                found,
                expected.map_err(str::to_owned),
                "{}",
                content.escape_ascii()
            );
        }
    }

    #[test]
    fn json_lines_are_separate_values() {
        for (content, expected) in [
            (&b"{\"a\":1}"[..], Ok(vec![json!({"a": 1})])),
            (b"[1,\n2]\n", Ok(vec![json!([1, 2])])),
            (b"\xef\xbb\xbf1\r\n\r\n2\r\n", Ok(vec![json!(1), json!(2)])),
            (b" \n", Err("it is empty")),
            (
                b"1\n{",
                Err("it is not JSON: EOF while parsing an object at line 2 column 1"),
            ),
        ] {
            let found = with_file(content, read_json_values);
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn a_final_line_break_is_removed_from_text_only() {
        for (content, secret) in [
            (&b"a secret"[..], &b"a secret"[..]),
            (b"a secret\n", b"a secret"),
            (b"a secret\r\n", b"a secret"),
            (b"a secret \n", b"a secret "),
            ("gehe\u{ef}m\n".as_bytes(), "gehe\u{ef}m".as_bytes()),
            (b"\n secret", b"\n secret"),
            // Text of several lines, and with a tab: one break goes.
            (b"two\nlines\n", b"two\nlines"),
            (b"a secret\n\n", b"a secret\n"),
            (b"a\tsecret\n", b"a\tsecret"),
            // Binary secrets.
            (b"\x80secret\n", b"\x80secret\n"),
            (b"\x80secret\r\n", b"\x80secret\r\n"),
            (b"\x07secret\n", b"\x07secret\n"),
            (b"\x7fsecret\n", b"\x7fsecret\n"),
            (b"\0\0\0\n", b"\0\0\0\n"),
            (b"a\0b\0c\0\0\n", b"a\0b\0c\0\0\n"),
        ] {
            let found = with_file(content, secret_bytes);
            assert_eq!(found.as_deref(), Ok(secret), "{}", content.escape_ascii());
        }
    }

    #[test]
    fn secrets_with_unintended_bytes_are_refused() {
        let little = utf_16("a secret\r\n", u16::to_le_bytes);
        let big = utf_16("a secret\r\n", u16::to_be_bytes);
        let is_utf_16 = "it is in UTF-16, or begins like it; save it as UTF-8 without a byte order mark, or make another secret";
        for (content, reason) in [
            (&b""[..], "it is empty; write the secret into it"),
            (b"\n", "it is empty; write the secret into it"),
            (b"\r\n", "it is empty; write the secret into it"),
            (
                b"\xef\xbb\xbfa secret\n",
                "it begins with a byte order mark, which would be part of the secret; save it without one",
            ),
            (&little, is_utf_16),
            (&big, is_utf_16),
            (&[b"\xff\xfe", &little[..]].concat(), is_utf_16),
            (&[b"\xfe\xff", &big[..]].concat(), is_utf_16),
            (
                b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n",
                "it is a key in PEM, not a secret; openssl rand -hex 32 makes a secret",
            ),
            (
                b"{\"keys\": []}",
                "it is a JWK or a JWK Set, not a secret; openssl rand -hex 32 makes a secret",
            ),
        ] {
            let refused = with_file(content, secret_bytes);
            let content = content.escape_ascii();
            assert_eq!(refused, Err(reason.to_owned()), "{content}");
        }
    }

    #[test]
    fn a_missing_file_is_one_sentence() {
        let nowhere = Path::new("/nowhere/at/all");
        for refused in [
            read_json(nowhere).map(|_| ()),
            secret_bytes(nowhere).map(|_| ()),
        ] {
            let reason = refused.unwrap_err();
            assert!(reason.starts_with("it cannot be read: "), "{reason}");
        }
    }
}
