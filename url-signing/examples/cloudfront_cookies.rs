//! Signs cookies with which a browser may fetch everything below a folder of a `CloudFront` distribution, and prints
//! them as the `Set-Cookie` lines of an answer. It reads a private key from a file and sends nothing.
//!
//! ```text
//! cargo run -p url-signing --example cloudfront_cookies --features cloudfront -- \
//!   https://d111111abcdef8.cloudfront.net/media/k5x/ K2JCJMDEHXQW5F tests/keys/p256-pkcs8.pem
//! ```

use std::{env, fs};

use jiff::{SignedDuration, Timestamp};
use url_signing::cloudfront::{CookieAttributes, KeyPair, Policy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, key_pair_id, file] = arguments.as_slice() else {
        return Err(
            "name a folder's URL, a key pair's id and the file of its private key in PEM".into(),
        );
    };
    // A service parses its key once, when it starts.
    let key = KeyPair::from_pem(key_pair_id, fs::read(file)?)?;

    let policy = Policy::below(folder, SignedDuration::from_mins(15))?;
    let signed = policy.sign(Timestamp::now(), &key)?;
    let cookies = signed.cookies(&CookieAttributes::default())?;
    for line in cookies.set_cookie() {
        println!("Set-Cookie: {line}");
    }
    Ok(())
}
