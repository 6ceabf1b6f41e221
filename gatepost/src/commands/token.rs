//! `gatepost token`: prints a JWT of the development issuer, for curl and scripts.

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::config::parse_duration;
use crate::dev::issuer;
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// The subject of the token, a user's name.
    #[arg(long)]
    sub: String,
    /// Claims to add or replace, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = parse_claims)]
    claims: Option<Map<String, Value>>,
    /// How long the token is valid.
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
    /// The data directory that holds the issuer's key.
    #[arg(long, default_value = ".gatepost", value_name = "DIR")]
    data_dir: PathBuf,
}

/// A longer lifetime is a mistake.
const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Prints the token.
pub(crate) fn run(args: TokenArgs) -> anyhow::Result<()> {
    anyhow::ensure!(!args.sub.is_empty(), "--sub is empty; name the subject");
    anyhow::ensure!(
        args.expires <= MAX_LIFETIME,
        "--expires must be at most ten years"
    );
    let issuer = issuer::existing(&args.data_dir)?;
    let claims = args.claims.unwrap_or_default();
    let token = issuer.token(Timestamp::now(), &args.sub, args.expires, claims)?;
    Ok(output::print(token)?)
}

fn parse_claims(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}
