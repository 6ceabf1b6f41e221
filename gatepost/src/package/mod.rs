//! `gatepost package`: what is deployed, byte for byte the same whenever it is made of the same, and
//! `manifest.json`, from which Terraform reads what there is.

mod archive;
mod behaviours;
mod build;
mod folder;
mod glibc;
mod keys;
mod rotation;
mod runtime;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use data_encoding::{BASE64, HEXLOWER};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, SignIn};
use crate::terminal::output;
use crate::terminal::progress::Progress;
use crate::text_file;
use crate::web::{self, Web, WebFile};

use signing_api::{LinkSigner, SESSION_KEY_VARIABLE};

use behaviours::{behaviours, public};
use build::{ADDON, Artifact, BOOTSTRAP, SIGNING_API};
pub(crate) use build::{Architecture, addon};
use keys::PackedKeys;
use rotation::PackedSessionKey;
use runtime::{EDGE_RUNTIMES, PROVIDED, Runtime};

/// The handler of the Lambda@Edge face.
const INDEX: &str = include_str!("../../../edge-auth/node/index.mjs");
/// What Lambda@Edge took for a viewer-request function before its limit was raised; some accounts and tools still do.
const MAX_EDGE_BYTES: usize = 1_500_000;
/// What we allow ourselves for the processor: Lambda unpacks it before the first event.
const MAX_PROCESSOR_BYTES: usize = 8_000_000;
/// And for the signing API, for the same reason.
const MAX_API_BYTES: usize = 8_000_000;
/// What a response that is generated at viewer-request may have, headers and body; beyond it viewers get a 502.
const MAX_RESPONSE_BYTES: usize = 40_960;
/// The longest URL that CloudFront takes. Encoded into another it takes three times as much.
const MAX_URL_BYTES: usize = 8192;
/// The glibc of Amazon Linux 2023, on which Lambda runs Node.js and `provided.al2023`.
const NEWEST_GLIBC: (u16, u16) = (2, 34);

#[derive(Args, Debug)]
pub(crate) struct PackageArgs {
    /// The folder that the packages are written to; it is made if it is missing.
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// The configuration that is packed in [default: gatepost.toml where there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the API and the processor run on. The authorizer is for Intel and AMD always: the edge has nothing else.
    #[arg(
        long,
        value_enum,
        default_value = "x86_64",
        value_name = "ARCHITECTURE"
    )]
    arch: Architecture,
    /// The manifest.json of the package that is deployed, which this one replaces [default: that in --out].
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Pack session keys that the deployed edge does not know and that sign at once: people are signed out until it does.
    #[arg(long)]
    rotate_now: bool,
    /// Fetch no keys: issuers that only name an address are packed without them.
    #[arg(long)]
    offline: bool,
}

/// A file of a package.
pub(crate) struct PackedFile {
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
    pub(crate) is_program: bool,
}

/// `manifest.json`. The names of the fields are a contract.
#[derive(Serialize)]
struct Manifest {
    version: u32,
    gatepost: &'static str,
    /// SHA-256 of the configuration as it is packed, in hexadecimal.
    config_sha256: String,
    edge_auth: Package,
    signing_api: Package,
    upload_processor: Package,
    /// The page, below `web/`.
    web: Vec<WebContent>,
    /// The origins besides its own that the page talks to: those of an identity provider.
    web_connects_to: Vec<String>,
    /// The sites whose scripts may read what the authorizer allows.
    cors: Option<edge_auth::config::Cors>,
    /// The issuers' keys that are packed, by their address.
    keys: Vec<PackedKeys>,
    /// The keys of sessions, each by what tells it from others.
    session_keys: Vec<PackedSessionKey>,
    /// How long what they sign lasts, in seconds.
    session_lifetime: Option<u32>,
    /// How long a form lasts, in seconds.
    form_seconds: i64,
    /// How long a link may be asked for, in seconds; `null` is the default of what signs it.
    link_seconds: Option<i64>,
    /// How long browsers may keep private media, in seconds.
    browser_cache_seconds: u64,
}

/// What the next package looks at of the one that it replaces.
#[derive(Deserialize)]
struct Previous {
    version: u32,
    #[serde(default)]
    keys: Vec<PackedKeys>,
    /// Those of a version that did not say are not known.
    session_keys: Option<Vec<PackedSessionKey>>,
    session_lifetime: Option<u32>,
}

#[derive(Serialize)]
struct WebContent {
    path: &'static str,
    bytes: usize,
    sha256: String,
    content_type: &'static str,
    cache_control: &'static str,
}

