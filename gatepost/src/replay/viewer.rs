//! Plays viewer requests: `edge-auth` itself decides, its runtime in Node.js, or the generated function in njs.

use std::net::Ipv4Addr;
use std::time::Instant;

use axum::routing::get;
use axum::{Json, Router};
use edge_auth::config::Issuer;
use edge_auth::lambda_edge::ViewerRequestEvent;
use edge_auth::{Authorizer, Decision, Denied, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::njs::NjsRuntime;
use super::node::NodeRuntime;
use super::{Played, Runtime};
use crate::config::DeliveryMode;

/// The authorizer of a run, made when the first event needs it.
pub(crate) struct Viewers {
    config: edge_auth::Config,
    delivery: DeliveryMode,
    runtime: Runtime,
    now: Timestamp,
    running: Option<Running>,
}

enum Running {
    Native(Box<Authorizer>),
    Node(NodeRuntime),
    Njs(NjsRuntime),
}

impl Viewers {
    /// The authorizer of a configuration that trusts this run's issuer ([`edge_of`](super::edge_of)). Published keys are served from this machine, so
    /// nothing is fetched from another.
    pub(crate) async fn new(
        mut config: edge_auth::Config,
        delivery: DeliveryMode,
        runtime: Runtime,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        publish_here(&mut config.issuers).await?;
        Ok(Self {
            config,
            delivery,
            runtime,
            now,
            running: None,
        })
    }

    /// Decides on an event's request.
    pub(crate) fn play(&mut self, event: &ViewerRequestEvent) -> anyhow::Result<Vec<Played>> {
        let now = self.now;
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(start(&self.config, self.delivery, self.runtime, now)?),
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
            Running::Node(runtime) => runtime.play(event),
            Running::Njs(runtime) => runtime.play(event),
        }
    }
}

/// Serves the keys of each URL on this machine, so that decisions are the same as in production: an unknown key of a
/// fetched set may be known after the next fetch, but never one of a fixed set.
async fn publish_here(issuers: &mut [Issuer]) -> anyhow::Result<()> {
    let url_of = |issuer: &Issuer| Some(issuer.published.as_ref()?.url.clone());
    let mut addresses: Vec<(String, Value)> = Vec::new();
    for issuer in issuers.iter() {
        let url = url_of(issuer);
        let mut sharing = issuers
            .iter()
            .filter(|other| url.is_some() && url_of(other) == url);
        let keys = issuer.jwks.clone();
        let keys = keys.or_else(|| sharing.find_map(|other| other.jwks.clone()));
        anyhow::ensure!(
            keys.is_some() || issuer.published.is_none(),
            "the keys of issuer {} are only at a URL, and replay fetches nothing; save them and name the file with --jwks",
            issuer.issuer
        );
        let is_new = |url: &String| !addresses.iter().any(|(known, _)| known == url);
        if let (Some(url), Some(keys)) = (url.filter(is_new), keys) {
            addresses.push((url, keys));
        }
    }
    if addresses.is_empty() {
        return Ok(());
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let here = listener.local_addr()?;
    let mut router = Router::new();
    for (idx, (url, keys)) in addresses.into_iter().enumerate() {
        for issuer in issuers.iter_mut() {
            if let Some(published) = issuer
                .published
                .as_mut()
                .filter(|published| published.url == url)
            {
                published.url = format!("http://{here}/{idx}");
                issuer.jwks = Some(keys.clone());
            }
        }
        router = router.route(&format!("/{idx}"), get(async move || Json(keys)));
    }
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

fn start(
    config: &edge_auth::Config,
    delivery: DeliveryMode,
    runtime: Runtime,
    now: Timestamp,
) -> anyhow::Result<Running> {
    let authorizer = match delivery {
        DeliveryMode::Lambda => Authorizer::new(config),
        DeliveryMode::Function => Authorizer::for_shared_sessions(config),
        DeliveryMode::Signed | DeliveryMode::Presigned => {
            anyhow::bail!(
                "mode {:?} has no function for viewers' requests",
                delivery.name()
            )
        }
    };
    let authorizer = authorizer.map_err(|faults| {
        anyhow::anyhow!(
            "the configuration conflicts with the issuer of this run: {}",
            edge_auth::ConfigFault::listed(&faults)
        )
    })?;
    for issuer in &config.issuers {
        if let (Some(published), Some(jwks)) = (&issuer.published, &issuer.jwks) {
            // Faults of single keys were reported when the configuration was read.
            let _ = authorizer.accept_keys(now, &published.url, jwks);
        }
    }
    match runtime {
        Runtime::Native => Ok(Running::Native(Box::new(authorizer))),
        Runtime::Node => NodeRuntime::start(config, now).map(Running::Node),
        Runtime::Njs => NjsRuntime::start(config, now).map(Running::Njs),
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
        "detail": denied.refusal.to_string(),
        "owner": null,
    })
}
