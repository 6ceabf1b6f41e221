//! A secret in Secrets Manager, or a parameter of SSM's Parameter Store: its name, and the calls that read and write it.

use data_encoding::{BASE64, HEXLOWER};
use http::{Request, header};
use serde_json::{Value, json};
use thiserror::Error;
use url_signing::{Region, SigningError};
use zeroize::Zeroizing;

use crate::call::{CallError, Caller, Scope};

/// A secret's name in its service.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretArn {
    text: String,
    service: Service,
    region: Region,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Service {
    SecretsManager,
    Ssm,
}

/// Why a text does not name a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretArnError {
    /// It is not an ARN.
    #[error("{0:?} is not an ARN; write all of it, beginning with arn:")]
    NotAnArn(String),
    /// It names something else.
    #[error("{0:?} is neither the ARN of a secret (secretsmanager) nor that of a parameter (ssm)")]
    OfSomethingElse(String),
    /// Its Region is not valid.
    #[error(transparent)]
    Region(#[from] SigningError),
}

/// Why a secret was not read or not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The call that reads failed.
    #[error("{arn} cannot be read: {error}")]
    NotRead {
        /// The secret.
        arn: String,
        /// The failure.
        error: CallError,
    },
    /// The call that writes failed.
    #[error("{arn} cannot be written: {error}")]
    NotWritten {
        /// The secret.
        arn: String,
        /// The failure.
        error: CallError,
    },
    /// It is not text.
    #[error("{0} does not contain UTF-8 text")]
    NotText(String),
    /// It has no value, or only blanks.
    #[error("{0} is empty")]
    Empty(String),
    /// It is a parameter.
    #[error("{0} is a parameter of SSM; session keys are in a secret of Secrets Manager")]
    Parameter(String),
    /// The system random number generator failed.
    #[error("the system random number generator failed: {0}")]
    Random(#[from] getrandom::Error),
}

impl SecretError {
    /// Whether the secret has no value yet. The service answers in the same way if it does not exist.
    pub fn is_without_value(&self) -> bool {
        match self {
            Self::Empty(_) => true,
            Self::NotRead { error, .. } => error.has_code("ResourceNotFoundException"),
            _ => false,
        }
    }
}

impl SecretArn {
    /// Parses an ARN.
    ///
    /// # Errors
    ///
    /// The text is not the ARN of a secret or of a parameter.
    pub fn parse(text: &str) -> Result<Self, SecretArnError> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let ["arn", _, service, region, _, resource] = parts[..] else {
            return Err(SecretArnError::NotAnArn(text.to_owned()));
        };
        let service = match (service, resource) {
            ("secretsmanager", resource) if resource.starts_with("secret:") => {
                Service::SecretsManager
            }
            ("ssm", resource) if resource.starts_with("parameter/") => Service::Ssm,
            _ => return Err(SecretArnError::OfSomethingElse(text.to_owned())),
        };
        Ok(Self {
            text: text.to_owned(),
            service,
            region: Region::new(region)?,
        })
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The secret's Region.
    pub fn region(&self) -> &str {
        self.region.as_str()
    }

    /// Whether the secret is in Secrets Manager.
    pub fn is_in_secrets_manager(&self) -> bool {
        self.service == Service::SecretsManager
    }

    /// The endpoint of the service: AWS's, or that of the SDK's environment variables.
    pub fn endpoint(&self) -> String {
        let (name, variable, _) = self.service.names();
        let endpoint = std::env::var(variable).or_else(|_| std::env::var("AWS_ENDPOINT_URL"));
        endpoint.unwrap_or_else(|_| {
            let (region, suffix) = (&self.region, self.region.dns_suffix());
            format!("https://{name}.{region}.{suffix}")
        })
    }

    /// Reads the secret. A transient failure is retried.
    ///
    /// # Errors
    ///
    /// The call failed, or the secret has no text.
    pub async fn read(
        &self,
        caller: &Caller,
        endpoint: &str,
    ) -> Result<Zeroizing<String>, SecretError> {
        let request = self.read_request(endpoint)?;
        let (name, _, _) = self.service.names();
        let scope = Scope::Region(self.region());
        let answer = caller.send(name, scope, &request).await;
        self.text_of(&answer.map_err(|error| self.not_read(error))?.body)
    }

