//! A policy: the resource that it is for, from when, until when and from which addresses. [`verify`](super::verify)
//! parses one only after its signature was right.

use std::net::Ipv4Addr;

use serde::Deserialize;

use super::connection::Connection;
use super::refusal::Refusal;
use crate::cloudfront::pattern::is_match;

/// The last moment of a policy: CloudFront takes 32 bits.
const MAX_EPOCH_TIME: i64 = i32::MAX as i64;

/// A policy's conditions.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Policy {
    /// A pattern of URLs; `None` for a canned policy, which is signed with the URL itself.
    resource: Option<String>,
    less_than: i64,
    greater_than: Option<i64>,
    addresses: Option<Addresses>,
}

/// The text that is signed with a canned policy, byte for byte.
pub(super) fn canned_text(url: &str, expires: i64) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

/// The value of `Expires`: a number as it is within the signed text, so without a sign and without zeros before it.
pub(super) fn expiry(text: &str) -> Option<i64> {
    let expires: i64 = text.parse().ok()?;
    let is_plain = (0..=MAX_EPOCH_TIME).contains(&expires) && expires.to_string() == text;
    is_plain.then_some(expires)
}

impl Policy {
    /// The policy of a URL that is signed as a whole.
    pub(super) fn canned(expires: i64) -> Self {
        Self {
            resource: None,
            less_than: expires,
            greater_than: None,
            addresses: None,
        }
    }

    /// Parses a custom policy: exactly the members that AWS documents, each once. AWS also takes a policy without a
    /// `Resource`, for every URL of every distribution; it is refused here.
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        let Document {
            statement: [statement],
        } = serde_json::from_slice(document).ok()?;
        let Condition {
            less_than,
            greater_than,
            addresses,
        } = statement.condition;
        let is_time = |time: i64| (0..=MAX_EPOCH_TIME).contains(&time);
        let greater_than = greater_than.map(|moment| moment.epoch_time);
        if !is_time(less_than.epoch_time) || !greater_than.is_none_or(is_time) {
            return None;
        }
        let addresses = match addresses {
            Some(Source { ip }) => Some(Addresses::parse(&ip)?),
            None => None,
        };
        Some(Self {
            resource: Some(statement.resource),
            less_than: less_than.epoch_time,
            greater_than,
            addresses,
        })
    }

    /// Checks a request against the policy. `url` is the address as the viewer sent it.
    pub(super) fn check(&self, connection: &Connection<'_>, url: &str) -> Result<(), Refusal> {
        let is_for = |resource: &str| is_match(resource.as_bytes(), url.as_bytes());
        if !self.resource.as_deref().is_none_or(is_for) {
            return Err(Refusal::OtherResource);
        }
        let now = connection.now.as_second();
        if now >= self.less_than {
            return Err(Refusal::Expired);
        }
        // "On or before" this moment nobody may fetch it.
        if self.greater_than.is_some_and(|from| now <= from) {
            return Err(Refusal::NotYetValid);
        }
        let holds = |addresses: &Addresses| addresses.contains(connection.address);
        if !self.addresses.as_ref().is_none_or(holds) {
            return Err(Refusal::OtherAddress);
        }
        Ok(())
    }
}

/// A range of IPv4 addresses in CIDR notation, or one address.
#[derive(Debug, Eq, PartialEq)]
struct Addresses {
    network: u32,
    mask: u32,
}

impl Addresses {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse::<u32>().ok()?),
            None => (text, 32),
        };
        let address: Ipv4Addr = address.parse().ok()?;
        if bits > 32 {
            return None;
        }
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Some(Self {
            network: address.to_bits() & mask,
            mask,
        })
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask == self.network
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: String,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "DateLessThan")]
    less_than: Moment,
    #[serde(rename = "DateGreaterThan", default, deserialize_with = "present")]
    greater_than: Option<Moment>,
    #[serde(rename = "IpAddress", default, deserialize_with = "present")]
    addresses: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    #[serde(rename = "AWS:EpochTime")]
    epoch_time: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "AWS:SourceIp")]
    ip: String,
}

