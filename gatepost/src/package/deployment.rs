//! Makes everything that is deployed: checks, builds, packs, and writes the folder.
//!
//! `gatepost package` calls it. It prints no results; warnings and the steps of the build go to stderr.

use std::path::Path;

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use signing_api::LinkSigner;

use super::behaviours::{behaviours, public};
use super::build::{self, ADDON, Architecture, BOOTSTRAP, SIGNING_API};
use super::deployability::{check_responses, check_who_may, warn};
use super::function::{
    Function, MAX_API_BYTES, MAX_EDGE_BYTES, MAX_PROCESSOR_BYTES, built, config_json, edge_files,
    program, program_files,
};
use super::manifest::{Manifest, Previous, describe, read_previous};
use super::rotation::{self, PackedSessionKey};
use super::runtime::EDGE_RUNTIMES;
use super::{folder, keys, sha256};
use crate::config::{Config, SignIn};
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
    check_responses(&config.edge)?;
    // Terraform knows whether CloudFront's keys sign links, and updates the page's settings then.
    let page = config.page(LinkSigner::Bucket);
    let page_files = web::deployed_files(&page)?;
    let page_paths: Vec<_> = page_files.iter().map(|file| file.path).collect();
    let paths = behaviours(&config.edge, &page_paths)?;
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
    let [edge, api, processor] = build_functions(&config, paths, options.architecture)?;
    warn(&config, now);
    let tokens_from = config.sign_in.as_ref().and_then(SignIn::token_origin);
    let (edge_auth, edge_zip) = edge.pack()?;
    let (signing_api, api_zip) = api.pack()?;
    let (upload_processor, processor_zip) = processor.pack()?;
    let zips = [
        (edge_auth.file, edge_zip),
        (signing_api.file, api_zip),
        (upload_processor.file, processor_zip),
    ];
    let session = config.edge.session.as_ref();
    let manifest = Manifest {
        version: 1,
        gatepost: env!("CARGO_PKG_VERSION"),
        config_sha256: config_sha256(&config)?,
        edge_auth,
        signing_api,
        upload_processor,
        web: page_files.iter().map(describe).collect(),
        web_connects_to: tokens_from.into_iter().collect(),
        cors: config.edge.cors.clone(),
        keys,
        session_keys,
        session_lifetime: session.map(|session| session.lifetime_seconds),
        form_seconds: config.form_lifetime.as_secs(),
        browser_cache_seconds: config.browser_cache.as_secs(),
        link_seconds: config.max_link_lifetime.map(|lifetime| lifetime.as_secs()),
    };
    let mut manifest_json = serde_json::to_vec_pretty(&manifest)?;
    manifest_json.push(b'\n');
    folder::write(options.out, &zips, &page_files, &manifest_json)?;
    Ok(manifest)
}

/// Builds the programs of the edge, the API and the processor, and puts each together with its settings.
fn build_functions(
    config: &Config,
    paths: Vec<String>,
    architecture: Architecture,
) -> anyhow::Result<[Function; 3]> {
    let progress = Progress::towards(3);
    let (bootstrap, processor_glibc) = built(&BOOTSTRAP, architecture, &progress)?;
    let (api_program, api_glibc) = built(&SIGNING_API, architecture, &progress)?;
    let (addon, edge_glibc) = built(&ADDON, Architecture::X86_64, &progress)?;
    drop(progress);
    let edge = Function {
        file: "edge-auth.zip",
        max_bytes: MAX_EDGE_BYTES,
        handler: "index.handler",
        runtimes: &EDGE_RUNTIMES,
        architecture: Architecture::X86_64,
        glibc: edge_glibc,
        public_paths: Some(public(&config.edge, &paths)),
        paths,
        files: edge_files(&config.edge, addon)?,
    };
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
    Ok([edge, api, processor])
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
    let mut packed = config_json(&config.edge)?;
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.images)?);
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.api(&config.edge))?);
    packed.push(b'\n');
    packed.extend(serde_json::to_vec(&config.page(LinkSigner::Bucket))?);
    Ok(sha256(&packed))
}
