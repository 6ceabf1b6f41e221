//! The texts in which a private key arrives.

use url_signing::cloudfront::{KeyPair, Policy};

use super::{ID, P256, QUARTER, RSA, URL, now};

#[test]
fn a_key_signs_the_same_in_every_transport_form() {
    let signature = |key: &KeyPair| {
        let policy = Policy::for_url(URL, QUARTER).unwrap();
        policy.sign(now(), key).unwrap().url(URL).unwrap().url
    };
    for pem in [
        RSA,
        P256,
        include_str!("../../keys/rsa-pkcs1.pem"),
        include_str!("../../keys/p256-pkcs8.pem"),
    ] {
        let expected = signature(&KeyPair::from_pem(ID, pem).unwrap());
        let indented: Vec<_> = pem.lines().map(|line| format!("    {line}")).collect();
        for (how, text) in [
            ("\\n as two characters", pem.replace('\n', "\\n")),
            ("in quotation marks", format!("\"{pem}\"")),
            ("indented", indented.join("\n")),
            ("with a byte order mark", format!("\u{feff}{pem}")),
            ("with CRLF", pem.replace('\n', "\r\n")),
            ("on one line", pem.replace('\n', " ")),
        ] {
            let key = KeyPair::from_pem(ID, &text);
            let key = key.unwrap_or_else(|error| panic!("{how}: {error}"));
            assert_eq!(signature(&key), expected, "{how}");
        }
    }
}
