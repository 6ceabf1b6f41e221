//! Every order in which workers, a deletion and another upload of the same form can meet, with one fault at every point:
//! the real processor and the real API over a scripted S3.
//!
//! A schedule (`run.rs`) lets one waiting request through at a time. The explorer (`explore.rs`) runs one schedule after
//! another, each in another order. At the end of a schedule failed messages were delivered again, the sweep has run, and
//! this must hold:
//!
//! - there is one manifest; a tombstone, if one was ever written;
//! - every rendition that exists is named by the manifest, every one that is named exists, and its bytes are those of the
//!   picture that the manifest is about;
//! - nothing deleted is left, the original included, and no tombstone was ever replaced;
//! - no manifest was ever written before the renditions that it names.
//!
//! If no actor crashed during its work, the invariant must hold before the sweep.
//!
//! An actor fails only where a request or its answer was lost, and where nothing of a publishing worker was lost, one says
//! that it published.
//!
//! So that this is known to notice something, each guard of the protocol is taken out once, in `guards.rs`: then it must
//! fail.

mod examination;
mod explore;
mod guards;
mod queues;
mod run;
mod scenario;
mod scripted_s3;
mod sweeps;

use std::sync::{Arc, LazyLock};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::body::Body;
use edge_auth::config::{Access, Algorithm, Audiences, Issuer, Rule, TokenSource};
use edge_auth::{Authorizer, Config};
use edge_auth_host::HostedAuthorizer;
use http::Method;
use image::{ImageEncoder, Rgb, RgbImage};
use jiff::{SignedDuration, Timestamp};
use media_contract::{UploadId, UploadKey};
use media_store::MediaStore;
use serde_json::json;
use signing_api::{Api, DeliveryMode, Settings as ApiSettings, Signer, UploadsThrough};
use thumbnailer::settings::Settings;
use tower::ServiceExt as _;
use upload_processor::event::Message;
use upload_processor::{Buckets, Processor};
use url_signing::Bucket;

use explore::{Exploration, Search, explore};
use scenario::SCENARIOS;
use scripted_s3::ScriptedS3;

/// Two pictures.
struct Pictures {
    files: [Vec<u8>; 2],
}

static PICTURES: LazyLock<Pictures> = LazyLock::new(|| Pictures {
    files: [[200, 40, 40], [40, 40, 200]].map(|colour| {
        let image = RgbImage::from_pixel(2, 2, Rgb(colour));
        let mut png = Vec::new();
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(image.as_raw(), 2, 2, image::ExtendedColorType::Rgb8)
            .unwrap();
        png
    }),
});

static AUTHORIZER: LazyLock<(Arc<HostedAuthorizer>, String)> = LazyLock::new(authorizer);

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn upload() -> UploadKey {
    let owner = edge_auth::Owner::of("https://login.example.com/", "alice");
    UploadKey {
        owner: owner.as_str().to_owned(),
        id: UploadId::new(now() - SignedDuration::from_mins(1), [7; 10]),
    }
}

