//! One signed call: the request, its signature, and the answer.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
#[cfg(feature = "sigv4a")]
use aws_sigv4::sign::v4a;
use aws_smithy_runtime_api::client::identity::Identity;
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use thiserror::Error;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pauses before the retries of a transient failure.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(600)];

/// Where a signature is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope<'a> {
    /// In one Region (`SigV4`).
    Region(&'a str),
    /// In every Region (`SigV4A`).
    #[cfg(feature = "sigv4a")]
    EveryRegion,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; null if that is not JSON.
    pub body: Value,
}

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The credentials cannot be obtained.
    #[error("the AWS credentials cannot be used: {0}")]
    Credentials(#[from] CredentialsError),
    /// The request cannot be signed or sent as it is.
    #[error("the request cannot be made: {0}")]
    Request(String),
    /// The service did not answer.
    #[error("the service did not answer: {0}")]
    NoAnswer(reqwest::Error),
    /// The service refused.
    #[error("{status} {code}: {message}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// AWS's code, such as `ResourceNotFoundException`.
        code: String,
        /// AWS's sentence. That of a validation error may quote what was sent.
        message: String,
    },
}

impl CallError {
    /// Whether the service refused with this code.
    pub fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// The same without AWS's sentence, for calls whose body has secrets.
    #[must_use]
    pub fn without_message(self) -> Self {
        match self {
            Self::Refused { status, code, .. } => Self::Refused {
                status,
                code,
                message: "the answer is not shown, because it could quote the secret".to_owned(),
            },
            other => other,
        }
    }

    /// Whether a retry may succeed.
    fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused { status, code, .. } => {
                status.is_server_error() || code.contains("Throttl")
            }
            _ => false,
        }
    }
}

/// An HTTP client with credentials.
#[derive(Clone, Debug)]
pub struct Caller {
    http: reqwest::Client,
    credentials: SharedCredentialsProvider,
}

impl Caller {
    /// A client that signs with these credentials.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be built, for example because this machine has no root certificates.
    pub fn new(credentials: SharedCredentialsProvider) -> Result<Self, CallError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| CallError::Request(error.to_string()))?;
        Ok(Self { http, credentials })
    }

    /// Sends a request to a service, named as in signatures. A transient failure is retried twice, so the operation must
    /// be idempotent.
    ///
    /// # Errors
    ///
    /// The last failure.
    pub async fn send(
        &self,
        service: &str,
        scope: Scope<'_>,
        request: &Request<String>,
    ) -> Result<Answer, CallError> {
        for pause in PAUSES {
            match self.send_once(service, scope, request).await {
                Err(error) if error.is_transient() => {
                    let error = error.without_message();
                    tracing::warn!(service, %error, "a call of AWS failed; retrying");
                    tokio::time::sleep(pause).await;
                }
                answer => return answer,
            }
        }
        self.send_once(service, scope, request).await
    }

    /// The same without a retry.
    ///
    /// # Errors
    ///
    /// The failure.
    pub async fn send_once(
        &self,
        service: &str,
        scope: Scope<'_>,
        request: &Request<String>,
    ) -> Result<Answer, CallError> {
        let identity = self.credentials.provide_credentials().await?.into();
        let request = signed(&identity, service, scope, request).map_err(CallError::Request)?;
        let response = self.http.execute(request).await;
        let response = response.map_err(CallError::NoAnswer)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(CallError::NoAnswer)?;
        let xml = String::from_utf8_lossy(&body);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        // Such as `com.amazonaws.ssm#ParameterNotFound`, in the body or in a header, sometimes followed by an address.
        let header = headers.get("x-amzn-errortype");
        let header = header.and_then(|code| code.to_str().ok());
        let code = body["__type"].as_str().or(header);
        let code = code.filter(|code| !code.is_empty());
        let code = code.or(element(&xml, "Code")).unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        let message = [&body["message"], &body["Message"]];
        let message = message.iter().find_map(|message| message.as_str());
        let message = message.or(element(&xml, "Message"));
        Err(CallError::Refused {
            status,
            code: code.to_owned(),
            message: message.unwrap_or_default().to_owned(),
        })
    }
}

