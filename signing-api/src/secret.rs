//! Private keys in Secrets Manager or in SSM's Parameter Store. Neither the package nor the function's environment then
//! has them. `main` reads each once, when an instance starts.
//!
//! Each service needs one call, which is made here over HTTPS and signed with the SDK's own signer: the SDK's crates for
//! the two are generated for all of their operations, and this program has to stay small to start quickly.

use std::ffi::OsString;
use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::http::{Request, header};
use data_encoding::BASE64;
use serde_json::{Value, json};
use url_signing::Region;

/// The suffix of a variable that has the ARN of a secret instead of its text.
const SUFFIX: &str = "_SECRET_ARN";
/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pauses before the retries of a transient failure.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(600)];

/// The text of a variable, or of the secret that the variable with this name and `_SECRET_ARN` names.
pub(crate) async fn variable(aws: &SdkConfig, name: &str) -> anyhow::Result<Option<OsString>> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let arn_name = format!("{name}{SUFFIX}");
    match (set(name), set(&arn_name)) {
        (Some(_), Some(_)) => bail!("{name} and {arn_name} are both set; remove one of them"),
        (text, None) => Ok(text),
        (None, Some(arn)) => {
            let arn = arn.to_str().unwrap_or_default();
            let text = match Arn::parse(arn) {
                Ok(arn) => read(aws, &arn, &arn.endpoint()).await,
                Err(error) => Err(error),
            };
            Ok(Some(text.context(arn_name)?.into()))
        }
    }
}

/// A secret's name in its service.
#[derive(Debug, PartialEq)]
struct Arn<'a> {
    text: &'a str,
    service: Service,
    region: Region,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Service {
    SecretsManager,
    Ssm,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> anyhow::Result<Self> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let ["arn", _, service, region, _, resource] = parts[..] else {
            bail!("{text:?} is not an ARN; write all of it, beginning with arn:");
        };
        let service = match (service, resource) {
            ("secretsmanager", resource) if resource.starts_with("secret:") => {
                Service::SecretsManager
            }
            ("ssm", resource) if resource.starts_with("parameter/") => Service::Ssm,
            _ => bail!(
                "{text:?} is neither the ARN of a secret (secretsmanager) nor that of a parameter (ssm)"
            ),
        };
        let region = Region::new(region)?;
        Ok(Self {
            text,
            service,
            region,
        })
    }

    /// The endpoint of the service: AWS's, or that of the SDK's environment variables.
    fn endpoint(&self) -> String {
        let (name, variable, _) = self.service.names();
        let endpoint = std::env::var(variable).or_else(|_| std::env::var("AWS_ENDPOINT_URL"));
        endpoint.unwrap_or_else(|_| {
            let (region, suffix) = (&self.region, self.region.dns_suffix());
            format!("https://{name}.{region}.{suffix}")
        })
    }
}

impl Service {
    /// Its name in hosts and signatures, the variable for another endpoint, and the operation.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::SecretsManager => (
                "secretsmanager",
                "AWS_ENDPOINT_URL_SECRETS_MANAGER",
                "secretsmanager.GetSecretValue",
            ),
            Self::Ssm => ("ssm", "AWS_ENDPOINT_URL_SSM", "AmazonSSM.GetParameter"),
        }
    }

    fn input(self, arn: &str) -> Value {
        match self {
            Self::SecretsManager => json!({ "SecretId": arn }),
            Self::Ssm => json!({ "Name": arn, "WithDecryption": true }),
        }
    }

    /// The secret in an answer.
    fn output(self, answer: &Value) -> Option<String> {
        match self {
            Self::Ssm => answer["Parameter"]["Value"].as_str().map(str::to_owned),
            Self::SecretsManager => {
                if let Some(text) = answer["SecretString"].as_str() {
                    return Some(text.to_owned());
                }
                let bytes = BASE64.decode(answer["SecretBinary"].as_str()?.as_bytes());
                String::from_utf8(bytes.ok()?).ok()
            }
        }
    }
}

