//! `gatepost package`: what is deployed, byte for byte the same whenever it is made of the same, and
//! `manifest.json`, from which Terraform reads what there is.

mod archive;
mod build;
mod glibc;
mod runtime;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, PageSettings, SignIn};
use crate::web::{self, Web};

use build::{ADDON, Artifact, BOOTSTRAP, SIGNING_API};
pub(crate) use build::{Architecture, addon};
use runtime::{EDGE_RUNTIMES, PROVIDED, Runtime};

/// The handler of the Lambda@Edge face.
const INDEX: &str = include_str!("../../../edge-auth/lambda-edge/index.mjs");
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
/// CloudFront's quota is 75 of a distribution; 25 in older accounts. One is the API's.
const MAX_BEHAVIOURS: usize = 24;
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
    contents: Vec<Content>,
}

#[derive(Serialize)]
struct Content {
    name: &'static str,
    bytes: usize,
    sha256: String,
}

pub(crate) fn run(args: &PackageArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    ensure!(
        !config.edge.issuers.is_empty(),
        "the configuration names no issuer, so that nobody could sign in; add [[issuers]] (the local stack's own is not packed)"
    );
    check_responses(&config.edge)?;
    let (bootstrap, processor_glibc) = built(&BOOTSTRAP, args.arch)?;
    let (program, api_glibc) = built(&SIGNING_API, args.arch)?;
    let (addon, edge_glibc) = built(&ADDON, Architecture::X86_64)?;
    let edge = Packed {
        file: "edge-auth.zip",
        max_bytes: MAX_EDGE_BYTES,
        handler: "index.handler",
        runtimes: &EDGE_RUNTIMES,
        architecture: Architecture::X86_64,
        glibc: edge_glibc,
        paths: behaviours(&config.edge)?,
        files: edge_files(&config.edge, addon)?,
    };
    let processor = Packed {
        file: "upload-processor.zip",
        max_bytes: MAX_PROCESSOR_BYTES,
        handler: "bootstrap",
        runtimes: &PROVIDED,
        architecture: args.arch,
        glibc: processor_glibc,
        paths: Vec::new(),
        files: program_files(bootstrap, serde_json::to_vec(&config.images)?),
    };
    let api = Packed {
        file: "signing-api.zip",
        max_bytes: MAX_API_BYTES,
        handler: "bootstrap",
        runtimes: &PROVIDED,
        architecture: args.arch,
        glibc: api_glibc,
        paths: Vec::new(),
        files: program_files(program, serde_json::to_vec(&config.api(&config.edge))?),
    };
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    for warning in runtime::ending(today, &[&EDGE_RUNTIMES, &PROVIDED]) {
        eprintln!("warning: {warning}");
    }
    let page = config.page();
    if page.sign_in.is_none() {
        eprintln!(
            "warning: nobody can sign in at the page; say in [sign_in] how, or in deny.login where"
        );
    }
    let tokens_from = config.sign_in.as_ref().and_then(SignIn::token_origin);
    let manifest = Manifest {
        version: 1,
        gatepost: env!("CARGO_PKG_VERSION"),
        config_sha256: config_sha256(&config)?,
        edge_auth: edge.write(&args.out)?,
        signing_api: api.write(&args.out)?,
        upload_processor: processor.write(&args.out)?,
        web: write_page(&args.out.join("web"), &page)?,
        web_connects_to: tokens_from.into_iter().collect(),
    };
    let mut manifest_json = serde_json::to_vec_pretty(&manifest)?;
    manifest_json.push(b'\n');
    write(&args.out, "manifest.json", &manifest_json)?;
    println!("{}", args.out.join("manifest.json").display());
    Ok(ExitCode::SUCCESS)
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

/// What CloudFront is told that the rules are about: the part of each path that no request chooses, and all below it.
///
/// A pattern that is too narrow opens nothing: whatever it leaves out goes to another bucket.
fn behaviours(config: &edge_auth::Config) -> anyhow::Result<Vec<String>> {
    let mut patterns: Vec<String> = Vec::new();
    for rule in &config.rules {
        let is_fixed = |segment: &&str| !segment.contains(['*', '{']);
        let segments: Vec<&str> = rule.path.split('/').collect();
        let fixed: Vec<&str> = segments.iter().copied().take_while(is_fixed).collect();
        let pattern = if fixed.len() == segments.len() {
            rule.path.clone()
        } else {
            format!("{}/*", fixed.join("/"))
        };
        ensure!(
            pattern.bytes().all(|byte| byte.is_ascii_graphic()),
            "the rule about {} begins with what CloudFront's path patterns cannot say; put US-ASCII before the first variable",
            rule.path
        );
        ensure!(
            pattern != "/*" && pattern != "/" && !pattern.starts_with("/api/"),
            "the rule about {} is about the page's or the API's paths as well; give what it is about a folder, such as /media",
            rule.path
        );
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    ensure!(
        patterns.len() <= MAX_BEHAVIOURS,
        "the rules are about {} folders, and a distribution has {MAX_BEHAVIOURS} behaviours for them",
        patterns.len()
    );
    Ok(patterns)
}

/// Writes the page, in the place of one that was written before.
fn write_page(folder: &Path, settings: &PageSettings) -> anyhow::Result<Vec<WebContent>> {
    if let Some(reason) = Web::missing() {
        anyhow::bail!("the page is not built: {reason}");
    }
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be replaced", folder.display()));
        }
        _ => {}
    }
    let files = web::deployed_files(settings)?;
    let mut written = Vec::with_capacity(files.len());
    for file in files {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", file.path));
        write(&folder.join(parent), name, &file.content)?;
        written.push(WebContent {
            path: file.path,
            bytes: file.content.len(),
            sha256: sha256(&file.content),
            content_type: file.content_type,
            cache_control: file.cache_control,
        });
    }
    Ok(written)
}

