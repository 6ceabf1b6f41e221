//! Makes everything that is deployed: checks, builds, packs, and writes the folder.
//!
//! `gatepost package` calls it. It prints no results; warnings and the steps of the build go to stderr.

use std::path::Path;

use anyhow::{anyhow, bail};
use edge_auth::{Authorizer, ConfigFault};
use jiff::{SignedDuration, Timestamp};
use signing_api::LinkSigner;

use super::behaviours::{behaviours, public};
use super::build::{self, ADDON, Architecture, BOOTSTRAP, SIGNING_API};
use super::deployability::{check_responses, check_session, check_who_may, warn};
use super::function::{
    Function, MAX_API_BYTES, MAX_EDGE_BYTES, MAX_PROCESSOR_BYTES, built, config_json, edge_files,
    program, program_files,
};
use super::manifest::{Delivery, Gate, Manifest, Previous, Uploads, describe, read_previous};
use super::rotation::{self, PackedSessionKey};
use super::runtime::EDGE_RUNTIMES;
use super::{EDGE_FILE, GATE_FILE, folder, keys, sha256};
use crate::config::{Config, DeliveryMode, SignIn, delivery};
use crate::terminal::progress::Progress;
use crate::web::{self, Web};

/// The arguments of a run.
pub(crate) struct Options<'a> {
    /// The folder that the package is written to.
    pub(crate) out: &'a Path,
    /// The architecture of the API and the processor.
    pub(crate) architecture: Architecture,
    /// The manifest of the package that is replaced; without it the one in `out`.
    pub(crate) previous: Option<&'a Path>,
    /// Whether session keys may sign before the deployed edge knows them.
    pub(crate) rotate_now: bool,
    /// Whether no keys are fetched.
    pub(crate) offline: bool,
}

/// Makes the package and writes it; answers with its manifest.
pub(crate) async fn make(mut config: Config, options: &Options<'_>) -> anyhow::Result<Manifest> {
    check_who_may(&config.edge)?;
    check_session(&config)?;
    check_responses(&config.edge)?;
    // Terraform knows whether CloudFront's keys sign links, and updates the page's settings then.
    let page = config.page(LinkSigner::Bucket);
    let page_files = web::deployed_files(&page)?;
    let page_paths: Vec<_> = page_files.iter().map(|file| file.path).collect();
    let paths = behaviours(&config.edge, config.delivery, &page_paths)?;
    folder::check(options.out)?;
    build::check(options.architecture)?;
    if let Some(reason) = Web::missing() {
        bail!("the page is not built: {reason}");
    }
    let now = Timestamp::now();
    let previous = read_previous(options.previous, options.out)?;
    let session_keys = check_rotation(&config, previous.as_ref(), options.rotate_now, now)?;
    let known = previous.map(|previous| previous.keys).unwrap_or_default();
    let keys = keys::pack(&mut config.edge, &known, options.offline, now).await;
    let code = gate_code(&config)?;
    let (edge, [api, processor]) = build_functions(&config, options.architecture)?;
    warn(&config, now);
    let tokens_from = config.sign_in.as_ref().and_then(SignIn::token_origin);
    let edge = edge.map(Function::pack).transpose()?;
    let (signing_api, api_zip) = api.pack()?;
    let (upload_processor, processor_zip) = processor.pack()?;
    let mut files = vec![
        (signing_api.file, api_zip),
        (upload_processor.file, processor_zip),
    ];
    let edge_auth = edge.map(|(package, zip)| {
        files.push((package.file, zip));
        package
    });
    let gate = code.map(|code| {
        let gate = Gate {
            file: GATE_FILE,
            bytes: code.len(),
            sha256: sha256(code.as_bytes()),
        };
        files.push((GATE_FILE, code.into_bytes()));
        gate
    });
    let session = config.edge.session.as_ref();
    let manifest = Manifest {
        version: 1,
        gatepost: env!("CARGO_PKG_VERSION"),
        config_sha256: config_sha256(&config)?,
        delivery: Delivery {
            mode: config.delivery,
            public_paths: public(&config.edge, config.delivery, &paths),
            paths,
            gate,
        },
        edge_auth,
        signing_api,
        upload_processor,
        web: page_files.iter().map(describe).collect(),
        web_connects_to: tokens_from.into_iter().collect(),
        cors: config.edge.cors.clone(),
        keys,
        session_keys,
        session_lifetime: session.map(|session| session.lifetime_seconds),
        uploads: Uploads {
            through: config.uploads_through,
        },
        form_seconds: config.form_lifetime.as_secs(),
        browser_cache_seconds: config.browser_cache.as_secs(),
        link_seconds: config.max_link_lifetime.map(|lifetime| lifetime.as_secs()),
        link_window_seconds: config.links_shared_within.as_secs(),
    };
    let mut manifest_json = serde_json::to_vec_pretty(&manifest)?;
    manifest_json.push(b'\n');
    folder::write(options.out, &files, &page_files, &manifest_json)?;
    Ok(manifest)
}

