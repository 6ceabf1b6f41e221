//! The target of a form: bucket, region, endpoint, and the URL that follows from them. [`crate::PostPolicy`] takes a
//! [`Bucket`], whose parts were checked once, here. This module does not check whether the bucket exists.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{SigningError, Violation};

/// A general purpose bucket in its region, on AWS or at an explicit endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    region: Region,
    /// Scheme, host and optional port, without a trailing slash.
    endpoint: Option<String>,
}

/// A region's name: lower-case letters, digits and hyphens. `fips-us-east-1` and `us-east-1-fips` are pseudo-regions: they
/// mean `us-east-1`, which signatures are scoped to, at its endpoint that is validated for FIPS 140.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    name: String,
    is_fips: bool,
}

/// AWS's partitions by the prefixes of their region names, most specific first (botocore, `partitions.json`).
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("", "amazonaws.com"), // also us-gov-
];

/// Prefixes that general purpose buckets must not have (AWS, "General purpose bucket naming rules"). `amzn-s3-demo-` is
/// reserved too, but harmless: documentation uses it.
const RESERVED_PREFIXES: [&str; 2] = ["xn--", "sthree-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl Bucket {
    /// A bucket on AWS, such as `("example-uploads", "eu-central-1")`.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Region`] or [`SigningError::BucketName`].
    pub fn new(name: &str, region: &str) -> Result<Self, SigningError> {
        let region = Region::new(region)?;
        if !region.is_aws() {
            return Err(SigningError::Region {
                region: region.name,
                violation: Violation::NotAwsRegion,
            });
        }
        check_bucket_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            region,
            endpoint: None,
        })
    }

    /// A bucket at another S3 server, with path-style URLs. `endpoint` is `http://` or `https://`, a host and an
    /// optional port; the region is the name that the server uses.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Region`], [`SigningError::BucketName`] or [`SigningError::Endpoint`].
    pub fn at_endpoint(name: &str, region: &str, endpoint: &str) -> Result<Self, SigningError> {
        let region = Region::new(region)?;
        check_bucket_name(name)?;
        let origin = endpoint.strip_suffix('/').unwrap_or(endpoint);
        if !is_origin(origin) {
            return Err(SigningError::Endpoint {
                url: endpoint.to_owned(),
                violation: Violation::NotOrigin,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            region,
            endpoint: Some(origin.to_owned()),
        })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region that signatures for this bucket are scoped to.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The URL that forms are posted to. It is regional: S3's global host answers with a redirect that breaks CORS
    /// (boto3 #1982). A bucket name with dots goes into the path, because AWS's certificates cover one label only.
    pub fn url(&self) -> String {
        let Self {
            name,
            region,
            endpoint,
        } = self;
        let service = if region.is_fips { "s3-fips" } else { "s3" };
        match endpoint {
            Some(origin) => format!("{origin}/{name}"),
            None if name.contains('.') => {
                format!("https://{service}.{region}.{}/{name}", region.dns_suffix())
            }
            None => format!("https://{name}.{service}.{region}.{}/", region.dns_suffix()),
        }
    }
}

impl Bucket {
    /// The origin, the `Host` header that browsers send to it, and the path prefix of the objects.
    pub(crate) fn address(&self) -> (String, String, String) {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", &url));
        let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(default_port).unwrap_or(authority);
        let host = host.to_ascii_lowercase();
        let folder = match folder {
            "" => "/".to_owned(),
            folder => format!("/{folder}/"),
        };
        (format!("{scheme}://{host}"), host, folder)
    }
}

impl Region {
    /// Checks the characters, not whether AWS has such a region: other S3 servers use their own names.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Region`].
    pub fn new(region: &str) -> Result<Self, SigningError> {
        let refuse = |violation| {
            Err(SigningError::Region {
                region: region.to_owned(),
                violation,
            })
        };
        // The region becomes a label of the host name (RFC 1035 §2.3.4) and a part of the credential scope.
        if !(1..=63).contains(&region.len()) {
            return refuse(Violation::Length { min: 1, max: 63 });
        }
        if !region
            .bytes()
            .all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
        {
            return refuse(Violation::Characters(
                "lower-case letters, digits and hyphens",
            ));
        }
        if region.starts_with('-') || region.ends_with('-') {
            return refuse(Violation::Edges("a letter or digit"));
        }
        let plain = region
            .strip_prefix("fips-")
            .or_else(|| region.strip_suffix("-fips"));
        Ok(Self {
            name: plain.unwrap_or(region).to_owned(),
            is_fips: plain.is_some(),
        })
    }

    /// The region's name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// `eu-central-1`, `us-gov-west-1`: words, then a number.
    fn is_aws(&self) -> bool {
        let parts: Vec<&str> = self.name.split('-').collect();
        match parts.as_slice() {
            [words @ .., number] => {
                2 <= words.len()
                    && words.iter().all(|word| {
                        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())
                    })
                    && !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            }
            [] => false,
        }
    }

    /// The domain that AWS's services of the region's partition are below, such as `amazonaws.com`.
    pub fn dns_suffix(&self) -> &'static str {
        PARTITIONS
            .iter()
            .find(|(prefix, _)| self.name.starts_with(prefix))
            .map_or("amazonaws.com", |(_, suffix)| suffix)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn check_bucket_name(name: &str) -> Result<(), SigningError> {
    let refuse = |violation| {
        Err(SigningError::BucketName {
            name: name.to_owned(),
            violation,
        })
    };
    if !(3..=63).contains(&name.len()) {
        return refuse(Violation::Length { min: 3, max: 63 });
    }
    if !name
        .bytes()
        .all(|byte| is_lower_alphanumeric(byte) || b".-".contains(&byte))
    {
        return refuse(Violation::Characters(
            "lower-case letters, digits, periods and hyphens",
        ));
    }
    if name.starts_with(['.', '-']) || name.ends_with(['.', '-']) {
        return refuse(Violation::Edges("a letter or digit"));
    }
    if name.contains("..") {
        return refuse(Violation::AdjacentPeriods);
    }
    if name.parse::<Ipv4Addr>().is_ok() {
        return refuse(Violation::IpAddress);
    }
    let prefix = RESERVED_PREFIXES
        .into_iter()
        .find(|prefix| name.starts_with(prefix));
    let suffix = RESERVED_SUFFIXES
        .into_iter()
        .find(|suffix| name.ends_with(suffix));
    prefix
        .or(suffix)
        .map_or(Ok(()), |part| refuse(Violation::Reserved(part)))
}

/// Whether a text is a scheme, a host and an optional port, without user, path, query or fragment.
fn is_origin(text: &str) -> bool {
    let Some(authority) = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
    else {
        return false;
    };
    let (is_host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, "")) => (address.parse::<Ipv6Addr>().is_ok(), None),
        Some((address, port)) => (
            address.parse::<Ipv6Addr>().is_ok() && port.starts_with(':'),
            Some(&port[1..]),
        ),
        None => match authority.split_once(':') {
            Some((host, port)) => (is_host_name(host), Some(port)),
            None => (is_host_name(authority), None),
        },
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse() != Ok(0_u16);
    is_host && port.is_none_or(|port| is_port(port) && port.parse::<u16>().is_ok())
}

fn is_host_name(host: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !host.is_empty() && host.bytes().all(is_allowed)
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}
