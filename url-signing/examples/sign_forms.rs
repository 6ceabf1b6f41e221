//! Measures the signing of upload forms: `sign_forms SECONDS` prints the nanoseconds per form. Bucket and credentials
//! are made once, as in a service. `bench/signing` runs it beside AWS's SDKs.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use url_signing::{Bucket, Credentials, Expiry, PostPolicy, SignedForm, SigningError};

fn form(n: u64, bucket: &Bucket, credentials: &Credentials) -> Result<SignedForm, SigningError> {
    let expiry = Expiry::within(SignedDuration::from_mins(5));
    let key = format!("uploads/mvbss32xiycek3hlzhe6yejbn4/{n:026}");
    PostPolicy::new(bucket, &key, 1..=26_214_400, expiry)?
        .content_type("image/jpeg")?
        .metadata("filename", "beach.jpg")?
        .sign(Timestamp::now(), credentials)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: f64 = std::env::args().nth(1).unwrap_or_default().parse()?;
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: Some("t".repeat(400).into()),
        expires_at: None,
    };
    let bucket = Bucket::new("example-uploads", "eu-central-1")?;
    let (started, mut n) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        for _ in 0..100 {
            n += 1;
            let form = form(n, &bucket, &credentials)?;
            if form.fields.len() != 9 {
                return Err("the form has other fields than the peers'".into());
            }
        }
    }
    println!("{}", started.elapsed().as_nanos() / u128::from(n));
    Ok(())
}
