//! The connection between an actor's client and the S3: a request waits here until the test answers it.

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, HttpClient, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents, retry::RetryConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use tokio::sync::oneshot;

use super::wire::Request;
use super::{Pending, ScriptedS3};

#[derive(Clone)]
struct Connector {
    s3: ScriptedS3,
    actor: usize,
}

impl ScriptedS3 {
    /// A client whose requests are this actor's.
    pub(crate) fn client(&self, actor: usize) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://scripted")
            .force_path_style(true)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .http_client(Connector {
                s3: self.clone(),
                actor,
            })
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Whether an actor is dead, whether requests are carried out at once, and whether connections break.
    fn standing(&self, actor: usize) -> (bool, bool, bool) {
        let inner = self.lock();
        (inner.dead.contains(&actor), inner.is_open, inner.is_broken)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "actor {}", self.actor)
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = Request::parse(&request);
        let Self { s3, actor } = self.clone();
        HttpConnectorFuture::new(async move {
            let (reply, answer) = oneshot::channel();
            let (is_dead, is_open, is_broken) = s3.standing(actor);
            if is_dead {
                return std::future::pending().await;
            }
            let answer = if is_broken {
                None
            } else if is_open {
                Some(s3.carry_out(actor, &request))
            } else {
                s3.lock().pending.push(Pending {
                    actor,
                    request,
                    reply,
                });
                s3.changed.notify_one();
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => std::future::pending().await,
                }
            };
            let Some(answer) = answer else {
                return Err(ConnectorError::io("the connection broke".into()));
            };
            let mut response = HttpResponse::new(
                StatusCode::try_from(answer.status).unwrap(),
                SdkBody::from(answer.body),
            );
            let headers = response.headers_mut();
            if let Some(etag) = answer.etag {
                headers.insert("etag", etag);
            }
            if let Some(modified) = answer.modified {
                let date = modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                headers.insert("last-modified", date);
            }
            Ok(response)
        })
    }
}