#[derive(Serialize)]
struct Package {
    file: &'static str,
    bytes: usize,
    sha256: String,
    /// The same in base64, as Lambda and Terraform compare it.
    source_code_hash: String,
    handler: &'static str,
    runtimes: Vec<&'static str>,
    architecture: Architecture,
    glibc: String,
    /// The path patterns of the behaviours that it stands in front of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    /// Those of the paths whose rules are all for anyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_paths: Option<Vec<String>>,
    contents: Vec<Content>,
}

#[derive(Serialize)]
struct Content {
    name: &'static str,
    bytes: usize,
    sha256: String,
}

pub(crate) async fn run(args: &PackageArgs) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(args.config.as_deref())?;
    check_who_may(&config.edge)?;
    check_responses(&config.edge)?;
    // Terraform knows whether CloudFront's keys sign links, and tells the page then.
    let page = config.page(LinkSigner::Bucket);
    let page_files = web::deployed_files(&page)?;
    let page_paths: Vec<_> = page_files.iter().map(|file| file.path).collect();
    let paths = behaviours(&config.edge, &page_paths)?;
    folder::check(&args.out)?;
    build::check(args.arch)?;
    if let Some(reason) = Web::missing() {
        bail!("the page is not built: {reason}");
    }
    let now = Timestamp::now();
    let previous = read_previous(args)?;
    let session_keys = check_rotation(&config, previous.as_ref(), args.rotate_now, now)?;
    let known = previous.map(|previous| previous.keys).unwrap_or_default();
    let keys = keys::pack(&mut config.edge, &known, args.offline, now).await;
    let progress = Progress::towards(3);
    let (bootstrap, processor_glibc) = built(&BOOTSTRAP, args.arch, &progress)?;
    let (api_program, api_glibc) = built(&SIGNING_API, args.arch, &progress)?;
    let (addon, edge_glibc) = built(&ADDON, Architecture::X86_64, &progress)?;
    drop(progress);
    let edge = Packed {
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
    let processor = program(
        "upload-processor.zip",
        MAX_PROCESSOR_BYTES,
        (args.arch, processor_glibc),
        program_files(bootstrap, serde_json::to_vec(&config.images)?),
    );
    let api = program(
        "signing-api.zip",
        MAX_API_BYTES,
        (args.arch, api_glibc),
        program_files(api_program, serde_json::to_vec(&config.api(&config.edge))?),
    );
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
        session_lifetime: config
            .edge
            .session
            .as_ref()
            .map(|session| session.lifetime_seconds),
        form_seconds: config.form_lifetime.as_secs(),
        browser_cache_seconds: config.browser_cache.as_secs(),
        link_seconds: config.max_link_lifetime.map(|lifetime| lifetime.as_secs()),
    };
    let mut manifest_json = serde_json::to_vec_pretty(&manifest)?;
    manifest_json.push(b'\n');
    folder::write(&args.out, &zips, &page_files, &manifest_json)?;
    for package in [
        &manifest.edge_auth,
        &manifest.signing_api,
        &manifest.upload_processor,
    ] {
        output::print(format_args!(
            "{}  {} bytes  sha256 {}",
            args.out.join(package.file).display(),
            package.bytes,
            package.sha256
        ))?;
    }
    output::print(args.out.join("manifest.json").display())?;
    Ok(ExitCode::SUCCESS)
}

/// Describes the keys of sessions, which must not sign anybody out unless that is meant.
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
        // Sessions of the package before last as long as it said.
        let before = previous.and_then(|previous| previous.session_lifetime);
        let lifetime = session.lifetime_seconds.max(before.unwrap_or_default());
        let lifetime = SignedDuration::from_secs(lifetime.into());
        rotation::check(&keys, known, lifetime, now).map_err(anyhow::Error::msg)?;
    }
    Ok(keys)
}

/// Says what works and is probably not meant.
fn warn(config: &Config, now: Timestamp) {
    let today = Offset::UTC.to_datetime(now).date();
    for warning in runtime::ending(today, &[&EDGE_RUNTIMES, &PROVIDED]) {
        output::warn(warning);
    }
    for warning in too_long_for_a_session(config) {
        output::warn(warning);
    }
    if config.page(LinkSigner::Bucket).sign_in.is_none() {
        output::warn(
            "nobody can sign in at the page; say in [sign_in] how, or in deny.login where",
        );
    }
    let session = config.edge.session.iter();
    let mut keys = session.flat_map(|session| &session.keys);
    if keys.any(|key| !key.can_sign()) {
        output::warn(format_args!(
            "a session key has only its public half here; give the API the private one in {SESSION_KEY_VARIABLE} or {SESSION_KEY_VARIABLE}_SECRET_ARN (session_key in Terraform)"
        ));
    }
}

