//! Events through the real handlers, each compared with what is expected of it.
//!
//! `gatepost replay` and `gatepost dlq` call it. The same files serve operators, who replay what production logged, and
//! tests, which replay `test-events/`. Nothing here fetches anything from another machine.

mod expectation;
mod file;
mod message_file;
mod njs;
mod node;
mod report;
mod template;
mod upload;
mod viewer;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use edge_auth::SESSION_COOKIE;
use edge_auth::config::{SessionKey, SessionKeyMaterial, TokenSource};
use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Config, DeliveryMode, delivery};
use crate::dev::issuer;
use crate::text_file;

pub(crate) use expectation::differences;
pub(crate) use file::{Event, EventFile, find};
pub(crate) use report::{Line, Report};
pub(crate) use template::Templates;
pub(crate) use upload::{Uploads, outcomes};
pub(crate) use viewer::Viewers;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Runtime {
    /// The Rust library itself.
    Native,
    /// The Lambda@Edge package in Node.js.
    Node,
    /// The CloudFront Function of mode "function" in njs.
    Njs,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Node => "node",
            Self::Njs => "njs",
        }
    }
}

/// The configuration of the edge, which also trusts this run's issuer. Where sessions may come and the configuration has no
/// key for them that signs here, or none that the function can verify, it also has a key of this run.
pub(crate) fn edge_of(
    config: &Config,
    issuer: &dev_idp::Issuer,
    runtime: Runtime,
    now: Timestamp,
) -> anyhow::Result<edge_auth::Config> {
    anyhow::ensure!(
        config.delivery != DeliveryMode::Function || !matches!(runtime, Runtime::Node),
        "mode \"function\" has no package for Lambda@Edge; replay with --runtime njs, or native"
    );
    let is_for_function =
        config.delivery == DeliveryMode::Function || matches!(runtime, Runtime::Njs);
    let mut edge = config.edge.clone();
    issuer::join(issuer, &mut edge);
    let takes_sessions = edge
        .token_sources
        .contains(&TokenSource::Cookie(SESSION_COOKIE.to_owned()));
    let session = edge.session.as_ref();
    let signs = session.is_some_and(|session| {
        let is_usable = |key: &SessionKey| {
            let is_shared = matches!(key.material, SessionKeyMaterial::HS256 { .. });
            key.can_sign() && (is_shared || !is_for_function)
        };
        !session.keys.is_empty() && session.keys.iter().all(is_usable)
    });
    if takes_sessions && !signs {
        let session = edge.session.get_or_insert_with(delivery::default_session);
        let mut secret = vec![0; 32];
        getrandom::fill(&mut secret)?;
        // The newest key signs. The others verify the sessions of recorded requests.
        let from = (!session.keys.is_empty()).then_some(now);
        session
            .keys
            .push(delivery::shared_key("replay", from, secret));
    }
    Ok(edge)
}

/// The outcome of one record of an event.
pub(crate) struct Played {
    /// In the documented form of the kind of event.
    pub(crate) outcome: Value,
    pub(crate) elapsed: Duration,
}

pub(crate) fn read_json(file: &Path) -> anyhow::Result<Value> {
    text_file::read_json(file).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))
}
