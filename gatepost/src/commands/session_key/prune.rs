//! `gatepost session-key prune`: removes the keys whose last session has expired.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use signing_api::SharedKey;

use super::places::PlaceArgs;
use crate::config::parse_duration;
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// How long a session lasts: its configured lifetime, or more. The default is the longest that can be configured.
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = parse_duration)]
    lifetime: SignedDuration,
    #[command(flatten)]
    places: PlaceArgs,
}

/// Prunes. The store comes first: a run that is interrupted finds the keys in the secret, and completes the removal.
pub(super) async fn run(args: &PruneArgs) -> anyhow::Result<()> {
    let places = args.places.connect().await?;
    let mut keys = places.api.read().await?;
    let ended = ended(keys.keys(), Timestamp::now(), args.lifetime);
    if ended.is_empty() {
        output::print("there is no key whose sessions have all expired")?;
        return Ok(());
    }
    places.store.remove(&ended).await?;
    keys.remove(&ended);
    places.api.write(&keys).await?;
    for kid in ended {
        output::print(format_args!(
            "{kid} is removed from the store and from the secret"
        ))?;
    }
    Ok(())
}

/// The keys that another key replaced longer ago than a session lasts. The keys are in the order in which they sign.
fn ended(keys: &[SharedKey], now: Timestamp, lifetime: SignedDuration) -> Vec<String> {
    let replaced = keys.windows(2).filter(|pair| {
        let end = pair[1]
            .from
            .and_then(|from| from.checked_add(lifetime).ok());
        end.is_some_and(|end| end <= now)
    });
    replaced.map(|pair| pair[0].kid.clone()).collect()
}

#[cfg(test)]
mod tests {
    use signing_api::SharedSecret;

    use super::*;

    #[test]
    fn a_key_ends_a_lifetime_after_the_next_one_began_to_sign() {
        let key = |kid: &str, from: Option<&str>| SharedKey {
            kid: kid.to_owned(),
            secret: SharedSecret::from_bytes(&[1; 32]).unwrap(),
            from: from.map(|from| from.parse().unwrap()),
        };
        let keys = [
            key("a", None),
            key("b", Some("2026-11-28T09:00:00Z")),
            key("c", Some("2026-11-28T21:00:00Z")),
        ];
        let lifetime = SignedDuration::from_hours(12);
        for (now, expected) in [
            ("2026-11-28T20:59:59Z", &[][..]),
            ("2026-11-28T21:00:00Z", &["a"]),
            ("2026-11-29T08:59:59Z", &["a"]),
            ("2026-11-29T09:00:00Z", &["a", "b"]),
            ("2027-11-29T09:00:00Z", &["a", "b"]),
        ] {
            assert_eq!(
                ended(&keys, now.parse().unwrap(), lifetime),
                expected,
                "{now}"
            );
        }
        assert_eq!(ended(&keys[..1], Timestamp::MAX, lifetime), [""; 0]);
    }
}
