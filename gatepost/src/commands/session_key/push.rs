//! `gatepost session-key push`: the first key.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use signing_api::{SharedKey, SharedSecret};

use super::material::{self, Kid};
use super::places::{PlaceArgs, Places};
use crate::config::parse_duration;
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// The key's name, which is in the header of its sessions.
    #[arg(long, value_name = "KID")]
    kid: Kid,
    /// The file with the secret of at least 32 bytes, without a final line break; - is standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    secret_file: PathBuf,
    #[command(flatten)]
    places: PlaceArgs,
    #[command(flatten)]
    spread: SpreadArgs,
}

#[derive(Args, Debug)]
pub(super) struct SpreadArgs {
    /// How long the edge may take to receive a change of the store. CloudFront says a few seconds, and does not tell when
    /// it is done.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_propagation)]
    pub(super) propagation: Duration,
}

/// Pushes.
pub(super) async fn run(args: &PushArgs) -> anyhow::Result<()> {
    let places = args.places.connect().await?;
    check_first(&places, &args.kid).await?;
    let given = material::read(&args.secret_file)?;
    let secret = spread(&places, &args.kid, Some(given), &args.spread).await?;
    let places = args.places.connect().await?;
    // Again: another run may have been here in the meantime.
    if !check_first(&places, &args.kid).await? {
        let mut keys = places.api.read().await?;
        keys.push(SharedKey {
            kid: args.kid.as_str().to_owned(),
            secret,
            from: None,
        });
        places.api.write(&keys).await?;
    }
    output::print(format_args!(
        "{} is in the store and in the secret; an API that starts now signs with it",
        args.kid
    ))?;
    Ok(())
}

/// Answers whether the API already has the key, and refuses if it has only others.
async fn check_first(places: &Places, kid: &Kid) -> anyhow::Result<bool> {
    let keys = places.api.read().await?;
    let is_known = keys.find(kid.as_str()).is_some();
    if !is_known && let Some(key) = keys.keys().last() {
        bail!(
            "the API already has a key, {}; add another one with `gatepost session-key rotate --kid {kid}`",
            key.kid
        );
    }
    Ok(is_known)
}

/// Puts a key into the store, and waits until every edge has it. Answers with its secret.
pub(super) async fn spread(
    places: &Places,
    kid: &Kid,
    given: Option<SharedSecret>,
    args: &SpreadArgs,
) -> anyhow::Result<SharedSecret> {
    let keys = places.api.read().await?;
    let known = keys.find(kid.as_str());
    let secret = material::choose(kid, known, &places.store.read().await?, given)?;
    let is_changed = places.store.put(kid.as_str(), &secret).await?;
    if !is_changed && known.is_some() {
        output::note(format_args!(
            "{kid} is already in the store and in the secret"
        ));
        return Ok(secret);
    }
    // An entry that an interrupted run made may be a second old.
    places.store.wait_until_ready().await?;
    output::note(format_args!(
        "{kid} is in the store; waiting {} s until every edge has it",
        args.propagation.as_secs()
    ));
    tokio::time::sleep(args.propagation).await;
    Ok(secret)
}

/// A duration of at least a second, or `0s`.
fn parse_propagation(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" | "0s" => Ok(Duration::ZERO),
        text => parse_duration(text).map(jiff::SignedDuration::unsigned_abs),
    }
}