/// Why a call failed, and whether a retry may succeed.
struct Failure {
    sentence: String,
    is_transient: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

async fn read(aws: &SdkConfig, arn: &Arn<'_>, endpoint: &str) -> anyhow::Result<String> {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()?;
    let mut pauses = PAUSES.iter();
    let answer = loop {
        let request = signed(aws, arn, endpoint).await?;
        match (call(&http, request).await, pauses.next()) {
            (Ok(answer), _) => break answer,
            (Err(failure), Some(pause)) if failure.is_transient => {
                tracing::warn!(arn = arn.text, %failure, "a secret cannot be read; retrying");
                tokio::time::sleep(*pause).await;
            }
            (Err(failure), _) => bail!("{} cannot be read: {failure}", arn.text),
        }
    };
    let secret = arn.service.output(&answer);
    let secret = secret.with_context(|| format!("{} does not contain UTF-8 text", arn.text))?;
    ensure!(!secret.trim().is_empty(), "{} is empty", arn.text);
    Ok(secret)
}

/// The request for a secret's value, in AWS's JSON 1.1, with the signature of the function's own role.
async fn signed(
    aws: &SdkConfig,
    arn: &Arn<'_>,
    endpoint: &str,
) -> anyhow::Result<reqwest::Request> {
    let (name, _, operation) = arn.service.names();
    let provider = aws.credentials_provider();
    let provider = provider.context("there are no AWS credentials")?;
    let identity = provider.provide_credentials().await?.into();
    let body = arn.service.input(arn.text).to_string();
    let mut request = Request::post(format!("{}/", endpoint.trim_end_matches('/')))
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", operation)
        .body(body)?;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(arn.region.as_str())
        .name(name)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(
        "POST",
        uri,
        headers,
        SignableBody::Bytes(request.body().as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.try_into()?)
}

async fn call(http: &reqwest::Client, request: reqwest::Request) -> Result<Value, Failure> {
    let unreachable = |error: reqwest::Error| Failure {
        sentence: format!("the service did not answer: {error}"),
        is_transient: true,
    };
    let response = http.execute(request).await.map_err(unreachable)?;
    let status = response.status();
    let answer = response.bytes().await.map_err(unreachable)?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    // Such as `com.amazonaws.ssm#ParameterNotFound`.
    let code = answer["__type"].as_str().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = [&answer["message"], &answer["Message"]];
    let message = message.iter().find_map(|message| message.as_str());
    Err(Failure {
        sentence: format!("{status} {code}: {}", message.unwrap_or_default()),
        is_transient: status.is_server_error() || code.contains("Throttl"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_arn_tells_the_service_and_the_region() {
        for (text, expected) in [
            (
                "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf",
                Some((Service::SecretsManager, "eu-central-1")),
            ),
            (
                "arn:aws:ssm:us-east-1:123456789012:parameter/gatepost/session",
                Some((Service::Ssm, "us-east-1")),
            ),
            ("", None),
            ("links", None),
            ("arn:aws:secretsmanager:eu-central-1:123456789012", None),
            (
                "arn:aws:secretsmanager:eu/x:123456789012:secret:links",
                None,
            ),
            (
                "arn:aws:secretsmanager:eu-central-1:123456789012:links",
                None,
            ),
            ("arn:aws:ssm:us-east-1:123456789012:document/x", None),
            ("arn:aws:s3:::bucket", None),
        ] {
            let found = Arn::parse(text).ok();
            let found = found.map(|arn| (arn.service, arn.region.as_str().to_owned()));
            let expected = expected.map(|(service, region)| (service, region.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_text_or_bytes_of_text() {
        for (service, answer, secret) in [
            (
                Service::SecretsManager,
                json!({"SecretString": "a"}),
                Some("a"),
            ),
            (
                Service::SecretsManager,
                json!({"SecretBinary": "YQ=="}),
                Some("a"),
            ),
            (
                Service::SecretsManager,
                json!({"SecretBinary": "/w=="}),
                None,
            ),
            (Service::SecretsManager, json!({}), None),
            (
                Service::Ssm,
                json!({"Parameter": {"Value": "a"}}),
                Some("a"),
            ),
            (Service::Ssm, json!({"SecretString": "a"}), None),
        ] {
            assert_eq!(service.output(&answer).as_deref(), secret, "{answer}");
        }
    }

    /// A service that answers these in turn, each to a request that is as AWS wants it.
    async fn serve(answers: Vec<(u16, Value)>) -> String {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let answer = async move |headers: HeaderMap, body: String| {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            let body: Value = serde_json::from_str(&body).unwrap();
            let (name, scope) = match &*header("x-amz-target") {
                "AmazonSSM.GetParameter" => {
                    assert_eq!(body["WithDecryption"], true);
                    (&body["Name"], "/us-east-1/ssm/aws4_request")
                }
                "secretsmanager.GetSecretValue" => (
                    &body["SecretId"],
                    "/eu-central-1/secretsmanager/aws4_request",
                ),
                other => panic!("{other}"),
            };
            assert!(name.as_str().unwrap().starts_with("arn:aws:"), "{body}");
            let authorization = header("authorization");
            assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"));
            assert!(authorization.contains(scope), "{authorization}");
            assert_eq!(header("x-amz-security-token"), "token");
            let (status, answer) = answers.lock().unwrap().pop_front().unwrap();
            (StatusCode::from_u16(status).unwrap(), answer.to_string())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    #[tokio::test]
    async fn a_transient_failure_is_retried() {
        const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf";
        const PARAMETER: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/session";
        let token = Some("token".to_owned());
        let credentials = Credentials::new("AKID", "secret", token, None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        let aws = SdkConfig::builder().credentials_provider(provider).build();
        let busy = (500, json!({"__type": "InternalServiceError"}));
        let throttled = (400, json!({"__type": "ThrottlingException"}));
        let denied = (
            400,
            json!({"__type": "x#AccessDeniedException", "Message": "no role"}),
        );
        let found = (
            200,
            json!({"SecretString": "pem", "Parameter": {"Value": "pem"}}),
        );
        let empty = (
            200,
            json!({"SecretString": " ", "Parameter": {"Value": ""}}),
        );
        for (answers, expected) in [
            (vec![found.clone()], Ok("pem")),
            (vec![busy.clone(), throttled, found.clone()], Ok("pem")),
            (
                vec![busy.clone(), busy.clone(), busy],
                Err("InternalServiceError"),
            ),
            (
                vec![denied, found.clone()],
                Err("cannot be read: 400 Bad Request AccessDeniedException: no role"),
            ),
            (vec![empty], Err("is empty")),
            (vec![(200, json!({}))], Err("does not contain UTF-8 text")),
        ] {
            for arn in [SECRET, PARAMETER] {
                let endpoint = serve(answers.clone()).await;
                let read = read(&aws, &Arn::parse(arn).unwrap(), &endpoint).await;
                match (read, expected) {
                    (Ok(secret), expected) => assert_eq!(Ok(&*secret), expected),
                    (Err(error), Ok(_)) => panic!("{error}"),
                    (Err(error), Err(said)) => {
                        let error = error.to_string();
                        assert!(error.contains(said) && error.contains(arn), "{error}");
                    }
                }
            }
        }
    }
}