/// The text of the first element of a name, in a service's error in XML.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

fn signed(
    identity: &Identity,
    service: &str,
    scope: Scope<'_>,
    request: &Request<String>,
) -> Result<reqwest::Request, String> {
    let mut request = request.clone();
    let parameters = parameters(identity, service, scope)?;
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let uri = request.uri().to_string();
    let body = SignableBody::Bytes(request.body().as_bytes());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)
        .map_err(|error| error.to_string())?;
    let signed = sign(signable, &parameters).map_err(|error| error.to_string())?;
    let (instructions, _) = signed.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
        .try_into()
        .map_err(|error: reqwest::Error| error.to_string())
}

fn parameters<'a>(
    identity: &'a Identity,
    service: &'a str,
    scope: Scope<'a>,
) -> Result<SigningParams<'a>, String> {
    let (time, settings) = (SystemTime::now(), SigningSettings::default());
    let built = match scope {
        Scope::Region(region) => v4::SigningParams::builder()
            .identity(identity)
            .region(region)
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .map(SigningParams::from),
        #[cfg(feature = "sigv4a")]
        Scope::EveryRegion => {
            return v4a::SigningParams::builder()
                .identity(identity)
                .region_set("*")
                .name(service)
                .time(time)
                .settings(settings)
                .build()
                .map(SigningParams::from)
                .map_err(|error| error.to_string());
        }
    };
    built.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use axum::Router;
    use axum::response::IntoResponse as _;
    use tokio::net::TcpListener;

    use super::*;

    fn caller() -> Caller {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        Caller::new(SharedCredentialsProvider::new(credentials)).unwrap()
    }

    async fn serve(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/a%3Ab", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    #[tokio::test]
    async fn a_refusal_has_its_code_from_the_body_or_from_a_header() {
        for (header, body, expected) in [
            (
                "",
                r#"{"__type":"com.amazonaws.x#Gone","message":"m"}"#,
                ("Gone", "m"),
            ),
            ("Gone:http://internal/", r#"{"Message":"m"}"#, ("Gone", "m")),
            (
                "",
                "<ErrorResponse><Error><Code>Gone</Code><Message>m</Message></Error></ErrorResponse>",
                ("Gone", "m"),
            ),
            ("", "<html>", ("", "")),
        ] {
            let answer = async move || {
                let headers = [("x-amzn-errortype", header)];
                (StatusCode::CONFLICT, headers, body).into_response()
            };
            let endpoint = serve(Router::new().fallback(answer)).await;
            let request = Request::get(endpoint).body(String::new()).unwrap();
            let scope = Scope::Region("us-east-1");
            let error = caller().send("x", scope, &request).await.unwrap_err();
            let (code, message) = expected;
            assert!(error.has_code(code), "{error}");
            let said = error.to_string();
            assert_eq!(said, format!("409 Conflict {code}: {message}"));
            let redacted = error.without_message().to_string();
            assert_ne!(redacted, said);
        }
    }

    #[cfg(feature = "sigv4a")]
    #[tokio::test]
    async fn a_call_for_every_region_has_an_asymmetric_signature() {
        let answer = async |request: axum::extract::Request| {
            let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            let (authorization, regions) = (text("authorization"), text("x-amz-region-set"));
            format!(
                r#"["{}","{authorization}","{regions}"]"#,
                request.uri().path()
            )
        };
        let endpoint = serve(Router::new().fallback(answer)).await;
        let request = Request::get(endpoint).body(String::new()).unwrap();
        let answer = caller()
            .send("x", Scope::EveryRegion, &request)
            .await
            .unwrap();
        assert_eq!(
            (&answer.body[0], &answer.body[2]),
            (&"/a%3Ab".into(), &"*".into())
        );
        let authorization = answer.body[1].as_str().unwrap();
        let signed = authorization.strip_prefix("AWS4-ECDSA-P256-SHA256 Credential=AKID/");
        let scope = signed.and_then(|rest| Some(rest.split_once(", ")?.0));
        assert!(
            scope.unwrap().ends_with("/x/aws4_request"),
            "{authorization}"
        );
    }
}
