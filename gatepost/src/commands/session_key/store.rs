//! The `KeyValueStore`: its entries of session keys, read and changed through its data API.
//!
//! The API wants signatures for all Regions (`SigV4A`). Its own SDK puts the account's number before the host of any
//! endpoint, which no emulator's name allows; so the three operations are called here.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use aws_call::{Answer, CallError, Caller, Scope};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::shared_session_header;
use http::{Method, Request, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use signing_api::SharedSecret;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The name of the service in signatures.
const SERVICE: &str = "cloudfront-keyvaluestore";
/// The prefix of the entries with sessions' secrets. The function at the edge adds it before it asks the store.
const PREFIX: &str = "session/";
/// All but the unreserved characters (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The most entries that one call lists.
const PAGE: &str = "50";
/// How often an update that met another one is repeated.
const MAX_CONFLICTS: u32 = 5;
/// How long the store may take to report that it is ready.
const MAX_PROVISIONING: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(1);

/// The store.
pub(super) struct Store {
    caller: Caller,
    endpoint: String,
    /// The ARN as a segment of a path.
    segment: String,
}

/// The entries of session keys at one moment.
pub(super) struct Snapshot {
    etag: String,
    entries: Vec<(String, Zeroizing<String>)>,
}

impl Store {
    /// The store of this ARN, at AWS or at an endpoint.
    pub(super) fn new(caller: Caller, arn: &str, endpoint: Option<&str>) -> anyhow::Result<Self> {
        let account = account_of(arn).context(
            "--store is not the ARN of a KeyValueStore, such as arn:aws:cloudfront::123456789012:key-value-store/0e4c…",
        )?;
        let endpoint = endpoint.map(str::to_owned).or_else(|| {
            [
                "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE",
                "AWS_ENDPOINT_URL",
            ]
            .into_iter()
            .find_map(|name| std::env::var(name).ok())
        });
        let endpoint =
            endpoint.unwrap_or_else(|| format!("https://{account}.cloudfront-kvs.global.api.aws"));
        Ok(Self {
            caller,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            segment: utf8_percent_encode(arn, SEGMENT).to_string(),
        })
    }

    /// Reads the entries of session keys.
    pub(super) async fn read(&self) -> anyhow::Result<Snapshot> {
        // The version first: an update is then refused if the entries have changed since.
        let (etag, _) = self.describe().await?;
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut path = format!("/keys?MaxResults={PAGE}");
            if let Some(token) = &token {
                path.push_str("&NextToken=");
                path.extend(utf8_percent_encode(token, SEGMENT));
            }
            let answer = self.call(Method::GET, &path, None, String::new()).await;
            let answer = answer.map_err(|error| anyhow!("the store cannot be listed: {error}"))?;
            for item in answer.body["Items"].as_array().into_iter().flatten() {
                let (Some(key), Some(value)) = (item["Key"].as_str(), item["Value"].as_str())
                else {
                    continue;
                };
                if let Some(header) = key.strip_prefix(PREFIX) {
                    entries.push((header.to_owned(), Zeroizing::new(value.to_owned())));
                }
            }
            token = answer.body["NextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(Snapshot { etag, entries });
            }
        }
    }

    /// Puts a key, unless the store has it; answers whether the store changed.
    pub(super) async fn put(&self, kid: &str, secret: &SharedSecret) -> anyhow::Result<bool> {
        let put = json!([{"Key": entry(kid), "Value": secret.as_str()}]);
        self.update(&json!({"Puts": put, "Deletes": []}), |snapshot| {
            snapshot.value(kid) == Some(secret.as_str())
        })
        .await
    }

    /// Removes keys; answers whether the store changed.
    pub(super) async fn remove(&self, kids: &[String]) -> anyhow::Result<bool> {
        let mut is_changed = false;
        for kid in kids {
            let delete = json!([{"Key": entry(kid)}]);
            is_changed |= self
                .update(&json!({"Puts": [], "Deletes": delete}), |snapshot| {
                    snapshot.value(kid).is_none()
                })
                .await?;
        }
        Ok(is_changed)
    }

    /// Waits until the store reports that its last change is complete.
    pub(super) async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let (_, status) = self.describe().await?;
            if status == "READY" {
                return Ok(());
            }
            ensure!(
                started.elapsed() < MAX_PROVISIONING,
                "the store is still not ready but {status}; run this command again"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Updates the store, unless it is as it should be. The update is repeated if another one came between.
    async fn update(
        &self,
        change: &Value,
        is_done: impl Fn(&Snapshot) -> bool,
    ) -> anyhow::Result<bool> {
        for _ in 0..MAX_CONFLICTS {
            let snapshot = self.read().await?;
            if is_done(&snapshot) {
                return Ok(false);
            }
            let body = change.to_string();
            let updated = self.call(Method::POST, "/keys", Some(&snapshot.etag), body);
            match updated.await {
                Ok(_) => return Ok(true),
                Err(error) if error.has_code("ConflictException") => {}
                Err(error) => bail!("the store cannot be changed: {}", error.without_message()),
            }
        }
        bail!("the store keeps changing; run this command again when nobody else changes it")
    }

    /// The store's version and its status.
    async fn describe(&self) -> anyhow::Result<(String, String)> {
        let answer = self.call(Method::GET, "", None, String::new()).await;
        let answer = answer.map_err(|error| anyhow!("the store cannot be read: {error}"))?;
        let etag = answer.headers.get(header::ETAG);
        let etag = etag.and_then(|etag| etag.to_str().ok());
        let status = answer.body["Status"].as_str().unwrap_or("READY").to_owned();
        let etag = etag.context("the store's answer has no ETag; is the endpoint right?")?;
        Ok((etag.to_owned(), status))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: String,
    ) -> Result<Answer, CallError> {
        let (endpoint, segment) = (&self.endpoint, &self.segment);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{endpoint}/key-value-stores/{segment}{path}"));
        if let Some(etag) = if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body);
        let request = request.map_err(|error| CallError::Request(error.to_string()))?;
        self.caller
            .send(SERVICE, Scope::EveryRegion, &request)
            .await
    }
}