/// Lifetimes that the signer role's session cannot have. Role chaining limits it to an hour (AWS, "Methods to assume a
/// role").
fn too_long_for_a_session(config: &Config) -> Vec<&'static str> {
    const MAX: SignedDuration = SignedDuration::from_hours(1);
    let mut warnings = Vec::new();
    if config.form_lifetime > MAX {
        warnings.push(
            "uploads.expires_in is longer than 1h: forms end with the session of the signer role, and Terraform refuses it; shorten it",
        );
    }
    if config.max_link_lifetime > Some(MAX) {
        warnings.push(
            "links.max_expires_in is longer than 1h: without link_keys links end with the session of the signer role, and Terraform refuses it; shorten it, or set link_keys",
        );
    }
    warnings
}

/// The manifest of the package that is replaced: the one that was named, else the one that is there.
fn read_previous(args: &PackageArgs) -> anyhow::Result<Option<Previous>> {
    let file = args
        .previous
        .clone()
        .unwrap_or_else(|| args.out.join("manifest.json"));
    if args.previous.is_none() && !file.exists() {
        return Ok(None);
    }
    let manifest = text_file::read_json(&file).and_then(|json| {
        serde_json::from_value::<Previous>(json).map_err(|error| error.to_string())
    });
    match manifest {
        Ok(manifest @ Previous { version: 1, .. }) => Ok(Some(manifest)),
        Ok(Previous { version, .. }) => bail!(
            "{} is of version {version}, which this program does not know",
            file.display()
        ),
        Err(reason) => bail!(
            "{} is not a manifest of `gatepost package`: {reason}",
            file.display()
        ),
    }
}

/// That somebody can sign in, and see something then.
fn check_who_may(config: &edge_auth::Config) -> anyhow::Result<()> {
    ensure!(
        !config.issuers.is_empty(),
        "the configuration names no issuer, so that nobody could sign in; add [[issuers]] (the local stack's own is not packed)"
    );
    for issuer in &config.issuers {
        let Some(published) = &issuer.published else {
            continue;
        };
        ensure!(
            published.url.starts_with("https://"),
            "the keys of {} are at {}, and Lambda finds nothing on its own machine; name an https:// address in jwks, or only a file with the keys",
            issuer.issuer,
            published.url
        );
    }
    ensure!(
        !config.rules.is_empty(),
        "the configuration has no [[rules]], so that nobody may see anything; add one, such as path = \"/media/{{owner}}/**\" with allow = \"owner\""
    );
    Ok(())
}

/// The largest answer of the authorizer's own: to sign in, or to a preflight.
fn check_responses(config: &edge_auth::Config) -> anyhow::Result<()> {
    let login = config.login.as_ref().map_or(0, String::len) + 3 * MAX_URL_BYTES;
    let preflight = config.cors.as_ref().map_or(0, |cors| {
        let names = cors.methods.iter().chain(&cors.headers);
        names.map(|name| name.len() + 2).sum::<usize>() + MAX_URL_BYTES
    });
    for (key, bytes) in [("deny.login", login), ("cors", preflight)] {
        ensure!(
            bytes < MAX_RESPONSE_BYTES,
            "{key} makes answers of up to {bytes} bytes, and CloudFront takes {MAX_RESPONSE_BYTES} from the edge: shorten it"
        );
    }
    Ok(())
}

/// What the manifest says of a file of the page.
fn describe(file: &WebFile) -> WebContent {
    WebContent {
        path: file.path,
        bytes: file.content.len(),
        sha256: sha256(&file.content),
        content_type: file.content_type,
        cache_control: file.cache_control,
    }
}

/// Builds something and makes sure that Lambda can load it: its bytes, and the glibc that it needs.
fn built(
    artifact: &Artifact,
    architecture: Architecture,
    progress: &Progress,
) -> anyhow::Result<(Vec<u8>, String)> {
    let path = artifact.build(architecture, progress)?;
    let shown = path.display();
    let content = std::fs::read(&path).with_context(|| format!("{shown} cannot be read"))?;
    let needed =
        glibc::needed(&content).with_context(|| format!("{shown} cannot be understood"))?;
    ensure!(
        needed <= NEWEST_GLIBC,
        "{shown} needs glibc {}.{}, and Lambda has {}.{}; build on Debian 12 or older, or install cargo-zigbuild with Zig (pip install cargo-zigbuild), which is then used",
        needed.0,
        needed.1,
        NEWEST_GLIBC.0,
        NEWEST_GLIBC.1
    );
    Ok((content, format!("{}.{}", needed.0, needed.1)))
}

