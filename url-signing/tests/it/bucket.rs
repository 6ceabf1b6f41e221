//! The URLs of buckets, and the names, regions and endpoints that are refused.

use url_signing::{Bucket, SigningError, Violation};

#[test]
fn urls() {
    for (name, region, expected) in [
        (
            "my-bucket",
            "us-east-1",
            "https://my-bucket.s3.us-east-1.amazonaws.com/",
        ),
        (
            "my-bucket",
            "eu-central-1",
            "https://my-bucket.s3.eu-central-1.amazonaws.com/",
        ),
        (
            "my.bucket",
            "eu-central-1",
            "https://s3.eu-central-1.amazonaws.com/my.bucket",
        ),
        (
            "my-bucket",
            "cn-north-1",
            "https://my-bucket.s3.cn-north-1.amazonaws.com.cn/",
        ),
        (
            "my.bucket",
            "cn-north-1",
            "https://s3.cn-north-1.amazonaws.com.cn/my.bucket",
        ),
        (
            "my-bucket",
            "us-gov-west-1",
            "https://my-bucket.s3.us-gov-west-1.amazonaws.com/",
        ),
        (
            "my-bucket",
            "eusc-de-east-1",
            "https://my-bucket.s3.eusc-de-east-1.amazonaws.eu/",
        ),
        (
            "my-bucket",
            "us-iso-east-1",
            "https://my-bucket.s3.us-iso-east-1.c2s.ic.gov/",
        ),
        (
            "my-bucket",
            "fips-us-gov-west-1",
            "https://my-bucket.s3-fips.us-gov-west-1.amazonaws.com/",
        ),
        (
            "my.bucket",
            "us-east-1-fips",
            "https://s3-fips.us-east-1.amazonaws.com/my.bucket",
        ),
        (
            "my-bucket",
            "us-isob-east-1",
            "https://my-bucket.s3.us-isob-east-1.sc2s.sgov.gov/",
        ),
    ] {
        assert_eq!(Bucket::new(name, region).unwrap().url(), expected);
    }
}

#[test]
fn urls_at_endpoints() {
    for (endpoint, expected) in [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/my.bucket"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/my.bucket"),
        ("http://[::1]:9000", "http://[::1]:9000/my.bucket"),
        ("http://[::1]", "http://[::1]/my.bucket"),
        ("https://s3.example.com", "https://s3.example.com/my.bucket"),
    ] {
        assert_eq!(
            Bucket::at_endpoint("my.bucket", "garage", endpoint)
                .unwrap()
                .url(),
            expected
        );
    }
}

#[test]
fn endpoints_refused() {
    for endpoint in [
        "",
        "localhost:9000",
        "ftp://localhost",
        "http://",
        "http:///",
        "http://:9000",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost:+1",
        "http://user@localhost",
        "http://localhost/s3",
        "http://localhost//",
        "http://localhost?x",
        "http://localhost#x",
        "http://[::1",
        "http://[::1]9000",
        "http://[localhost]",
        "http://a b",
        "http://localhost:1:2",
        "HTTP://localhost",
    ] {
        let expected = SigningError::Endpoint {
            url: endpoint.to_owned(),
            violation: Violation::NotOrigin,
        };
        assert_eq!(
            Bucket::at_endpoint("my-bucket", "us-east-1", endpoint),
            Err(expected)
        );
    }
}

#[test]
fn bucket_names_refused() {
    let characters = Violation::Characters("lower-case letters, digits, periods and hyphens");
    let edges = Violation::Edges("a letter or digit");
    for (name, violation) in [
        ("", Violation::Length { min: 3, max: 63 }),
        ("ab", Violation::Length { min: 3, max: 63 }),
        (&"a".repeat(64), Violation::Length { min: 3, max: 63 }),
        ("My-bucket", characters),
        ("my_bucket", characters),
        ("my/bucket", characters),
        ("bücket", characters),
        ("-bucket", edges),
        ("bucket.", edges),
        ("my..bucket", Violation::AdjacentPeriods),
        ("192.168.5.4", Violation::IpAddress),
        ("xn--bucket", Violation::Reserved("xn--")),
        ("sthree-bucket", Violation::Reserved("sthree-")),
        ("bucket-s3alias", Violation::Reserved("-s3alias")),
        ("bucket--ol-s3", Violation::Reserved("--ol-s3")),
        ("bucket.mrap", Violation::Reserved(".mrap")),
        ("bucket--use1-az4--x-s3", Violation::Reserved("--x-s3")),
        ("bucket--table-s3", Violation::Reserved("--table-s3")),
    ] {
        let expected = SigningError::BucketName {
            name: name.to_owned(),
            violation,
        };
        assert_eq!(Bucket::new(name, "us-east-1"), Err(expected));
    }
}

#[test]
fn regions_refused() {
    let characters = Violation::Characters("lower-case letters, digits and hyphens");
    for (region, violation) in [
        ("", Violation::Length { min: 1, max: 63 }),
        ("us-east-1/s3", characters),
        ("us-east-1.evil.example", characters),
        ("US-EAST-1", characters),
        ("-us-east-1", Violation::Edges("a letter or digit")),
        ("us-east", Violation::NotAwsRegion),
        ("east-1", Violation::NotAwsRegion),
        ("us--1", Violation::NotAwsRegion),
        ("us-east-1a", Violation::NotAwsRegion),
        ("auto", Violation::NotAwsRegion),
    ] {
        let expected = SigningError::Region {
            region: region.to_owned(),
            violation,
        };
        assert_eq!(Bucket::new("my-bucket", region), Err(expected));
    }
}
