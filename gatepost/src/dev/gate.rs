//! The edge of mode `function`: the generated function, run in njs where that is installed, with the library beside it.
//!
//! The library decides every request as well. If the two disagree, the request is refused and the disagreement logged:
//! on CloudFront the function decides alone, so it is a fault of this repository. Without njs the library decides alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::anyhow;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use edge_auth::config::SessionKeyMaterial;
use edge_auth::lambda_edge::Outcome;
use edge_auth::{Authorizer, Decision, Request, ViewerRequest, shared_session_header};
use edge_auth_function::njs::{self, Njs};
use edge_auth_function::{Answer, event};
use jiff::Timestamp;
use local_aws::cloudfront::error_response;
use media_contract::ORIGIN_PATH;

use super::generated::generated;

/// The function and its second opinion.
pub(super) struct Gate {
    authorizer: Authorizer,
    njs: Option<Arc<Njs>>,
}

impl Gate {
    /// Compiles the function for a configuration whose session keys are secrets.
    pub(super) fn new(config: &edge_auth::Config) -> anyhow::Result<Self> {
        let authorizer = Authorizer::for_shared_sessions(config)
            .map_err(|faults| anyhow!("{}", edge_auth::ConfigFault::listed(&faults)))?;
        let code = edge_auth_function::compile(&authorizer)?;
        let njs = if njs::is_installed() {
            Some(Arc::new(Njs::new(&code, &secrets_of(config))?))
        } else {
            None
        };
        Ok(Self { authorizer, njs })
    }

    /// Whether the function itself decides.
    pub(super) fn runs_in_njs(&self) -> bool {
        self.njs.is_some()
    }

    pub(super) fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// Decides: an allowed request, or the answer.
    pub(super) async fn decide(
        &self,
        request: &ViewerRequest,
        request_id: &str,
    ) -> (Decision, Option<Response<Body>>) {
        let now = Timestamp::now();
        let decision = self.authorizer.decide(now, &Request::from(request));
        let response = match self.authorizer.answer(request.clone(), &decision) {
            Outcome::Continue(_) => None,
            Outcome::Respond(response) => Some(generated(response)),
        };
        let Some(njs) = &self.njs else {
            return (decision, response);
        };
        let (njs, event) = (njs.clone(), event(request, request_id));
        let answers = tokio::task::spawn_blocking(move || njs.run(now, vec![event])).await;
        let answer = match answers {
            Ok(Ok(mut answers)) => answers.pop(),
            Ok(Err(error)) => {
                tracing::error!(request_id, %error, "the function did not run");
                None
            }
            Err(error) => {
                tracing::error!(request_id, %error, "the function did not run");
                None
            }
        };
        let agrees = answer
            .as_ref()
            .is_some_and(|answer| agrees(answer, request, response.as_ref()));
        if agrees {
            return (decision, response);
        }
        if let Some(answer) = answer {
            let (value, fault) = (&answer.value, &answer.fault);
            tracing::error!(request_id, ?decision, %value, fault, "the function and the library disagree");
        }
        let detail = "The request cannot be decided.";
        let refused = error_response(StatusCode::SERVICE_UNAVAILABLE, detail);
        (decision, Some(refused))
    }
}

/// Whether the function did what the library decided.
fn agrees(answer: &Answer, request: &ViewerRequest, expected: Option<&Response<Body>>) -> bool {
    match expected {
        None => answer.uri() == Some(&format!("{ORIGIN_PATH}{}", request.uri)),
        Some(expected) => {
            answer.status() == Some(expected.status().as_u16())
                && answer.headers().count() == expected.headers().len()
                && answer.headers().all(|(name, value)| {
                    let found = expected.headers().get(name);
                    found.is_some_and(|found| found.as_bytes() == value.as_bytes())
                })
        }
    }
}

/// What the function's store holds: the secrets of the sessions, by the header segment that their sessions have.
pub(crate) fn secrets_of(config: &edge_auth::Config) -> BTreeMap<String, String> {
    config
        .session
        .iter()
        .flat_map(|session| &session.keys)
        .filter_map(|key| match &key.material {
            SessionKeyMaterial::HS256 { secret } => {
                let secret = String::from(secret.clone());
                Some((shared_session_header(&key.kid), secret))
            }
            _ => None,
        })
        .collect()
}
