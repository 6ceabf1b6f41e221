//! One function's package: its program, checked against what Lambda can load, and its zip.
//!
//! [`make`](super::make) calls it for each function, `gatepost replay` for the files of the edge. It never writes to
//! the output folder.

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use super::build::{Architecture, Artifact};
use super::manifest::{Content, Package};
use super::runtime::{PROVIDED, Runtime};
use super::{INDEX, PackedFile, archive, glibc, sha256};
use crate::terminal::progress::Progress;

/// Lambda@Edge's former limit for a viewer-request function; some accounts and tools still have it.
pub(super) const MAX_EDGE_BYTES: usize = 1_500_000;
/// Our own limit for the processor: Lambda unpacks it before the first event.
pub(super) const MAX_PROCESSOR_BYTES: usize = 8_000_000;
/// Our own limit for the signing API, for the same reason.
pub(super) const MAX_API_BYTES: usize = 8_000_000;
/// The glibc of Amazon Linux 2023, on which Lambda runs Node.js and `provided.al2023`.
const NEWEST_GLIBC: (u16, u16) = (2, 34);

/// A function's package, before it is written.
pub(super) struct Function {
    pub(super) file: &'static str,
    pub(super) max_bytes: usize,
    pub(super) handler: &'static str,
    pub(super) runtimes: &'static [Runtime],
    pub(super) architecture: Architecture,
    pub(super) glibc: String,
    pub(super) files: Vec<PackedFile>,
}

impl Function {
    /// Makes the zip and its description.
    pub(super) fn pack(self) -> anyhow::Result<(Package, Vec<u8>)> {
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
            contents: contents.collect(),
        };
        Ok((package, zip))
    }
}

/// A function in Rust, for an architecture and a glibc.
pub(super) fn program(
    file: &'static str,
    max_bytes: usize,
    (architecture, glibc): (Architecture, String),
    files: Vec<PackedFile>,
) -> Function {
    Function {
        file,
        max_bytes,
        handler: "bootstrap",
        runtimes: &PROVIDED,
        architecture,
        glibc,
        files,
    }
}

/// The files of a function in Rust: the program, under the name that Lambda starts, and its settings.
pub(super) fn program_files(program: Vec<u8>, settings: Vec<u8>) -> Vec<PackedFile> {
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

/// Builds a program and checks that Lambda can load it; returns its bytes and the glibc that it needs.
pub(super) fn built(
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

/// The files of the Lambda@Edge runtime, in the order in which they are packed.
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

/// The configuration with the issuers' keys and without private keys: the edge only verifies.
pub(super) fn config_json(config: &edge_auth::Config) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&config.clone().for_verifiers())?)
}
