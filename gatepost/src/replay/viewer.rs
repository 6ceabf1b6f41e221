//! Viewer requests, decided by `edge-auth` itself.

use std::time::Instant;

use edge_auth::lambda_edge::ViewerRequestEvent;
use edge_auth::{Authorizer, Decision, Denied, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Played;
use crate::config::Config;
use crate::issuer::DevIssuer;

/// The authorizer of a run.
pub(super) struct Viewers {
    authorizer: Authorizer,
    now: Timestamp,
}

impl Viewers {
    /// The configured authorizer, which also trusts the run's own issuer.
    pub(super) fn new(config: &Config, issuer: &DevIssuer, now: Timestamp) -> anyhow::Result<Self> {
        let mut config = config.edge.clone();
        config.issuers.push(issuer.configuration());
        let authorizer = Authorizer::new(&config).map_err(|faults| {
            anyhow::anyhow!("the configuration does not go with the run's issuer: {faults:?}")
        })?;
        Ok(Self { authorizer, now })
    }

    /// Decides on an event's requests.
    pub(super) fn play(&self, event: ViewerRequestEvent) -> Vec<Played> {
        let requests = event.records.into_iter().map(|record| record.cf.request);
        requests
            .map(|request| {
                let started = Instant::now();
                let decision = self.authorizer.decide(self.now, &Request::from(&request));
                let elapsed = started.elapsed();
                Played {
                    outcome: outcome(&decision),
                    elapsed,
                }
            })
            .collect()
    }
}

fn outcome(decision: &Decision) -> Value {
    match decision {
        Decision::Allow(allowed) => json!({
            "decision": "allow",
            "status": 200,
            "reason": "allowed",
            "owner": allowed.owner,
        }),
        Decision::Deny(denied) => denied_outcome("deny", denied.refusal.status(), denied),
        Decision::Redirect(redirect) => {
            let mut outcome = denied_outcome("redirect", 302, &redirect.denied);
            outcome["location"] = redirect.location.as_str().into();
            outcome
        }
        _ => json!({"decision": "deny", "status": 503, "reason": "undecided", "owner": null}),
    }
}

fn denied_outcome(decision: &str, status: u16, denied: &Denied) -> Value {
    json!({
        "decision": decision,
        "status": status,
        "reason": denied.refusal.code(),
        "owner": null,
    })
}
