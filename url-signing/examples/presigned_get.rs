//! Signs a URL that reads one object for 15 minutes, and prints it. It reads the credentials from the environment
//! variables of AWS and sends nothing.
//!
//! ```text
//! AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… \
//!   cargo run -p url-signing --example presigned_get -- example-media eu-central-1 o/media/k5x/640.webp
//! ```

use std::env;

use jiff::{SignedDuration, Timestamp};
use url_signing::{Bucket, Credentials, PresignedGet, ResponseHeader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bucket, region, key] = arguments.as_slice() else {
        return Err("name a bucket, its region and an object's key".into());
    };
    let credentials = Credentials {
        access_key_id: env::var("AWS_ACCESS_KEY_ID")?,
        secret_access_key: env::var("AWS_SECRET_ACCESS_KEY")?.into(),
        session_token: env::var("AWS_SESSION_TOKEN").ok().map(Into::into),
        expires_at: None,
    };

    // All callers within five minutes get the same URL, so browsers can reuse what they have.
    let get = PresignedGet::new(
        &Bucket::new(bucket, region)?,
        key,
        SignedDuration::from_mins(15),
    )?
    .shared_within(SignedDuration::from_mins(5))
    .clamp_to_credentials()
    .response_header(ResponseHeader::CacheControl, "private, max-age=900")?;
    let signed = get.sign(Timestamp::now(), &credentials)?;
    println!("{}", signed.url);
    eprintln!("expires at {}", signed.expires_at);
    Ok(())
}
