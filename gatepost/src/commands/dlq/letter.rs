//! A dead letter of either queue, and how its parts are printed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use media_contract::UploadKey;
use upload_processor::event::{Notice, Record};

/// A message that was received as often as its queue allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DeadLetter {
    pub(super) id: String,
    /// As it was sent.
    pub(super) body: String,
    pub(super) sent_at: Timestamp,
    pub(super) first_received_at: Option<Timestamp>,
    /// On SQS, looking at the dead letter counts as well.
    pub(super) receive_count: u32,
}

impl DeadLetter {
    /// The time since it was sent; never negative, even if a clock is wrong.
    pub(super) fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.sent_at).max(SignedDuration::ZERO)
    }

    /// The object keys of the uploads that it is about.
    pub(super) fn uploads(&self) -> Vec<String> {
        let Ok(Notice::Records(records)) = Notice::parse(&self.body) else {
            return Vec::new();
        };
        let uploads: BTreeSet<_> = records.iter().filter_map(upload_of).collect();
        uploads.iter().map(UploadKey::original).collect()
    }
}

/// The upload that a record is about, in any bucket.
pub(super) fn upload_of(record: &Record) -> Option<UploadKey> {
    match record {
        Record::Created(object) => UploadKey::parse(&object.key),
        Record::Other(_) | Record::Unreadable(_) => None,
    }
}

/// Uploads in one column: the first, and the number of the others.
pub(super) fn format_uploads(uploads: &[String]) -> String {
    match uploads {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// A duration in its two largest units, such as `3d 4h`.
pub(super) fn format_age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";

    #[test]
    fn ages_have_two_units() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h 0m"),
            (86_399, "23h 59m"),
            (273_600, "3d 4h"),
            (1_209_600, "14d 0h"),
        ] {
            assert_eq!(format_age(SignedDuration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn a_dead_letter_is_about_the_uploads_in_its_envelopes() {
        let key = |digit: &str| format!("uploads/{OWNER}/{}", digit.repeat(26));
        let put = |key: &str| {
            json!({
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
                "s3": {"bucket": {"name": "b"}, "object": {"key": key}},
            })
        };
        let one = json!({"Records": [put(&key("7"))]});
        for (body, uploads, shown) in [
            (one.to_string(), vec![key("7")], key("7")),
            (
                json!({"Type": "Notification", "Message": one.to_string()}).to_string(),
                vec![key("7")],
                key("7"),
            ),
            (
                json!({"Records": [put(&key("7")), put(&key("6")), put(&key("7")), put("x")]})
                    .to_string(),
                vec![key("6"), key("7")],
                format!("{} and 1 more", key("6")),
            ),
            ("{".to_owned(), vec![], "-".to_owned()),
            (
                json!({"Event": "s3:TestEvent"}).to_string(),
                vec![],
                "-".to_owned(),
            ),
        ] {
            let letter = DeadLetter {
                id: "1".to_owned(),
                body,
                sent_at: Timestamp::UNIX_EPOCH,
                first_received_at: None,
                receive_count: 9,
            };
            assert_eq!(letter.uploads(), uploads, "{}", letter.body);
            assert_eq!(format_uploads(&letter.uploads()), shown);
        }
    }
}
