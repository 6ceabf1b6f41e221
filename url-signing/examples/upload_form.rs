//! Signs a form that uploads one photo, and prints it as the JSON that a page needs. It reads the credentials from the
//! environment variables of AWS and sends nothing.
//!
//! ```text
//! AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… cargo run -p url-signing --example upload_form -- example-uploads eu-central-1
//! ```

use std::env;

use jiff::{SignedDuration, Timestamp};
use url_signing::{Bucket, Credentials, Expiry, PostPolicy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(bucket), Some(region)) = (arguments.next(), arguments.next()) else {
        return Err("name a bucket and its region".into());
    };
    let credentials = Credentials {
        access_key_id: env::var("AWS_ACCESS_KEY_ID")?,
        secret_access_key: env::var("AWS_SECRET_ACCESS_KEY")?.into(),
        session_token: env::var("AWS_SESSION_TOKEN").ok().map(Into::into),
        expires_at: None,
    };

    // A server makes the key: its owner's folder, and a name that nobody can guess.
    let expiry = Expiry::within(SignedDuration::from_mins(5)).clamp_to_credentials();
    let form = PostPolicy::new(
        &Bucket::new(&bucket, &region)?,
        "uploads/k5x/5fq",
        1..=25 * 1024 * 1024,
        expiry,
    )?
    .content_type("image/jpeg")?
    .metadata("filename", "beach.jpg")?
    .sign(Timestamp::now(), &credentials)?;
    println!("{}", serde_json::to_string_pretty(&form)?);
    Ok(())
}