/// An authorizer with a key of its own, and a token of alice's.
fn authorizer() -> (Arc<HostedAuthorizer>, String) {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "test", "x": encode(x), "y": encode(y),
    });
    let config = Config {
        issuers: vec![Issuer {
            issuer: "https://login.example.com/".to_owned(),
            audiences: Audiences::OneOf(vec!["media".to_owned()]),
            algorithms: vec![Algorithm::ES256],
            jwks: Some(json!({"keys": [jwk]})),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        rules: vec![Rule::new("/media/{owner}/**", Access::Owner)],
        ..Config::default()
    };
    let authorizer = Authorizer::new(&config).unwrap();
    let claims = json!({
        "iss": "https://login.example.com/", "sub": "alice", "aud": "media",
        "iat": now().as_second(), "exp": now().as_second() + 3600,
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("test".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_der(pkcs8.as_ref());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    (
        Arc::new(HostedAuthorizer::new(authorizer, now).unwrap()),
        token,
    )
}

fn buckets() -> Buckets {
    Buckets {
        uploads: "uploads".to_owned(),
        media: "media".to_owned(),
    }
}

/// Renditions of these widths.
fn settings_of(widths: &[u32]) -> Settings {
    serde_json::from_value(json!({
        "types": ["image/png"], "max_bytes": 1000, "max_pixels": 1_000_000, "widths": widths,
        "formats": ["webp"], "quality": 80,
    }))
    .unwrap()
}

/// One rendition of each picture.
fn settings() -> Settings {
    settings_of(&[2])
}

fn processor(s3: &ScriptedS3, actor: usize) -> Processor {
    Processor::new(s3.client(actor), buckets(), settings(), now)
}

/// The API of an actor, and alice's call of it about the upload.
fn call(
    s3: &ScriptedS3,
    actor: usize,
    method: Method,
    path: &str,
) -> (Router, http::Request<Body>) {
    let (authorizer, token) = &*AUTHORIZER;
    let bucket = |name| Bucket::at_endpoint(name, "us-east-1", "http://scripted");
    let credentials = Credentials::new("test", "test", None, None, "test");
    let api = signing_api::router(Api {
        authorizer: authorizer.clone(),
        signer: Arc::new(Signer::new(SharedCredentialsProvider::new(credentials))),
        cloudfront: None,
        edge_cache: None,
        store: MediaStore::new(s3.client(actor), buckets()),
        settings: Arc::new(ApiSettings {
            delivery: DeliveryMode::Lambda,
            uploads_through: UploadsThrough::Bucket,
            types: vec!["image/png".to_owned()],
            max_bytes: 1000,
            form_lifetime: SignedDuration::from_mins(15),
            max_link_lifetime: SignedDuration::from_hours(1),
            links_shared_within: SignedDuration::ZERO,
            cors_origins: Vec::new(),
            upload_bucket: bucket("uploads").unwrap(),
            media_bucket: bucket("media").unwrap(),
        }),
        clock: now,
    });
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}/{}", upload().id))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    (api, request)
}

fn message(picture: usize) -> Message {
    message_of(picture, None)
}

/// The message about a picture, in this version of a versioned bucket's object.
fn message_of(picture: usize, version: Option<&str>) -> Message {
    let etag = scripted_s3::etag_of(&PICTURES.files[picture]);
    let event = json!({"Records": [{
        "eventVersion": "2.2", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {
            "bucket": {"name": "uploads"},
            "object": {"key": upload().original(), "eTag": etag, "versionId": version},
        },
    }]});
    Message {
        id: "message".to_owned(),
        body: event.to_string(),
        receive_count: 2,
        receipt_handle: None,
    }
}

/// The renditions of a picture.
fn rendered(picture: usize) -> &'static [Vec<u8>] {
    static RENDERED: LazyLock<[Vec<Vec<u8>>; 2]> = LazyLock::new(|| {
        [0, 1].map(|picture| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let s3 = ScriptedS3::new(&[]);
                s3.open();
                let path = format!("uploads/{}", upload().original());
                s3.post(&path, &PICTURES.files[picture]);
                Processor::new(s3.client(0), buckets(), settings_of(&[1, 2]), now)
                    .process_batch(vec![message(picture)])
                    .await;
                let paths = s3.paths();
                let renditions = paths
                    .iter()
                    .filter(|path| path.starts_with("media/") && !path.ends_with("/manifest.json"));
                renditions.map(|path| s3.object(path).unwrap()).collect()
            })
        })
    });
    &RENDERED[picture]
}

#[test]
fn no_schedule_brings_back_what_was_deleted_or_leaves_anything_behind() {
    for scenario in SCENARIOS {
        let explorations = match Exploration::chosen() {
            Some(chosen) => vec![chosen],
            // Some of all orders, and where no other scenario contains this one, every order in which each goes on to
            // its end, with a fault at every point.
            None if scenario.is_contained => vec![Exploration::Sample(100)],
            None => vec![
                Exploration::All { max_switches: 0 },
                Exploration::Sample(100),
            ],
        };
        for exploration in explorations {
            let explored = explore(Search::new(scenario, &[], exploration));
            if let Some(violation) = explored.violation {
                panic!("{violation}");
            }
            println!(
                "{exploration:?}, {}: {} schedules, {} steps, {} states",
                scenario.name, explored.n_schedules, explored.n_steps, explored.n_states
            );
        }
    }
}

#[tokio::test]
async fn an_upload_that_nobody_processed_has_failed_after_an_hour() {
    let s3 = ScriptedS3::new(&[]);
    s3.open();
    let status = async || -> serde_json::Value {
        let (api, request) = call(&s3, 0, Method::GET, "/api/uploads");
        let answer = api.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 10_000)
            .await
            .unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    assert_eq!(status().await["status"], "pending");
    // Objects of this S3 are years old.
    s3.post(
        &format!("uploads/{}", upload().original()),
        &PICTURES.files[0],
    );
    let failed = status().await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["reason"]["code"], "not_processed");
    // A message that comes after all is worked on.
    processor(&s3, 0).process_batch(vec![message(0)]).await;
    assert_eq!(status().await["status"], "ready");
}