/// The code of the CloudFront Function, in mode `function`.
fn gate_code(config: &Config) -> anyhow::Result<Option<String>> {
    if config.delivery != DeliveryMode::Function {
        return Ok(None);
    }
    let checked = Authorizer::new(&delivery::with_placeholder_key(&config.edge));
    let authorizer = checked.map_err(|faults| anyhow!(ConfigFault::listed(&faults)))?;
    Ok(Some(edge_auth_function::compile(&authorizer)?))
}

/// Builds the programs of the edge, if the mode has one, of the API and of the processor, and puts each together with its
/// settings.
fn build_functions(
    config: &Config,
    architecture: Architecture,
) -> anyhow::Result<(Option<Function>, [Function; 2])> {
    let has_edge = config.delivery == DeliveryMode::Lambda;
    let progress = Progress::towards(if has_edge { 3 } else { 2 });
    let (bootstrap, processor_glibc) = built(&BOOTSTRAP, architecture, &progress)?;
    let (api_program, api_glibc) = built(&SIGNING_API, architecture, &progress)?;
    let edge = if has_edge {
        let (addon, glibc) = built(&ADDON, Architecture::X86_64, &progress)?;
        Some(Function {
            file: EDGE_FILE,
            max_bytes: MAX_EDGE_BYTES,
            handler: "index.handler",
            runtimes: &EDGE_RUNTIMES,
            architecture: Architecture::X86_64,
            glibc,
            files: edge_files(&config.edge, addon)?,
        })
    } else {
        None
    };
    drop(progress);
    let api = program(
        "signing-api.zip",
        MAX_API_BYTES,
        (architecture, api_glibc),
        program_files(api_program, serde_json::to_vec(&config.api(&config.edge))?),
    );
    let processor = program(
        "upload-processor.zip",
        MAX_PROCESSOR_BYTES,
        (architecture, processor_glibc),
        program_files(bootstrap, serde_json::to_vec(&config.images)?),
    );
    Ok((edge, [api, processor]))
}

/// Describes the session keys, and refuses a rotation that would sign people out, unless `rotate_now` allows it.
fn check_rotation(
    config: &Config,
    previous: Option<&Previous>,
    rotate_now: bool,
    now: Timestamp,
) -> anyhow::Result<Vec<PackedSessionKey>> {
    let known = previous.and_then(|previous| previous.session_keys.as_deref());
    let Some(session) = &config.edge.session else {
        return Ok(Vec::new());
    };
    // Their keys are not packed: `gatepost session-key` rotates them.
    if config.delivery == DeliveryMode::Function {
        return Ok(Vec::new());
    }
    let keys = rotation::describe(&session.keys, known, now);
    if !rotate_now {
        // Sessions of the replaced package have its lifetime.
        let before = previous.and_then(|previous| previous.session_lifetime);
        let lifetime = session.lifetime_seconds.max(before.unwrap_or_default());
        let lifetime = SignedDuration::from_secs(lifetime.into());
        rotation::check(&keys, known, lifetime, now).map_err(anyhow::Error::msg)?;
    }
    Ok(keys)
}

/// The hash of all packed parts of the configuration.
fn config_sha256(config: &Config) -> anyhow::Result<String> {
    let mut packed = config.delivery.name().as_bytes().to_vec();
    packed.push(b'\n');
    packed.extend(config_json(&config.edge)?);
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.images)?);
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.api(&config.edge))?);
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.page(LinkSigner::Bucket))?);
    Ok(sha256(&packed))
}