/// Builds something and makes sure that Lambda can load it: its bytes, and the glibc that it needs.
fn built(artifact: &Artifact, architecture: Architecture) -> anyhow::Result<(Vec<u8>, String)> {
    let path = artifact.build(architecture)?;
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
    files: Vec<PackedFile>,
}

impl Packed {
    /// Writes the zip, and describes it.
    fn write(self, folder: &Path) -> anyhow::Result<Package> {
        let zip = archive::zip(&self.files)?;
        ensure!(
            zip.len() <= self.max_bytes,
            "{} has {} bytes, more than the {} that are allowed",
            self.file,
            zip.len(),
            self.max_bytes
        );
        write(folder, self.file, &zip)?;
        let sha256_of_zip = sha256(&zip);
        println!(
            "{}  {} bytes  sha256 {sha256_of_zip}",
            folder.join(self.file).display(),
            zip.len(),
        );
        let contents = self.files.iter().map(|file| Content {
            name: file.name,
            bytes: file.content.len(),
            sha256: sha256(&file.content),
        });
        Ok(Package {
            file: self.file,
            bytes: zip.len(),
            sha256: sha256_of_zip,
            source_code_hash: BASE64.encode(&Sha256::digest(&zip)),
            handler: self.handler,
            runtimes: self.runtimes.iter().map(|runtime| runtime.name).collect(),
            architecture: self.architecture,
            glibc: self.glibc,
            paths: self.paths,
            contents: contents.collect(),
        })
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
    packed.extend(serde_json::to_vec(&config.page())?);
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

/// The configuration with the issuers' keys in it.
fn config_json(config: &edge_auth::Config) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec(config)?)
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Writes a file as a whole: who reads meanwhile sees the old one.
fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", folder.join(name).display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    std::io::Write::write_all(&mut file, content).with_context(failed)?;
    // A temporary file is readable by its owner alone; a package is for others.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).with_context(failed)?;
    }
    file.persist(folder.join(name)).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use edge_auth::config::{Access, RequiredClaims, Rule};

    use super::*;

    fn config(paths: &[&str]) -> edge_auth::Config {
        let rule = |path: &&str| Rule {
            path: (*path).to_owned(),
            access: Access::Anyone,
            methods: Vec::new(),
            claims: RequiredClaims::new(),
        };
        edge_auth::Config {
            rules: paths.iter().map(rule).collect(),
            ..edge_auth::Config::default()
        }
    }

    #[test]
    fn rules_become_the_paths_of_behaviours() {
        let found = behaviours(&config(&[
            "/media/{owner}/**",
            "/media/shared/**",
            "/team/{claim:groups}/**",
            "/a/b-*/c",
            "/robots.txt",
            "/media/{owner}/x",
        ]));
        assert_eq!(
            found.unwrap(),
            [
                "/media/*",
                "/media/shared/*",
                "/team/*",
                "/a/*",
                "/robots.txt"
            ]
        );
        for path in ["/**", "/{owner}/**", "/", "/api/x", "/é/**"] {
            assert!(behaviours(&config(&[path])).is_err(), "{path}");
        }
        let many: Vec<_> = (0..=MAX_BEHAVIOURS).map(|n| format!("/{n}/**")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(behaviours(&config(&many)).is_err());
        assert!(behaviours(&config(&many[1..])).is_ok());
    }

    #[test]
    fn answers_that_cloudfront_would_not_take_are_known_before() {
        let mut config = config(&[]);
        config.login = Some("https://login.example.com/?return_to={url}".to_owned());
        assert!(check_responses(&config).is_ok());
        config.login = Some(format!("https://login.example.com/{}", "x".repeat(20_000)));
        assert!(check_responses(&config).is_err());
    }
}
