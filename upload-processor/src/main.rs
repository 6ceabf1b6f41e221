//! The Lambda's `bootstrap`: reads its settings, connects to S3, and polls for batches.

use anyhow::Context as _;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, run, service_fn};
use thumbnailer::settings::Settings;
use upload_processor::{Buckets, Processor};

/// Memory that is not for images: the process itself, connections, and the files of renditions during writing.
const RESERVED_BYTES: u64 = 64 * 1024 * 1024;

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
    let settings = read_settings()?;
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let s3 = aws_sdk_s3::Client::new(&aws);
    let mut processor = Processor::new(s3, buckets, settings, Timestamp::now);
    if let Ok(megabytes) =
        variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| Ok(text.parse::<u64>()?))
    {
        let bytes = megabytes * 1024 * 1024;
        processor = processor.with_memory(bytes.saturating_sub(RESERVED_BYTES));
    }
    let sqs = aws_sdk_sqs::Client::new(&aws);
    if let Ok(queue_url) = variable("GATEPOST_OUTCOMES_QUEUE_URL") {
        processor = processor.with_outcomes(sqs.clone(), queue_url);
    }
    if let Ok(queue_url) = variable("GATEPOST_UPLOAD_QUEUE_URL") {
        processor = processor.with_queue(sqs, queue_url);
    }
    if let Ok(text) = variable("GATEPOST_MAX_RECEIVES") {
        let max_receives = text.parse().with_context(|| {
            format!("GATEPOST_MAX_RECEIVES is {text:?}, and must be the queue's maxReceiveCount")
        })?;
        processor = processor.with_max_receives(max_receives);
    }
    match std::env::var("GATEPOST_MALWARE_SCAN").as_deref() {
        Ok("guardduty") => processor = processor.with_malware_scan(),
        Ok(other) if !other.is_empty() => {
            anyhow::bail!(
                "GATEPOST_MALWARE_SCAN is {other:?}, which is not a known scanner; the only value is guardduty"
            )
        }
        _ => {}
    }
    let handler = service_fn(|event: LambdaEvent<_>| processor.handle(event));
    run(handler).await.map_err(|error| anyhow::anyhow!(error))
}

/// The settings file that `gatepost package` put beside this program.
fn read_settings() -> anyhow::Result<Settings> {
    let folder = std::env::var_os("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".into());
    let file = std::path::Path::new(&folder).join("settings.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `gatepost package` writes", file.display()))
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("the environment variable {name} is missing"))
}
