//! Viewer requests, decided by `edge-auth` itself or by its face in Node.js.

use std::time::Instant;

use edge_auth::config::Issuer;
use edge_auth::lambda_edge::ViewerRequestEvent;
use edge_auth::{Authorizer, Decision, Denied, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::node::NodeFace;
use super::{Face, Played};
use crate::config::Config;
use crate::issuer::DevIssuer;

/// The authorizer of a run, made when the first event needs it.
pub(super) struct Viewers {
    config: edge_auth::Config,
    face: Face,
    now: Timestamp,
    running: Option<Running>,
}

enum Running {
    Native(Box<Authorizer>),
    Node(NodeFace),
}

impl Viewers {
    /// The configured authorizer, which also trusts the run's own issuer and fetches nothing.
    pub(super) fn new(
        config: &Config,
        issuer: &DevIssuer,
        face: Face,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut config = config.edge.clone();
        share_keys(&mut config.issuers);
        for issuer in &mut config.issuers {
            anyhow::ensure!(
                issuer.jwks.is_some() || issuer.secrets.is_some(),
                "issuer {} has its keys at a URL alone, and replay fetches nothing: save them and name the file with --jwks",
                issuer.issuer
            );
            issuer.published = None;
        }
        issuer.join(&mut config);
        Ok(Self {
            config,
            face,
            now,
            running: None,
        })
    }

    /// Decides on an event's request.
    pub(super) fn play(&mut self, event: &ViewerRequestEvent) -> anyhow::Result<Vec<Played>> {
        let now = self.now;
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(start(&self.config, self.face, now)?),
        };
        match running {
            Running::Native(authorizer) => Ok(event
                .records
                .iter()
                .map(|record| {
                    let started = Instant::now();
                    let decision = authorizer.decide(now, &Request::from(&record.cf.request));
                    let elapsed = started.elapsed();
                    Played {
                        outcome: outcome(&decision),
                        elapsed,
                    }
                })
                .collect()),
            Running::Node(face) => face.play(event),
        }
    }
}

/// Blocks of one address have one key set, which may be given at one of them only.
fn share_keys(issuers: &mut [Issuer]) {
    let url = |issuer: &Issuer| Some(issuer.published.as_ref()?.url.clone());
    let known: Vec<_> = issuers
        .iter()
        .filter_map(|issuer| Some((url(issuer)?, issuer.jwks.clone()?)))
        .collect();
    for issuer in issuers.iter_mut().filter(|issuer| issuer.jwks.is_none()) {
        let address = url(issuer);
        let keys = known.iter().find(|(url, _)| Some(url) == address.as_ref());
        issuer.jwks = keys.map(|(_, keys)| keys.clone());
    }
}

fn start(config: &edge_auth::Config, face: Face, now: Timestamp) -> anyhow::Result<Running> {
    let authorizer = Authorizer::new(config).map_err(|faults| {
        anyhow::anyhow!("the configuration does not go with the run's issuer: {faults:?}")
    })?;
    match face {
        Face::Native => Ok(Running::Native(Box::new(authorizer))),
        Face::Node => NodeFace::start(config, now).map(Running::Node),
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
        Decision::Preflight(_) => json!({
            "decision": "allow",
            "status": 204,
            "reason": "preflight",
            "owner": null,
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
