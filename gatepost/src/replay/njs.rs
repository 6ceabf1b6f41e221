//! Plays viewer requests in njs: compiles the function of mode `function`, and runs it on each event.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use edge_auth::lambda_edge::ViewerRequestEvent;
use edge_auth::{Authorizer, ConfigFault, OWNER_HEADER};
use edge_auth_function::njs::Njs;
use edge_auth_function::{Answer, event};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Played;
use crate::dev::gate::secrets_of;

/// The function of a configuration, in njs.
pub(super) struct NjsRuntime {
    njs: Njs,
    now: Timestamp,
}

impl NjsRuntime {
    /// Compiles the function of a configuration whose session keys are secrets.
    pub(super) fn start(config: &edge_auth::Config, now: Timestamp) -> anyhow::Result<Self> {
        let authorizer = Authorizer::for_shared_sessions(config)
            .map_err(|faults| anyhow!(ConfigFault::listed(&faults)))?;
        let code = edge_auth_function::compile(&authorizer)?;
        let njs = Njs::new(&code, &secrets_of(config))?;
        Ok(Self { njs, now })
    }

    /// Answers an event's records.
    pub(super) fn play(&self, viewer_event: &ViewerRequestEvent) -> anyhow::Result<Vec<Played>> {
        let records = viewer_event.records.iter();
        let events = records.map(|record| event(&record.cf.request, &record.cf.config.request_id));
        let answers = self.njs.run(self.now, events.collect())?;
        answers
            .iter()
            .map(|answer| {
                Ok(Played {
                    outcome: outcome(answer)?,
                    elapsed: Duration::from_millis(answer.millis),
                })
            })
            .collect()
    }
}

/// The outcome as an operator sees it: from the answer and the log line.
fn outcome(answer: &Answer) -> anyhow::Result<Value> {
    if let Some(fault) = &answer.fault {
        return Err(anyhow!("the function threw: {fault}"));
    }
    let Some(status) = answer.status() else {
        let owner = answer.header(OWNER_HEADER);
        return Ok(
            json!({"decision": "allow", "status": 200, "reason": "allowed", "owner": owner}),
        );
    };
    if status == 204 {
        return Ok(
            json!({"decision": "allow", "status": 204, "reason": "preflight", "owner": null}),
        );
    }
    let logged = answer.denial().context("the function logged nothing")?;
    let reason = &logged["code"];
    Ok(match status {
        302 => json!({
            "decision": "redirect", "status": 302, "reason": reason, "owner": null,
            "location": answer.header("location"),
        }),
        _ => json!({"decision": "deny", "status": status, "reason": reason, "owner": null}),
    })
}
