//! Converts the text of a private key in PEM (RFC 7468) to its canonical form. Whether the key is suitable is not
//! checked here.
//!
//! `.env` files, CI systems and editors change such a text: they put a byte order mark before it, quotation marks
//! around it, spaces before its lines, or write each line break as `\n`. None of that can be part of PEM. Everything
//! outside the BEGIN and END lines is therefore dropped, and so is every line break between them.

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// Why a text is not a private key in PEM.
pub(super) const CUT_OFF: &str = "it has a BEGIN line and no END line; pass the whole text: where a variable ends with its first line, write each line break as \\n";
pub(super) const DER: &str = "it is DER, not PEM; openssl pkey -inform DER -in FILE converts it";
pub(super) const ENCRYPTED: &str = "it is encrypted; decrypt it first, with openssl pkey -in FILE";
pub(super) const NO_PRIVATE_KEY: &str =
    "it has no line -----BEGIN … PRIVATE KEY-----; pass a private key in PEM";
pub(super) const NOT_UTF_8: &str = "it is not text in UTF-8; pass a private key in PEM";
pub(super) const UTF_16: &str = "it is in UTF-16; save it as UTF-8";

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Parses the private keys of a PEM text as PKCS#8, PKCS#1 or SEC1, in any form that variables and editors produce. The
/// result has at least one key.
///
/// # Errors
///
/// A sentence about the text that contains no part of a key.
pub fn private_keys_der(text: &[u8]) -> Result<Vec<PrivateKeyDer<'static>>, &'static str> {
    let pem = canonical(text)?;
    let keys = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
    keys.collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|keys| !keys.is_empty())
        .ok_or("it is not valid PEM of PKCS#8, PKCS#1 or SEC1")
}

/// Parses the first private key of a text, like [`private_keys_der`].
///
/// # Errors
///
/// The same as for [`private_keys_der`].
pub fn private_key_der(text: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    private_keys_der(text).map(|mut keys| keys.swap_remove(0))
}

/// The sections of a text, with a line break after each BEGIN line, each body and each END line, and no others.
fn canonical(text: &[u8]) -> Result<Zeroizing<String>, &'static str> {
    // A DER sequence longer than 127 bytes, as every key is.
    if text.starts_with(&[0x30, 0x81]) || text.starts_with(&[0x30, 0x82]) {
        return Err(DER);
    }
    // Without a byte order mark, UTF-16 has a NUL in every ASCII character.
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || text.contains(&0) {
        return Err(UTF_16);
    }
    let mut rest = str::from_utf8(text).map_err(|_| NOT_UTF_8)?;
    // A section has at least 30 bytes and grows by 3. The buffer is therefore never reallocated, which would leave a
    // copy of the key in memory.
    let mut pem = Zeroizing::new(String::with_capacity(2 * rest.len()));
    let mut has_private_key = false;
    while let Some((_, section)) = rest.split_once(BEGIN) {
        let (label, section) = section.split_once(DASHES).ok_or(NO_PRIVATE_KEY)?;
        let end = format!("-----END {label}-----");
        let (body, after) = section.split_once(&end).ok_or(CUT_OFF)?;
        // PKCS#8 marks this in its label, PKCS#1 and SEC1 in a header: Proc-Type: 4,ENCRYPTED.
        if label.starts_with("ENCRYPTED") || body.contains("ENCRYPTED") {
            return Err(ENCRYPTED);
        }
        has_private_key |= label.ends_with("PRIVATE KEY");
        pem.extend([BEGIN, label, DASHES, "\n"]);
        push_without_breaks(&mut pem, body);
        pem.extend(["\n", &end, "\n"]);
        rest = after;
    }
    if has_private_key {
        Ok(pem)
    } else {
        Err(NO_PRIVATE_KEY)
    }
}

