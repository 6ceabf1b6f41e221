//! When a failed message is received again, and how often.
//!
//! The handler hides a failed message for [`retry_delay`], and the local stack's queue does the same. A failure
//! itself is a [`TransientError`](crate::TransientError).

use std::time::Duration;

/// How many times a message is received before it becomes a dead letter. With the delays of [`retry_delay`] the last
/// attempt is 31 minutes after the first.
pub const MAX_RECEIVES: u32 = 9;

/// How long a message is hidden after its n-th receive failed.
///
/// Most failures are over in seconds, and a person is waiting for the picture. A longer outage must not use up the
/// receives. The queue's own visibility timeout is not suitable as a retry delay: it must be six times the function's
/// timeout. With a timeout of 300 s the attempts would go on for hours after the API has answered `failed`. It applies
/// only if a worker was killed before it could hide its message.
pub fn retry_delay(receive_count: u32) -> Duration {
    match receive_count {
        0 | 1 => Duration::from_secs(2),
        2 => Duration::from_secs(10),
        3 => Duration::from_mins(1),
        _ => Duration::from_mins(6),
    }
}

#[cfg(test)]
mod tests {
    use media_contract::MAX_PROCESSING;

    use super::*;

    #[test]
    fn a_message_is_retried_for_half_an_hour_and_soon_at_first() {
        let mut at = Duration::ZERO;
        let mut attempts = vec![at];
        for receive_count in 1..MAX_RECEIVES {
            at += retry_delay(receive_count);
            attempts.push(at);
        }
        assert_eq!(
            attempts[..4],
            [0, 2, 12, 72].map(Duration::from_secs),
            "{attempts:?}"
        );
        assert!(at >= Duration::from_mins(30), "{attempts:?}");
        assert!(at < MAX_PROCESSING.unsigned_abs(), "{attempts:?}");
    }

    #[test]
    fn receives_and_the_longest_delay_agree_with_terraform() {
        let queue = include_str!("../../infra/modules/gatepost/queue.tf");
        let value = |name: &str| {
            queue.lines().find_map(|line| {
                let (found, value) = line.split_once('=')?;
                (found.trim() == name).then(|| value.trim().to_owned())
            })
        };
        assert_eq!(
            value("max_receives"),
            Some(MAX_RECEIVES.to_string()),
            "MAX_RECEIVES in upload-processor/src/retry.rs and `max_receives` in modules/gatepost/queue.tf must agree"
        );
        let longest = retry_delay(MAX_RECEIVES).as_secs();
        assert_eq!(
            value("visibility_seconds"),
            Some(format!(
                "6 * max(var.processor.timeout_seconds, {})",
                longest / 6
            )),
            "the longest delay of retry_delay in upload-processor/src/retry.rs and the minimum of `visibility_seconds` in \
             modules/gatepost/queue.tf must agree"
        );
    }
}
