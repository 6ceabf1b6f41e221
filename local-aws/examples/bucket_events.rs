//! A server with a bucket whose events a closure prints: `cargo run -p local-aws --example bucket_events`.
//!
//! It prints its address and keys. Put an object, for example with the AWS CLI, and its event is printed; fetch it
//! through the emulated CloudFront with `?token=demo`, which the viewer-request function wants.

use std::net::Ipv4Addr;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use axum::Router;
use axum::http::StatusCode;
use local_aws::REGION;
use local_aws::cloudfront::{
    Behaviour, Decision, Distribution, Forward, Origin, ViewerRequest, error_response,
};
use local_aws::s3::{LocalS3, Notification, S3Options};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let credentials = Credentials::new("LOCALEXAMPLE", "example-secret", None, None, "example");
    let server = LocalS3::open(S3Options {
        folder: folder.path().join("s3"),
        buckets: vec!["photos".to_owned()],
        credentials: credentials.clone(),
        allowed_origins: Vec::new(),
        notifications: vec![Notification::new(
            "photos",
            "uploads/",
            |event| async move {
                println!("{event:#}");
                Ok(())
            },
        )],
    })
    .await?;
    let endpoint = server.endpoint();

    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(&endpoint)
        .force_path_style(true)
        .credentials_provider(credentials)
        .build();
    let origin = Origin::bucket(Client::from_conf(config), "photos");
    let behaviour = Behaviour::new("*", origin).with_viewer_request(check_token);
    let distribution = Distribution::new("cloudfront", vec![behaviour]);
    let router = Router::new().fallback(move |request| {
        let distribution = distribution.clone();
        async move { distribution.answer(request).await }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;

    let cloudfront = listener.local_addr()?;
    println!(
        "export AWS_ACCESS_KEY_ID=LOCALEXAMPLE AWS_SECRET_ACCESS_KEY=example-secret AWS_REGION={REGION}\n\
         aws --endpoint-url {endpoint} s3 cp photo.jpg s3://photos/uploads/photo.jpg\n\
         curl -i 'http://{cloudfront}/uploads/photo.jpg?token=demo'"
    );
    let stop = async {
        // Without a handler the signal ends the process as well.
        let _ = tokio::signal::ctrl_c().await;
    };
    let s3 = tokio::spawn(server.serve(std::future::pending()));
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    s3.abort();
    Ok(())
}

/// The viewer-request function: lets a request with the token through.
async fn check_token(request: ViewerRequest) -> Decision {
    match request.head.uri.query() {
        Some("token=demo") => Decision::Forward(Box::new(Forward::new(request.head))),
        _ => Decision::Respond(error_response(
            StatusCode::FORBIDDEN,
            "The token is missing.",
        )),
    }
}
