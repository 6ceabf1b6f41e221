//! `gatepost session-key rotate`: another key, with which the API signs from a time on that every instance learns of.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use signing_api::{SessionSecrets, SharedKey};

use super::material::{self, Kid};
use super::places::PlaceArgs;
use super::push::{SpreadArgs, spread};
use crate::config::parse_duration;
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// The new key's name, which is in the header of its sessions.
    #[arg(long, value_name = "KID")]
    kid: Kid,
    /// The file with the secret of at least 32 bytes, without a final line break; - is standard input [default: 32 random bytes].
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How old the API's copy of its secret may be: 5m unless its environment says otherwise.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    api_cache: SignedDuration,
    #[command(flatten)]
    places: PlaceArgs,
    #[command(flatten)]
    spread: SpreadArgs,
}

/// Rotates; returns once the API signs with the new key.
pub(super) async fn run(args: &RotateArgs) -> anyhow::Result<()> {
    let kid = &args.kid;
    let places = args.places.connect().await?;
    check_rotation(&places.api.read().await?, kid)?;
    let given = args
        .secret_file
        .as_deref()
        .map(material::read)
        .transpose()?;
    let secret = spread(&places, kid, given, &args.spread).await?;
    let places = args.places.connect().await?;
    // Again: another run may have been here in the meantime.
    let mut keys = places.api.read().await?;
    check_rotation(&keys, kid)?;
    let from = if let Some(known) = keys.find(kid.as_str()) {
        known.from.unwrap_or(Timestamp::MIN)
    } else {
        let from = next_from(&keys, Timestamp::now(), args.api_cache)?;
        keys.push(SharedKey {
            kid: kid.as_str().to_owned(),
            secret,
            from: Some(from),
        });
        places.api.write(&keys).await?;
        from
    };
    if from > Timestamp::now() {
        output::note(format_args!(
            "{kid} is in the secret; waiting until {from}, when the API begins to sign with it"
        ));
    }
    wait_until(from).await;
    // Secrets Manager has no conditional write: of two runs at one time, one may have replaced what the other wrote.
    let keys = args.places.connect().await?.api.read().await?;
    if keys.find(kid.as_str()).is_none() {
        bail!("another run has replaced the API's secret; run this command again");
    }
    output::print(format_args!("the API signs with {kid}"))?;
    Ok(())
}

/// Refuses a rotation without a key, and one to a key that another has replaced.
fn check_rotation(keys: &SessionSecrets, kid: &Kid) -> anyhow::Result<()> {
    let Some(newest) = keys.keys().last() else {
        bail!(
            "the API has no key yet; write the first one with `gatepost session-key push --kid {kid}`"
        );
    };
    if keys.find(kid.as_str()).is_some() && newest.kid != kid.as_str() {
        bail!("{kid} was replaced by {}; choose another kid", newest.kid);
    }
    Ok(())
}

/// The second from which the new key signs: every copy of the secret that lacks it is too old by then.
fn next_from(
    keys: &SessionSecrets,
    now: Timestamp,
    api_cache: SignedDuration,
) -> anyhow::Result<Timestamp> {
    let newest = keys.keys().last().and_then(|key| key.from);
    let after = |time: Timestamp, duration: SignedDuration| {
        let time = time.checked_add(duration);
        time.context("the new key would begin to sign too far in the future")
    };
    let second = SignedDuration::from_secs(1);
    // Rounded up: the document has whole seconds.
    let whole = Timestamp::from_second(now.as_second())?;
    let from = after(after(whole, second)?, api_cache)?;
    match newest {
        Some(newest) if newest >= from => after(newest, second),
        _ => Ok(from),
    }
}

async fn wait_until(time: Timestamp) {
    // In parts: a suspended machine's timers may count less than its clock.
    while let Ok(rest) = Duration::try_from(time.duration_since(Timestamp::now())) {
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest.min(Duration::from_secs(1))).await;
    }
}

#[cfg(test)]
mod tests {
    use signing_api::SharedSecret;

    use super::*;

    fn keys(keys: &[(&str, Option<&str>)]) -> SessionSecrets {
        let mut all = SessionSecrets::default();
        for (kid, from) in keys {
            all.push(SharedKey {
                kid: (*kid).to_owned(),
                secret: SharedSecret::from_bytes(&[1; 32]).unwrap(),
                from: from.map(|from| from.parse().unwrap()),
            });
        }
        all
    }

    #[test]
    fn a_new_key_signs_when_every_older_copy_has_ended_and_after_all_others() {
        let now: Timestamp = "2026-11-28T09:00:00.5Z".parse().unwrap();
        let cache = SignedDuration::from_mins(5);
        for (newest, expected) in [
            (None, "2026-11-28T09:05:01Z"),
            (Some("2026-11-28T08:00:00Z"), "2026-11-28T09:05:01Z"),
            (Some("2026-11-28T09:05:01Z"), "2026-11-28T09:05:02Z"),
            (Some("2026-11-28T10:00:00Z"), "2026-11-28T10:00:01Z"),
        ] {
            let from = next_from(&keys(&[("a", newest)]), now, cache).unwrap();
            assert_eq!(from, expected.parse().unwrap(), "{newest:?}");
        }
        let far = SignedDuration::MAX;
        assert!(next_from(&keys(&[]), now, far).is_err());
    }

    #[test]
    fn only_the_newest_key_or_a_new_one_can_be_rotated_to() {
        let two = keys(&[("a", None), ("b", Some("2026-11-28T09:00:00Z"))]);
        for (keys, kid, expected) in [
            (&two, "b", None),
            (&two, "c", None),
            (&two, "a", Some("a was replaced by b")),
            (&keys(&[]), "a", Some("the API has no key yet")),
        ] {
            let refused = check_rotation(keys, &kid.parse().unwrap());
            match (refused, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(said)) => {
                    assert!(error.to_string().starts_with(said), "{error}");
                }
                (found, expected) => panic!("{kid}: {found:?}, not {expected:?}"),
            }
        }
    }
}
