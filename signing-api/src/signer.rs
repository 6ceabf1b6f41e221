//! The credentials that sign forms and links. They are fetched once and cached until a signature would outlive them. A
//! provider such as `AssumeRoleProvider` does not cache: each call is a request to STS.

use std::sync::{Mutex, PoisonError};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use jiff::{SignedDuration, Timestamp};
use url_signing::{Credentials, window_start};

/// Credentials are replaced this long before they expire, even if the signature expires earlier.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// Credentials younger than this are not replaced: new ones would hardly last longer. This bounds the requests to STS if
/// sessions are shorter than the signed lifetimes.
const MIN_AGE: SignedDuration = SignedDuration::from_mins(5);
/// A browser cannot use a signature whose credentials expire sooner than this.
const MIN_REMAINING: SignedDuration = SignedDuration::from_mins(1);

/// The cache of signing credentials. It calls its provider only if the cached credentials expire too early.
#[derive(Debug)]
pub struct Signer {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
    /// Held during a fetch: concurrent callers wait for its result (single-flight).
    fetch: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Kept {
    credentials: Credentials,
    fetched_at: Timestamp,
}

/// How long credentials must last for a signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// The beginning of the window within which all callers get the same URL; without a window, the time of signing.
    window_start: Timestamp,
    /// Credentials that last until here serve all signatures of the window.
    whole: Timestamp,
    /// Credentials that expire before this do not outlive the current signature.
    least: Timestamp,
}

impl Term {
    /// The term of a signature that is made now and lasts for `lifetime`.
    pub(crate) fn of(now: Timestamp, lifetime: SignedDuration) -> Self {
        let until = later(now, lifetime.max(MARGIN));
        Self {
            window_start: now,
            whole: until,
            least: until,
        }
    }

    /// The term of a URL that all callers within the same `window` share. `longest` is the maximum lifetime that a caller
    /// may request: credentials that serve it serve all callers of the window, so no URL changes within it.
    pub(crate) fn shared(
        now: Timestamp,
        lifetime: SignedDuration,
        longest: SignedDuration,
        window: SignedDuration,
    ) -> Self {
        if !window.is_positive() {
            return Self::of(now, lifetime);
        }
        let window_start = window_start(now, window);
        Self {
            window_start,
            whole: later(later(window_start, window), longest.max(MARGIN)),
            least: later(now, lifetime),
        }
    }
}

impl Kept {
    fn lasts_until(&self, moment: Timestamp) -> bool {
        self.credentials.expires_at.is_none_or(|end| moment <= end)
    }

    fn serves(&self, now: Timestamp, term: Term) -> bool {
        let is_of_window = term.window_start <= self.fetched_at;
        let is_new = now < later(self.fetched_at, MIN_AGE);
        self.lasts_until(term.whole)
            || (is_of_window && self.lasts_until(term.least))
            || (is_new && self.lasts_until(later(now, MIN_REMAINING)))
    }
}

impl Signer {
    /// A cache of this provider's credentials.
    pub fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            kept: Mutex::new(None),
            fetch: tokio::sync::Mutex::new(()),
        }
    }

    /// Credentials that last for this term, if the provider has such: a session may be shorter than the term.
    pub(crate) async fn credentials(
        &self,
        now: Timestamp,
        term: Term,
    ) -> Result<Credentials, CredentialsError> {
        if let Some(kept) = self.kept().filter(|kept| kept.serves(now, term)) {
            return Ok(kept.credentials);
        }
        let _fetch = self.fetch.lock().await;
        let kept = self.kept();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.serves(now, term)) {
            return Ok(kept.credentials.clone());
        }
        match self.provider.provide_credentials().await {
            Ok(fetched) => {
                let credentials = read(&fetched);
                let fetched_at = now;
                *self.lock() = Some(Kept {
                    credentials: credentials.clone(),
                    fetched_at,
                });
                Ok(credentials)
            }
            // A failure is not cached: the next call tries again.
            Err(error) => match kept {
                Some(kept) if kept.lasts_until(later(now, MIN_REMAINING)) => {
                    tracing::warn!(%error, "the signing credentials cannot be renewed; the current ones are still used");
                    Ok(kept.credentials)
                }
                _ => Err(error),
            },
        }
    }

    fn kept(&self) -> Option<Kept> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(fetched: &aws_credential_types::Credentials) -> Credentials {
    Credentials {
        access_key_id: fetched.access_key_id().to_owned(),
        secret_access_key: fetched.secret_access_key().into(),
        session_token: fetched.session_token().map(Into::into),
        expires_at: fetched
            .expiry()
            .and_then(|expiry| Timestamp::try_from(expiry).ok()),
    }
}