impl Snapshot {
    /// The value of a key.
    pub(super) fn value(&self, kid: &str) -> Option<&str> {
        let header = shared_session_header(kid);
        let entry = self.entries.iter().find(|(found, _)| *found == header);
        entry.map(|(_, value)| value.as_str())
    }

    /// The names of all keys. An entry that is not named by a session's header keeps its own name.
    pub(super) fn kids(&self) -> Vec<String> {
        let kids = self.entries.iter().map(|(header, _)| {
            let json = BASE64URL_NOPAD.decode(header.as_bytes()).ok();
            let json: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
            let kid = json.and_then(|json| Some(json["kid"].as_str()?.to_owned()));
            kid.filter(|kid| shared_session_header(kid) == *header)
                .unwrap_or_else(|| format!("{PREFIX}{header}"))
        });
        kids.collect()
    }

    #[cfg(test)]
    pub(super) fn of(entry: Option<(&str, SharedSecret)>) -> Self {
        let entries = entry.map(|(kid, secret)| {
            let value = Zeroizing::new(secret.as_str().to_owned());
            (shared_session_header(kid), value)
        });
        Self {
            etag: String::new(),
            entries: entries.into_iter().collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn with(kid: &str, value: &str) -> Self {
        Self {
            etag: String::new(),
            entries: vec![(shared_session_header(kid), Zeroizing::new(value.to_owned()))],
        }
    }
}

/// The store's key of a session key.
fn entry(kid: &str) -> String {
    format!("{PREFIX}{}", shared_session_header(kid))
}

/// The account of a `KeyValueStore`'s ARN.
fn account_of(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:cloudfront::")?;
    let (account, name) = rest.split_once(":key-value-store/")?;
    let is_number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_valid = is_number && !name.is_empty() && name.chars().all(is_name);
    is_valid.then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_store_is_accepted() {
        for (arn, account) in [
            (
                "arn:aws:cloudfront::123456789012:key-value-store/0e4c-1",
                Some("123456789012"),
            ),
            ("arn:aws:cloudfront::123456789012:key-value-store/", None),
            ("arn:aws:cloudfront::123456789012:key-value-store/a/b", None),
            ("arn:aws:cloudfront::x:key-value-store/a", None),
            ("arn:aws:cloudfront::123456789012:function/a", None),
            ("", None),
        ] {
            assert_eq!(account_of(arn), account, "{arn}");
        }
    }

    #[test]
    fn an_entry_is_named_by_the_header_of_its_sessions() {
        // {"alg":"HS256","kid":"2026-11","typ":"gatepost-session+jwt"}
        let header =
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjIwMjYtMTEiLCJ0eXAiOiJnYXRlcG9zdC1zZXNzaW9uK2p3dCJ9";
        assert_eq!(entry("2026-11"), format!("session/{header}"));
        let mut snapshot = Snapshot::with("2026-11", "x");
        snapshot
            .entries
            .push(("e30".to_owned(), Zeroizing::default()));
        assert_eq!(snapshot.kids(), ["2026-11", "session/e30"]);
        assert_eq!(snapshot.value("2026-11"), Some("x"));
        assert_eq!(snapshot.value("2026-12"), None);
    }
}
