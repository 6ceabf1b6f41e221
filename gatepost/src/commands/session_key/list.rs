//! `gatepost session-key list`: one line for each key, without its secret.

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use signing_api::SessionSecrets;

use super::places::PlaceArgs;
use super::store::Snapshot;
use crate::terminal::output;
use crate::terminal::printable::printable;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    places: PlaceArgs,
    /// How the keys are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// One key. The names of the fields are a contract.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    kid: String,
    /// When it begins to sign; `None` for the first key, and for one that the API lacks.
    from: Option<Timestamp>,
    /// The time since then, in seconds; negative before it.
    age_seconds: Option<i64>,
    in_store: bool,
    in_secret: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// The API signs with it.
    Signs,
    /// The API will sign with it.
    Coming,
    /// Another key has replaced it; its sessions are verified.
    Verifies,
    /// A `push` or `rotate` was interrupted.
    Incomplete,
    /// The edge lacks it.
    MissingAtEdge,
    /// The edge has another secret.
    Differs,
}

/// Lists.
pub(super) async fn run(args: &ListArgs) -> anyhow::Result<()> {
    let places = args.places.connect().await?;
    let (keys, store) = (places.api.read().await?, places.store.read().await?);
    let lines = lines(&keys, &store, Timestamp::now());
    if args.format == Format::Json {
        return lines.iter().try_for_each(output::print_json);
    }
    if lines.is_empty() {
        output::print("there are no session keys")?;
        return Ok(());
    }
    let widths = lines
        .iter()
        .map(|line| printable(&line.kid).chars().count());
    let width = widths.max().unwrap_or(0).max("KID".len());
    output::print(row(width, "KID", "FROM", "AGE", "PLACES", "STATE"))?;
    for line in &lines {
        output::print(row(
            width,
            &printable(&line.kid),
            &line
                .from
                .map_or_else(|| "-".to_owned(), |from| from.to_string()),
            &line.age(),
            line.places(),
            line.state.describe(),
        ))?;
    }
    Ok(())
}

fn row(width: usize, kid: &str, from: &str, age: &str, places: &str, state: &str) -> String {
    format!("{kid:width$}  {from:20}  {age:>8}  {places:13}  {state}")
}

/// The API's keys in the order in which they sign, then those that only the store has.
fn lines(keys: &SessionSecrets, store: &Snapshot, now: Timestamp) -> Vec<Line> {
    let has_begun = |from: Option<Timestamp>| from.is_none_or(|from| from <= now);
    let signing = keys.keys().iter().rposition(|key| has_begun(key.from));
    let mut lines: Vec<_> = (keys.keys().iter().enumerate())
        .map(|(idx, key)| {
            let stored = store.value(&key.kid);
            let state = match stored {
                None => State::MissingAtEdge,
                Some(value) if value != key.secret.as_str() => State::Differs,
                Some(_) if !has_begun(key.from) => State::Coming,
                Some(_) if Some(idx) == signing => State::Signs,
                Some(_) => State::Verifies,
            };
            Line {
                kid: key.kid.clone(),
                from: key.from,
                age_seconds: key.from.map(|from| now.duration_since(from).as_secs()),
                in_store: stored.is_some(),
                in_secret: true,
                state,
            }
        })
        .collect();
    let only_stored = store.kids().into_iter();
    let only_stored = only_stored.filter(|kid| keys.find(kid).is_none());
    lines.extend(only_stored.map(|kid| Line {
        kid,
        from: None,
        age_seconds: None,
        in_store: true,
        in_secret: false,
        state: State::Incomplete,
    }));
    lines
}

impl Line {
    fn places(&self) -> &'static str {
        match (self.in_store, self.in_secret) {
            (true, true) => "store, secret",
            (true, false) => "store",
            _ => "secret",
        }
    }

    /// In its two largest units, such as `3d 4h`, or `in 4m`.
    fn age(&self) -> String {
        let Some(seconds) = self.age_seconds else {
            return "-".to_owned();
        };
        let age = SignedDuration::from_secs(seconds).abs().as_secs();
        let (minutes, hours, days) = (age / 60, age / 3600, age / 86_400);
        let text = match (days, hours, minutes) {
            (0, 0, 0) => format!("{age}s"),
            (0, 0, _) => format!("{minutes}m"),
            (0, _, _) => format!("{hours}h {}m", minutes % 60),
            _ => format!("{days}d {}h", hours % 24),
        };
        if seconds < 0 {
            format!("in {text}")
        } else {
            text
        }
    }
}

impl State {
    fn describe(self) -> &'static str {
        match self {
            Self::Signs => "signs",
            Self::Coming => "will sign",
            Self::Verifies => "verifies",
            Self::Incomplete => "incomplete: repeat push or rotate with this kid",
            Self::MissingAtEdge => "missing in the store: the edge refuses its sessions",
            Self::Differs => "the store has another secret: the edge refuses its sessions",
        }
    }
}

#[cfg(test)]
mod tests {
    use signing_api::{SharedKey, SharedSecret};

    use super::*;

    #[test]
    fn each_key_has_its_places_and_its_state() {
        let secret = |byte| SharedSecret::from_bytes(&[byte; 32]).unwrap();
        let now: Timestamp = "2026-11-28T09:00:00Z".parse().unwrap();
        let mut keys = SessionSecrets::default();
        for (kid, from) in [
            ("a", None),
            ("b", Some("2026-11-28T08:00:00Z")),
            ("c", Some("2026-11-28T09:05:00Z")),
        ] {
            keys.push(SharedKey {
                kid: kid.to_owned(),
                secret: secret(1),
                from: from.map(|from| from.parse().unwrap()),
            });
        }
        let of = |store: &Snapshot| -> Vec<_> {
            let lines = lines(&keys, store, now).into_iter();
            lines
                .map(|line| (line.kid.clone(), line.age(), line.places(), line.state))
                .collect()
        };
        let empty = of(&Snapshot::of(None));
        assert!(
            empty
                .iter()
                .all(|(_, _, places, state)| *places == "secret" && *state == State::MissingAtEdge)
        );
        for (kid, byte, expected) in [
            ("a", 1, ("-", State::Verifies)),
            ("b", 1, ("1h 0m", State::Signs)),
            ("b", 2, ("1h 0m", State::Differs)),
            ("c", 1, ("in 5m", State::Coming)),
        ] {
            let lines = of(&Snapshot::of(Some((kid, secret(byte)))));
            let line = lines.iter().find(|(found, ..)| found == kid).unwrap();
            assert_eq!((line.1.as_str(), line.3), expected, "{kid}");
            assert_eq!(line.2, "store, secret");
        }
        let lines = of(&Snapshot::of(Some(("d", secret(1)))));
        let line = lines.last().unwrap();
        assert_eq!(
            (line.0.as_str(), line.2, line.3),
            ("d", "store", State::Incomplete)
        );
    }
}