/// A condition that may be missing and must not be `null`.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://d111111abcdef8.cloudfront.net/training/orientation.pdf";

    fn custom(resource: &str, conditions: &str) -> Option<Policy> {
        let document = format!(
            r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{{conditions}}}}}]}}"#
        );
        Policy::parse(document.as_bytes())
    }

    fn check(policy: &Policy, now: i64, address: [u8; 4]) -> Result<(), Refusal> {
        let connection = Connection {
            now: jiff::Timestamp::from_second(now).unwrap(),
            scheme: "https",
            address: address.into(),
        };
        policy.check(&connection, URL)
    }

    #[test]
    fn the_conditions_of_awss_example_are_checked() {
        // AWS, "Create a signed URL using a custom policy", "Access all files associated with a key pair ID".
        let policy = custom(
            "http*://*",
            r#""IpAddress":{"AWS:SourceIp":"192.0.2.10/32"},"DateGreaterThan":{"AWS:EpochTime":1641160800},"DateLessThan":{"AWS:EpochTime":1767290400}"#,
        )
        .unwrap();
        let viewer = [192, 0, 2, 10];
        assert_eq!(check(&policy, 1_641_160_801, viewer), Ok(()));
        assert_eq!(check(&policy, 1_767_290_399, viewer), Ok(()));
        for (now, address, refusal) in [
            (1_641_160_800, viewer, Refusal::NotYetValid),
            (1_767_290_400, viewer, Refusal::Expired),
            (1_700_000_000, [192, 0, 2, 11], Refusal::OtherAddress),
        ] {
            assert_eq!(check(&policy, now, address), Err(refusal), "{now}");
        }
    }

    #[test]
    fn a_resource_is_a_pattern_of_urls() {
        for (resource, is_for) in [
            (URL, true),
            ("https://d111111abcdef8.cloudfront.net/training/*", true),
            ("https://d111111abcdef8.cloudfront.net/*", true),
            ("https://d111111abcdef8.cloudfront.net/training/?", false),
            ("https://d111111abcdef8.cloudfront.net/training", false),
            ("http://d111111abcdef8.cloudfront.net/training/*", false),
            ("https://example.org/training/*", false),
            // CloudFront takes wildcards anywhere, the host included. Signers should refuse to make such a policy.
            ("https://*/training/*", true),
            ("http*://*.net/training/*", true),
            ("*", true),
            ("", false),
        ] {
            let until = r#""DateLessThan":{"AWS:EpochTime":1767290400}"#;
            let policy = custom(resource, until).unwrap();
            let found = check(&policy, 0, [127, 0, 0, 1]);
            let expected = if is_for {
                Ok(())
            } else {
                Err(Refusal::OtherResource)
            };
            assert_eq!(found, expected, "{resource}");
        }
    }

    #[test]
    fn a_policy_is_one_statement_with_the_members_that_aws_documents() {
        const UNTIL: &str = r#"{"DateLessThan":{"AWS:EpochTime":9}}"#;
        let statement = format!(r#"{{"Resource":"*","Condition":{UNTIL}}}"#);
        for (document, is_policy) in [
            (format!(r#"{{"Statement":[{statement}]}}"#), true),
            // AWS's own examples end in a line break.
            (format!("{{ \"Statement\" : [\r\n{statement} ]}}\n"), true),
            (format!(r#"{{"Statement":[{statement}]}} x"#), false),
            (
                format!(r#"{{"Statement":[{statement},{statement}]}}"#),
                false,
            ),
            (r#"{"Statement":[]}"#.to_owned(), false),
            (format!(r#"{{"Statement":{statement}}}"#), false),
            (format!(r#"{{"statement":[{statement}]}}"#), false),
            (
                format!(r#"{{"Statement":[{statement}],"Statement":[{statement}]}}"#),
                false,
            ),
            (
                format!(r#"{{"Version":"2008-10-17","Statement":[{statement}]}}"#),
                false,
            ),
            (
                format!(r#"{{"Statement":[{{"Condition":{UNTIL}}}]}}"#),
                false,
            ),
            (r#"{"Statement":[{"Resource":"*"}]}"#.to_owned(), false),
            (
                format!(r#"{{"Statement":[{{"Resource":["*"],"Condition":{UNTIL}}}]}}"#),
                false,
            ),
            (
                format!(
                    r#"{{"Statement":[{{"Resource":"*","Effect":"Allow","Condition":{UNTIL}}}]}}"#
                ),
                false,
            ),
            (String::new(), false),
            ("[]".to_owned(), false),
        ] {
            let policy = Policy::parse(document.as_bytes());
            assert_eq!(policy.is_some(), is_policy, "{document}");
        }
        assert!(Policy::parse(b"{\"Statement\":[{\"Resource\":\"\xff\"}]}").is_none());
    }

    #[test]
    fn conditions_are_numbers_and_ipv4_ranges() {
        const UNTIL: &str = r#""DateLessThan":{"AWS:EpochTime":9}"#;
        for (conditions, is_policy) in [
            (r#""DateLessThan":{"AWS:EpochTime":2147483647}"#, true),
            (r#""DateLessThan":{"AWS:EpochTime":2147483648}"#, false),
            (r#""DateLessThan":{"AWS:EpochTime":-1}"#, false),
            (r#""DateLessThan":{"AWS:EpochTime":9.0}"#, false),
            (r#""DateLessThan":{"AWS:EpochTime":"9"}"#, false),
            (r#""DateLessThan":9"#, false),
            (r#""DateLessThan":{"AWS:EpochTime":9,"a":1}"#, false),
            (r#""DateLessThan":{}"#, false),
            (r#""DateGreaterThan":{"AWS:EpochTime":9}"#, false),
            ("", false),
        ] {
            assert_eq!(custom("*", conditions).is_some(), is_policy, "{conditions}");
        }
        for (condition, is_policy) in [
            (r#""DateGreaterThan":{"AWS:EpochTime":1}"#, true),
            (r#""DateGreaterThan":null"#, false),
            (r#""DateGreaterThan":{"AWS:EpochTime":1e3}"#, false),
            (r#""IpAddress":{"AWS:SourceIp":"192.0.2.0/24"}"#, true),
            (r#""IpAddress":{"AWS:SourceIp":"192.0.2.1"}"#, true),
            (r#""IpAddress":{"AWS:SourceIp":"0.0.0.0/0"}"#, true),
            (r#""IpAddress":{"AWS:SourceIp":"192.0.2.0/33"}"#, false),
            (r#""IpAddress":{"AWS:SourceIp":"192.0.2.0/"}"#, false),
            (r#""IpAddress":{"AWS:SourceIp":"2001:db8::/32"}"#, false),
            (r#""IpAddress":{"AWS:SourceIp":["192.0.2.0/24"]}"#, false),
            (r#""IpAddress":null"#, false),
            (r#""StringEquals":{"a":"b"}"#, false),
            (r#""DateLessThan":{"AWS:EpochTime":9}"#, false),
        ] {
            let policy = custom("*", &format!("{UNTIL},{condition}"));
            assert_eq!(policy.is_some(), is_policy, "{condition}");
        }
    }

    #[test]
    fn a_range_of_addresses_has_a_mask() {
        for (range, address, is_within) in [
            ("127.0.0.0/8", [127, 0, 0, 1], true),
            ("127.0.0.1/32", [127, 0, 0, 1], true),
            ("127.0.0.1", [127, 0, 0, 2], false),
            ("192.168.0.1/24", [192, 168, 0, 255], true),
            ("192.168.0.1/24", [192, 168, 1, 0], false),
            ("0.0.0.0/0", [255, 255, 255, 255], true),
        ] {
            let addresses = Addresses::parse(range).unwrap();
            assert_eq!(addresses.contains(address.into()), is_within, "{range}");
        }
    }

    #[test]
    fn an_expiry_is_written_in_one_way() {
        for (text, expected) in [
            ("1767290400", Some(1_767_290_400)),
            ("0", Some(0)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            // Milliseconds, a frequent mistake.
            ("1767290400000", None),
            ("01767290400", None),
            ("+1767290400", None),
            ("-1", None),
            ("1767290400 ", None),
            ("1.7e9", None),
            ("", None),
        ] {
            assert_eq!(expiry(text), expected, "{text}");
        }
    }
}