/// A function's package, before it is written.
struct Packed {
    file: &'static str,
    max_bytes: usize,
    handler: &'static str,
    runtimes: &'static [Runtime],
    architecture: Architecture,
    glibc: String,
    paths: Vec<String>,
    public_paths: Option<Vec<String>>,
    files: Vec<PackedFile>,
}

impl Packed {
    /// Makes the zip, and describes it.
    fn pack(self) -> anyhow::Result<(Package, Vec<u8>)> {
        let zip = archive::zip(&self.files)?;
        ensure!(
            zip.len() <= self.max_bytes,
            "{} has {} bytes, more than the {} that are allowed",
            self.file,
            zip.len(),
            self.max_bytes
        );
        let contents = self.files.iter().map(|file| Content {
            name: file.name,
            bytes: file.content.len(),
            sha256: sha256(&file.content),
        });
        let package = Package {
            file: self.file,
            bytes: zip.len(),
            sha256: sha256(&zip),
            source_code_hash: BASE64.encode(&Sha256::digest(&zip)),
            handler: self.handler,
            runtimes: self.runtimes.iter().map(|runtime| runtime.name).collect(),
            architecture: self.architecture,
            glibc: self.glibc,
            paths: self.paths,
            public_paths: self.public_paths,
            contents: contents.collect(),
        };
        Ok((package, zip))
    }
}

/// A function in Rust, for this architecture and the glibc that it needs.
fn program(
    file: &'static str,
    max_bytes: usize,
    (architecture, glibc): (Architecture, String),
    files: Vec<PackedFile>,
) -> Packed {
    Packed {
        file,
        max_bytes,
        handler: "bootstrap",
        runtimes: &PROVIDED,
        architecture,
        glibc,
        paths: Vec::new(),
        public_paths: None,
        files,
    }
}

/// The files of a function in Rust: the program, under the name by which Lambda starts it, and what it is told.
fn program_files(program: Vec<u8>, settings: Vec<u8>) -> Vec<PackedFile> {
    vec![
        PackedFile {
            name: "bootstrap",
            content: program,
            is_program: true,
        },
        PackedFile {
            name: "settings.json",
            content: settings,
            is_program: false,
        },
    ]
}

/// Of all that is packed of the configuration.
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

/// The files of the Lambda@Edge face, in the order in which they are packed.
pub(crate) fn edge_files(
    config: &edge_auth::Config,
    addon: Vec<u8>,
) -> anyhow::Result<Vec<PackedFile>> {
    Ok(vec![
        PackedFile {
            name: "config.json",
            content: config_json(config)?,
            is_program: false,
        },
        PackedFile {
            name: "edge-auth.node",
            content: addon,
            is_program: false,
        },
        PackedFile {
            name: "index.mjs",
            content: INDEX.as_bytes().to_vec(),
            is_program: false,
        },
    ])
}

/// The configuration with the issuers' keys in it, and without private keys: the edge verifies and signs nothing.
fn config_json(config: &edge_auth::Config) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&config.clone().for_verifiers())?)
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_beyond_a_session_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gatepost.toml");
        for (form, link, warned) in [
            ("5m", None, [].as_slice()),
            ("1h", Some("1h"), &[]),
            ("61m", None, &["uploads.expires_in"]),
            ("5m", Some("24h"), &["links.max_expires_in"]),
            (
                "12h",
                Some("6d"),
                &["uploads.expires_in", "links.max_expires_in"],
            ),
        ] {
            let link = link.map_or(String::new(), |link| format!("max_expires_in = \"{link}\""));
            let text = format!("[uploads]\nexpires_in = \"{form}\"\n[links]\n{link}\n");
            std::fs::write(&file, &text).unwrap();
            let config = Config::load(Some(&file)).unwrap();
            let keys: Vec<_> = too_long_for_a_session(&config)
                .into_iter()
                .map(|warning| warning.split(' ').next().unwrap())
                .collect();
            assert_eq!(keys, warned, "{text}");
        }
    }

    #[test]
    fn answers_that_cloudfront_would_not_take_are_known_before() {
        let check = |login: String| {
            check_responses(&edge_auth::Config {
                login: Some(login),
                ..edge_auth::Config::default()
            })
        };
        assert!(check("https://login.example.com/?return_to={url}".to_owned()).is_ok());
        assert!(check(format!("https://login.example.com/{}", "x".repeat(20_000))).is_err());
    }
}