/// Saturates at `Timestamp::MAX`.
fn later(moment: Timestamp, duration: SignedDuration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use aws_credential_types::Credentials as Fetched;
    use aws_credential_types::provider::future;
    use futures::future::join_all;

    use super::*;

    /// A provider that counts its calls. It answers with sessions of these lengths, each with its own id; `None` is an error.
    #[derive(Clone, Debug, Default)]
    struct Scripted(Arc<Mutex<Script>>);

    #[derive(Debug, Default)]
    struct Script {
        now: i64,
        n_fetches: usize,
        sessions: VecDeque<Option<i64>>,
    }

    impl Scripted {
        fn fetch(&self) -> Result<Fetched, CredentialsError> {
            let mut script = self.0.lock().unwrap();
            script.n_fetches += 1;
            let Some(minutes) = script.sessions.pop_front().unwrap_or(Some(60)) else {
                return Err(CredentialsError::provider_error("STS does not answer"));
            };
            let end = u64::try_from(script.now + 60 * minutes).unwrap();
            let end = UNIX_EPOCH + Duration::from_secs(end);
            let id = format!("ASIA{}", script.n_fetches);
            Ok(Fetched::new(id, "secret", None, Some(end), "scripted"))
        }
    }

    impl ProvideCredentials for Scripted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                // Concurrent callers are polled before the answer arrives.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                self.fetch()
            })
        }
    }

    struct Bench {
        script: Scripted,
        signer: Signer,
    }

    impl Bench {
        fn new(sessions: &[Option<i64>]) -> Self {
            let script = Scripted::default();
            script.0.lock().unwrap().sessions = sessions.iter().copied().collect();
            let signer = Signer::new(SharedCredentialsProvider::new(script.clone()));
            Self { script, signer }
        }

        /// The id of the credentials at this minute.
        async fn id(
            &self,
            minute: i64,
            term: impl Fn(Timestamp) -> Term,
        ) -> Result<String, CredentialsError> {
            self.script.0.lock().unwrap().now = 60 * minute;
            let now = Timestamp::from_second(60 * minute).unwrap();
            let credentials = self.signer.credentials(now, term(now)).await?;
            Ok(credentials.access_key_id)
        }

        fn n_fetches(&self) -> usize {
            self.script.0.lock().unwrap().n_fetches
        }
    }

    fn minutes(minutes: i64) -> SignedDuration {
        SignedDuration::from_mins(minutes)
    }

    fn form(now: Timestamp) -> Term {
        Term::of(now, minutes(1))
    }

    fn link(now: Timestamp) -> Term {
        Term::of(now, minutes(45))
    }

    /// A window of 15 minutes, within which anybody may ask for 45.
    fn short_shared_link(now: Timestamp) -> Term {
        Term::shared(now, minutes(1), minutes(45), minutes(15))
    }

    fn long_shared_link(now: Timestamp) -> Term {
        Term::shared(now, minutes(45), minutes(45), minutes(15))
    }

    /// A window of a day: longer than any session.
    fn link_of_the_day(now: Timestamp) -> Term {
        Term::shared(now, minutes(45), minutes(45), minutes(24 * 60))
    }

    #[tokio::test]
    async fn credentials_are_kept_while_they_outlive_what_is_signed() {
        /// The minute, what is signed, and how many sets of credentials there were then.
        type Call = (i64, fn(Timestamp) -> Term, usize);
        type Case<'a> = (&'a str, &'a [Option<i64>], &'a [Call]);
        let cases: [Case<'_>; 8] = [
            (
                "forms, until five minutes before the end",
                &[],
                &[(0, form, 1), (55, form, 1), (56, form, 2), (111, form, 2)],
            ),
            (
                "links, until their lifetime before the end",
                &[],
                &[
                    (0, link, 1),
                    (15, link, 1),
                    (16, link, 2),
                    (31, link, 2),
                    (32, link, 3),
                ],
            ),
            (
                "a window's callers have one set, however long their links",
                &[],
                &[
                    (0, form, 1),
                    (16, short_shared_link, 2),
                    (29, long_shared_link, 2),
                    (30, short_shared_link, 3),
                    (44, long_shared_link, 3),
                ],
            ),
            (
                "forms do not replace a window's set",
                &[],
                &[
                    (0, short_shared_link, 1),
                    (14, form, 1),
                    (14, long_shared_link, 1),
                ],
            ),
            (
                "a window that is longer than a session, while the set outlives the link",
                &[],
                &[
                    (0, link_of_the_day, 1),
                    (15, link_of_the_day, 1),
                    (16, link_of_the_day, 2),
                    (31, link_of_the_day, 2),
                ],
            ),
            (
                "sessions shorter than a link are replaced every five minutes at most",
                &[Some(15), Some(15), Some(15)],
                &[(0, link, 1), (4, link, 1), (5, link, 2), (9, link, 2)],
            ),
            (
                "sessions of a few minutes until a minute before their end",
                &[Some(3), Some(3), Some(3)],
                &[(0, form, 1), (2, form, 1), (3, form, 2)],
            ),
            (
                "an end that has passed",
                &[],
                &[(0, form, 1), (120, form, 2)],
            ),
        ];
        for (case, sessions, calls) in cases {
            let bench = Bench::new(sessions);
            for (minute, term, expected) in calls {
                let id = bench.id(*minute, term).await.unwrap();
                assert_eq!(id, format!("ASIA{expected}"), "{case}: minute {minute}");
                assert_eq!(bench.n_fetches(), *expected, "{case}: minute {minute}");
            }
        }
    }

    #[tokio::test]
    async fn concurrent_callers_share_a_fetch() {
        let bench = Bench::new(&[]);
        for (minute, expected) in [(0, 1), (56, 2)] {
            let calls = (0..8).map(|_| bench.id(minute, form));
            let ids: Vec<_> = join_all(calls)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            assert_eq!(ids, vec![format!("ASIA{expected}"); 8]);
            assert_eq!(bench.n_fetches(), expected);
        }
    }

    #[tokio::test]
    async fn a_failed_fetch_is_not_kept() {
        let bench = Bench::new(&[None, Some(60)]);
        assert!(bench.id(0, form).await.is_err());
        assert_eq!(bench.id(0, form).await.unwrap(), "ASIA2");
        assert_eq!(bench.id(1, form).await.unwrap(), "ASIA2");
    }

    #[tokio::test]
    async fn credentials_that_still_serve_are_used_while_a_refresh_fails() {
        let bench = Bench::new(&[Some(60), None, None, None, Some(60)]);
        assert_eq!(bench.id(0, form).await.unwrap(), "ASIA1");
        assert_eq!(bench.id(56, form).await.unwrap(), "ASIA1");
        assert_eq!(bench.id(59, form).await.unwrap(), "ASIA1");
        // Their remaining lifetime is too short.
        assert!(bench.id(60, form).await.is_err());
        assert_eq!(bench.id(60, form).await.unwrap(), "ASIA5");
    }

    #[tokio::test]
    async fn a_caller_that_leaves_does_not_keep_others_waiting() {
        let bench = Bench::new(&[]);
        let left = bench.id(0, form);
        let stays = bench.id(0, form);
        futures::pin_mut!(stays);
        {
            futures::pin_mut!(left);
            assert!(futures::poll!(&mut left).is_pending());
            assert!(futures::poll!(&mut stays).is_pending());
        }
        assert_eq!(stays.await.unwrap(), "ASIA1");
    }
}
