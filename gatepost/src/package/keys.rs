//! Packs the issuers' public keys: fetched once if only a URL is configured, reduced to the members that verify, and
//! dated. The edge uses them while the provider does not answer, so a cold start does not depend on it.
//!
//! Only this module sends requests while packaging; `--offline` prevents that.

use std::collections::BTreeMap;

use edge_auth::config::{Config, Issuer};
use edge_auth::{Authorizer, NeedKeys};
use edge_auth_host::fetch_key_set;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::terminal::output;

/// The members of a JWK that define what it verifies (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), and Entra's `issuer`.
const MEMBERS: [&str; 11] = [
    "alg", "crv", "e", "issuer", "key_ops", "kid", "kty", "n", "use", "x", "y",
];
const KEY_TYPES: [&str; 3] = ["EC", "OKP", "RSA"];

/// A packed key set, as `manifest.json` describes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct PackedKeys {
    url: String,
    sha256: String,
    as_of: Timestamp,
}

/// Adds each URL's keys to the configuration, and returns the packed sets. A failed fetch is a warning: the function then
/// fetches the keys itself.
pub(super) async fn pack(
    config: &mut Config,
    previous: &[PackedKeys],
    offline: bool,
    now: Timestamp,
) -> Vec<PackedKeys> {
    let mut packed: BTreeMap<String, PackedKeys> = BTreeMap::new();
    let mut sets: BTreeMap<String, Option<Value>> = BTreeMap::new();
    for idx in 0..config.issuers.len() {
        let issuer = &config.issuers[idx];
        let Some(published) = issuer.published.clone() else {
            continue;
        };
        let url = published.url.clone();
        if !sets.contains_key(&url) {
            let mut given = config.issuers.iter().filter(|other| is_at(other, &url));
            let set = match given.find_map(|other| other.jwks.clone()) {
                Some(set) => Some(set),
                None if offline => None,
                None => fetch(issuer, &url, published.timeout_ms)
                    .await
                    .and_then(|set| usable(config, idx, &url, &reduced(&set))),
            };
            sets.insert(url.clone(), set.map(|set| reduced(&set)));
        }
        let Some(Some(set)) = sets.get(&url) else {
            continue;
        };
        let sha256 = super::sha256(set.to_string().as_bytes());
        let half = SignedDuration::from_secs(i64::from(published.max_stale_seconds) / 2);
        let as_of = previous
            .iter()
            .find(|known| known.url == url && known.sha256 == sha256)
            .map(|known| known.as_of)
            // The same keys keep their date, and the package its bytes, until half of `max_stale` has passed.
            .filter(|as_of| *as_of <= now && now.duration_since(*as_of) < half)
            .unwrap_or_else(|| midnight(now));
        let issuer = &mut config.issuers[idx];
        (issuer.jwks, issuer.jwks_as_of) = (Some(set.clone()), Some(as_of));
        packed.insert(url.clone(), PackedKeys { url, sha256, as_of });
    }
    packed.into_values().collect()
}

fn is_at(issuer: &Issuer, url: &str) -> bool {
    issuer
        .published
        .as_ref()
        .is_some_and(|published| published.url == url)
}

async fn fetch(issuer: &Issuer, url: &str, timeout_ms: u32) -> Option<Value> {
    let need = NeedKeys {
        issuer: issuer.issuer.clone(),
        url: url.to_owned(),
        timeout_ms,
    };
    match fetch_key_set(&need).await {
        Ok(set) => Some(set),
        Err(error) => {
            output::warn(format_args!(
                "the keys at {url} cannot be fetched, so none are packed: {error}; the function answers 503 until it has fetched them itself (--offline packs without fetching)"
            ));
            None
        }
    }
}

/// The keys of a fetched set that an authorizer accepts. The others, dangerous keys or keys for algorithms that the issuer
/// does not use, must not prevent the packing.
fn usable(config: &Config, idx: usize, url: &str, set: &Value) -> Option<Value> {
    let faults_of = |keys: Vec<Value>| {
        let mut config = config.clone();
        config.issuers[idx].jwks = Some(json!({ "keys": keys }));
        let faults = Authorizer::new(&config).err().unwrap_or_default();
        let faults: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
        faults.join("; ")
    };
    let all = set["keys"].as_array().cloned().unwrap_or_default();
    let is_usable = |key: &Value| faults_of(vec![key.clone()]).is_empty();
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(is_usable);
    if !bad.is_empty() && !good.is_empty() {
        let n_bad = bad.len();
        output::warn(format_args!(
            "{n_bad} of the keys at {url} are unusable here and are not packed"
        ));
    }
    let faults = faults_of(good.clone());
    if !faults.is_empty() {
        output::warn(format_args!("the keys at {url} are not packed: {faults}"));
        return None;
    }
    Some(json!({ "keys": good }))
}

/// The usable keys of a set with the members that verify, in the order of their names.
fn reduced(set: &Value) -> Value {
    let keys = set.get("keys").and_then(Value::as_array);
    let mut keys: Vec<Value> = keys
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        // A published private key is known to everybody.
        .filter(|key| !key.contains_key("d"))
        .filter(|key| {
            let kty = key.get("kty").and_then(Value::as_str);
            kty.is_some_and(|kty| KEY_TYPES.contains(&kty))
        })
        .map(|key| {
            let members = key
                .iter()
                .filter(|(name, _)| MEMBERS.contains(&name.as_str()));
            let members: Map<_, _> = members
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            Value::Object(members)
        })
        .collect();
    keys.sort_by_cached_key(|key| (key["kid"].as_str().map(str::to_owned), key.to_string()));
    json!({ "keys": keys })
}

/// The beginning of the day, in UTC: a package of the same day has the same bytes.
fn midnight(now: Timestamp) -> Timestamp {
    let into_the_day = now.as_second().rem_euclid(24 * 3600);
    Timestamp::from_second(now.as_second() - into_the_day).unwrap_or(now)
}

/// SHA-256 of a public key's JWK, as RFC 7638 has it for EC keys.
pub(super) fn thumbprint(jwk: &Value) -> String {
    let required = json!({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]});
    data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(required.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_of_a_set_depends_on_its_keys_alone() {
        let key = |kid: &str| json!({"kty": "RSA", "kid": kid, "n": "AQ", "e": "AQAB", "x5c": ["MII"], "nbf": 1});
        let secret = json!({"kty": "oct", "k": "AAAA"});
        let private = json!({"kty": "RSA", "kid": "p", "n": "AQ", "e": "AQAB", "d": "AQ"});
        let one = json!({"keys": [key("b"), secret, key("a"), private], "time": 1});
        let other = json!({"keys": [key("a"), key("b"), {"kty": "AKP", "pub": "AA"}], "time": 2});
        let expected = json!({"keys": [
            {"kty": "RSA", "kid": "a", "n": "AQ", "e": "AQAB"},
            {"kty": "RSA", "kid": "b", "n": "AQ", "e": "AQAB"},
        ]});
        assert_eq!(reduced(&one), expected);
        assert_eq!(reduced(&one).to_string(), reduced(&other).to_string());
        assert_eq!(reduced(&json!([])), json!({"keys": []}));
    }

    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 has an RSA key; its rules for EC give this for the key of RFC 7517, appendix A.1 (by Python's hashlib).
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": "1", "use": "enc",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        assert_eq!(
            thumbprint(&jwk),
            "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
        );
    }
}