/// Appends a body without ASCII white space, and without `\n` and `\r` written as two characters, escaped once or more.
fn push_without_breaks(pem: &mut String, body: &str) {
    let mut characters = body.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' {
            while characters.next_if_eq(&'\\').is_some() {}
            if characters
                .next_if(|next| matches!(next, 'n' | 'r'))
                .is_some()
            {
                continue;
            }
        }
        if !character.is_ascii_whitespace() {
            pem.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANONICAL: &str = "-----BEGIN PRIVATE KEY-----\nMIIn+/r=\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_parsed_from_every_transport_form() {
        for text in [
            CANONICAL,
            "-----BEGIN PRIVATE KEY-----\nMIIn\n+/r=\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\r\nMIIn\r\n+/r=\r\n-----END PRIVATE KEY-----\r\n",
            "-----BEGIN PRIVATE KEY-----\\nMIIn\\n+/r=\\n-----END PRIVATE KEY-----\\n",
            "-----BEGIN PRIVATE KEY-----\\r\\nMIIn\\r\\n+/r=\\r\\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\\\\nMIIn\\\\n+/r=\\\\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY----- MIIn +/r= -----END PRIVATE KEY-----",
            "\"-----BEGIN PRIVATE KEY-----\nMIIn\n+/r=\n-----END PRIVATE KEY-----\n\"",
            "'-----BEGIN PRIVATE KEY-----\\nMIIn\\n+/r=\\n-----END PRIVATE KEY-----\\n'",
            "  -----BEGIN PRIVATE KEY-----\n  MIIn\n\t+/r=\n  -----END PRIVATE KEY-----\n",
            "\u{feff}-----BEGIN PRIVATE KEY-----\nMIIn\n+/r=\n-----END PRIVATE KEY-----\n",
            "\u{feff}\" -----BEGIN PRIVATE KEY-----\\nMIIn+/r=\\n -----END PRIVATE KEY-----\" ",
            "Bag Attributes: -----\n-----BEGIN PRIVATE KEY-----\nMIIn+/r=\n-----END PRIVATE KEY-----\n",
        ] {
            let canonical = canonical(text.as_bytes());
            assert_eq!(
                canonical.as_ref().map(|pem| pem.as_str()),
                Ok(CANONICAL),
                "{text}"
            );
        }
    }

    #[test]
    fn sections_are_kept_in_their_order() {
        // openssl ecparam -genkey, without -noout.
        let text = "-----BEGIN EC PARAMETERS-----\\nBg==\\n-----END EC PARAMETERS-----\\n-----BEGIN EC PRIVATE KEY-----\\nMHc=\\n-----END EC PRIVATE KEY-----";
        assert_eq!(
            canonical(text.as_bytes()).unwrap().as_str(),
            "-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMHc=\n-----END EC PRIVATE KEY-----\n"
        );
    }

    #[test]
    fn each_other_text_gets_its_own_message() {
        let utf_16 = |order: fn(u16) -> [u8; 2]| CANONICAL.encode_utf16().flat_map(order);
        let little: Vec<u8> = utf_16(u16::to_le_bytes).collect();
        let big: Vec<u8> = utf_16(u16::to_be_bytes).collect();
        for (text, reason) in [
            (&b""[..], NO_PRIVATE_KEY),
            (b"key.pem", NO_PRIVATE_KEY),
            (b"-----BEGIN ", NO_PRIVATE_KEY),
            (
                b"-----BEGIN PUBLIC KEY-----\nMIIn\n-----END PUBLIC KEY-----\n",
                NO_PRIVATE_KEY,
            ),
            (b"-----BEGIN PRIVATE KEY-----", CUT_OFF),
            (b"\"-----BEGIN PRIVATE KEY-----\nMIIn\n\"", CUT_OFF),
            (
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIn\n-----END ENCRYPTED PRIVATE KEY-----",
                ENCRYPTED,
            ),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIn\n-----END RSA PRIVATE KEY-----",
                ENCRYPTED,
            ),
            (b"\xe9-----BEGIN PRIVATE KEY-----", NOT_UTF_8),
            (&little, UTF_16),
            (&big, UTF_16),
            (&[b"\xff\xfe", &little[..]].concat(), UTF_16),
            (&[b"\xfe\xff", &big[..]].concat(), UTF_16),
        ] {
            let refused = canonical(text).err();
            assert_eq!(refused, Some(reason), "{}", text.escape_ascii());
        }
    }
}