    /// The same without a retry, for a caller that repeats it later anyway.
    ///
    /// # Errors
    ///
    /// The call failed, or the secret has no text.
    pub async fn read_once(
        &self,
        caller: &Caller,
        endpoint: &str,
    ) -> Result<Zeroizing<String>, SecretError> {
        let request = self.read_request(endpoint)?;
        let (name, _, _) = self.service.names();
        let scope = Scope::Region(self.region());
        let answer = caller.send_once(name, scope, &request).await;
        self.text_of(&answer.map_err(|error| self.not_read(error))?.body)
    }

    /// Writes a new version of a secret in Secrets Manager, which becomes the current one.
    ///
    /// # Errors
    ///
    /// The call failed, or this is a parameter. The text of the error has nothing of the secret.
    pub async fn write(
        &self,
        caller: &Caller,
        endpoint: &str,
        text: &str,
    ) -> Result<(), SecretError> {
        if self.service != Service::SecretsManager {
            return Err(SecretError::Parameter(self.text.clone()));
        }
        // Random: with the token of an earlier version, Secrets Manager would answer with success and change nothing.
        let mut token = [0; 16];
        getrandom::fill(&mut token)?;
        let input = json!({
            "SecretId": self.text, "SecretString": text,
            "ClientRequestToken": HEXLOWER.encode(&token),
        });
        let not_written = |error: CallError| SecretError::NotWritten {
            arn: self.text.clone(),
            error: error.without_message(),
        };
        let request = json_request(endpoint, "secretsmanager.PutSecretValue", &input);
        let request = request.map_err(not_written)?;
        let scope = Scope::Region(self.region());
        let answer = caller.send("secretsmanager", scope, &request).await;
        answer.map(|_| ()).map_err(not_written)
    }

    fn read_request(&self, endpoint: &str) -> Result<Request<String>, SecretError> {
        let (_, _, operation) = self.service.names();
        json_request(endpoint, operation, &self.service.input(&self.text))
            .map_err(|error| self.not_read(error))
    }

    fn not_read(&self, error: CallError) -> SecretError {
        SecretError::NotRead {
            arn: self.text.clone(),
            error,
        }
    }

    fn text_of(&self, answer: &Value) -> Result<Zeroizing<String>, SecretError> {
        let members = ["SecretString", "SecretBinary", "Parameter"];
        if members.iter().all(|member| answer[member].is_null()) {
            return Err(SecretError::Empty(self.text.clone()));
        }
        let text = self.service.output(answer);
        let text = text.ok_or_else(|| SecretError::NotText(self.text.clone()))?;
        if text.trim().is_empty() {
            return Err(SecretError::Empty(self.text.clone()));
        }
        Ok(text)
    }
}

impl Service {
    /// Its name in hosts and signatures, the variable for another endpoint, and the operation that reads.
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
    fn output(self, answer: &Value) -> Option<Zeroizing<String>> {
        let text = match self {
            Self::Ssm => answer["Parameter"]["Value"].as_str().map(str::to_owned),
            Self::SecretsManager => {
                if let Some(text) = answer["SecretString"].as_str() {
                    return Some(Zeroizing::new(text.to_owned()));
                }
                let bytes = BASE64.decode(answer["SecretBinary"].as_str()?.as_bytes());
                String::from_utf8(bytes.ok()?).ok()
            }
        };
        text.map(Zeroizing::new)
    }
}

/// A request in AWS's JSON 1.1.
fn json_request(
    endpoint: &str,
    operation: &str,
    input: &Value,
) -> Result<Request<String>, CallError> {
    Request::post(format!("{}/", endpoint.trim_end_matches('/')))
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", operation)
        .body(input.to_string())
        .map_err(|error| CallError::Request(error.to_string()))
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
            let found = SecretArn::parse(text).ok();
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
            assert_eq!(
                service.output(&answer).as_deref().map(String::as_str),
                secret,
                "{answer}"
            );
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
        let caller = Caller::new(provider).unwrap();
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
        let bytes = (200, json!({"SecretBinary": "/w==", "Parameter": {}}));
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
            (vec![(200, json!({}))], Err("is empty")),
            (vec![bytes], Err("does not contain UTF-8 text")),
        ] {
            for arn in [SECRET, PARAMETER] {
                let endpoint = serve(answers.clone()).await;
                let read = SecretArn::parse(arn).unwrap();
                let read = read.read(&caller, &endpoint).await;
                match (read, expected) {
                    (Ok(secret), expected) => assert_eq!(Ok(secret.as_str()), expected),
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
