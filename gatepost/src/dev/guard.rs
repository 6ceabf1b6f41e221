//! Chooses the guard of the local edge: the code or the emulated service that decides about viewers in the mode of the
//! configuration. `gatepost dev` calls it once.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use edge_auth_host::HostedAuthorizer;
use signing_api::CloudFront;

use super::data_dir::DataDir;
use super::edge::Guard;
use super::gate::Gate;
use super::origins::Origins;
use super::signatures::{Patterns, Presigned, Signed};
use super::signed;
use crate::aws::Connection;
use crate::config::{Config, DeliveryMode};
use crate::package::{behaviours, public};
use crate::terminal::output;

/// The guard of the configuration's mode, and the signer of links.
pub(super) fn guard(
    config: &Config,
    edge: &edge_auth::Config,
    authorizer: &Arc<HostedAuthorizer>,
    (connection, bucket): (&Connection, &str),
    (origins, data_dir): (&Origins, &DataDir),
) -> anyhow::Result<(Guard, Option<CloudFront>)> {
    let authorizer = authorizer.clone();
    let patterns = || {
        let all = behaviours(edge, config.delivery, &[])
            .context("the rules cannot be CloudFront's behaviours")?;
        anyhow::Ok(Patterns {
            public: public(edge, config.delivery, &all),
            all,
        })
    };
    let guard = match config.delivery {
        DeliveryMode::Lambda => Guard::Library(authorizer),
        DeliveryMode::Function => Guard::Function(gate(edge)?),
        DeliveryMode::Signed => {
            output::note("delivery signed: the emulated CloudFront checks signed cookies and URLs");
            let key = data_dir.cloudfront_key()?;
            let (cloudfront, keys) = signed::signer(origins.address(), &key)?;
            let guard = Guard::Signed(Signed {
                authorizer,
                keys,
                patterns: patterns()?,
            });
            return Ok((guard, Some(cloudfront)));
        }
        DeliveryMode::Presigned => {
            output::note("delivery presigned: S3 checks the signature of each URL");
            Guard::Presigned(Presigned {
                authorizer,
                patterns: patterns()?,
                endpoint: connection.endpoint.clone(),
                bucket: bucket.to_owned(),
            })
        }
    };
    let cloudfront = CloudFront::from_variables(|name| std::env::var_os(name))?;
    if cloudfront.as_ref().is_some_and(CloudFront::is_folder) {
        bail!(
            "{} is a folder alone, and no distribution is here that it could be of; name the whole address, such as https://d111111abcdef8.cloudfront.net/shared",
            signing_api::URL_VARIABLE
        );
    }
    Ok((guard, cloudfront))
}

/// The edge of mode `function`.
fn gate(edge: &edge_auth::Config) -> anyhow::Result<Arc<Gate>> {
    let gate = Gate::new(edge).context("the function of mode \"function\" cannot be made")?;
    output::note(if gate.runs_in_njs() {
        "delivery function: gate.js decides, in njs"
    } else {
        "delivery function: njs was not found (Debian: apt-get install njs), so the library decides in place of gate.js"
    });
    Ok(Arc::new(gate))
}
