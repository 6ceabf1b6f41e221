//! The Lambda's `bootstrap`: reads what it was given, connects to S3, and polls for batches.

use anyhow::Context as _;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, run, service_fn};
use upload_processor::settings::Settings;
use upload_processor::{Buckets, Processor};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .without_time()
        .init();
    let buckets = Buckets {
        uploads: variable("GATEPOST_UPLOAD_BUCKET")?,
        media: variable("GATEPOST_MEDIA_BUCKET")?,
    };
    let settings: Settings = serde_json::from_str(&variable("GATEPOST_SETTINGS")?)
        .context("GATEPOST_SETTINGS is not what `gatepost package` writes")?;
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let s3 = aws_sdk_s3::Client::new(&aws);
    let processor = Processor::new(s3, buckets, settings, Timestamp::now);
    let handler = service_fn(|event: LambdaEvent<_>| processor.handle(event));
    run(handler).await.map_err(|error| anyhow::anyhow!(error))
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("the environment variable {name} is missing"))
}
