//! `manifest.json`: what a package holds, as Terraform and the next `gatepost package` read it.
//!
//! [`make`](super::make) fills it in. It never decides what is packed.

use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use signing_api::{DeliveryMode, UploadsThrough};

use super::build::Architecture;
use super::keys::PackedKeys;
use super::rotation::PackedSessionKey;
use super::sha256;
use crate::text_file;
use crate::web::WebFile;

/// `manifest.json`. The names of the fields are a contract.
#[derive(Serialize)]
pub(crate) struct Manifest {
    pub(super) version: u32,
    pub(super) gatepost: &'static str,
    /// SHA-256 of the configuration as it is packed, in hexadecimal.
    pub(super) config_sha256: String,
    pub(super) delivery: Delivery,
    /// The Lambda@Edge function; `null` in a mode without one.
    pub(super) edge_auth: Option<Package>,
    pub(super) signing_api: Package,
    pub(super) upload_processor: Package,
    /// The page, below `web/`.
    pub(super) web: Vec<WebContent>,
    /// The other origins that the page connects to: those of an identity provider.
    pub(super) web_connects_to: Vec<String>,
    /// The sites whose scripts may read allowed responses.
    pub(super) cors: Option<edge_auth::config::Cors>,
    /// The issuers' keys that are packed, by their address.
    pub(super) keys: Vec<PackedKeys>,
    /// The session keys, each with its fingerprint.
    pub(super) session_keys: Vec<PackedSessionKey>,
    /// The lifetime of sessions, in seconds.
    pub(super) session_lifetime: Option<u32>,
    pub(super) uploads: Uploads,
    /// The lifetime of a form, in seconds.
    pub(super) form_seconds: i64,
    /// The longest lifetime of a link, in seconds; `null` is the signer's default.
    pub(super) link_seconds: Option<i64>,
    /// The window within which every request gets the same link, in seconds.
    pub(super) link_window_seconds: i64,
    /// How long browsers may keep private media, in seconds.
    pub(super) browser_cache_seconds: u64,
}

impl Manifest {
    /// The functions' packages.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        let others = [&self.signing_api, &self.upload_processor];
        self.edge_auth.iter().chain(others)
    }

    /// The code of the CloudFront Function, if the mode has one.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.delivery.gate.as_ref()
    }
}

/// How viewers are authorized.
#[derive(Serialize)]
pub(super) struct Delivery {
    pub(super) mode: DeliveryMode,
    /// The path patterns of the behaviours that are guarded.
    pub(super) paths: Vec<String>,
    /// Those whose rules all allow anyone.
    pub(super) public_paths: Vec<String>,
    pub(super) gate: Option<Gate>,
}

/// How uploads arrive.
#[derive(Serialize)]
pub(super) struct Uploads {
    pub(super) through: UploadsThrough,
}

/// The code of the CloudFront Function, beside the zips.
#[derive(Serialize)]
pub(crate) struct Gate {
    pub(crate) file: &'static str,
    pub(crate) bytes: usize,
    pub(crate) sha256: String,
}

/// The parts of the replaced package's manifest that the next package needs.
#[derive(Deserialize)]
pub(super) struct Previous {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) keys: Vec<PackedKeys>,
    /// `None` if an older version wrote no session keys.
    pub(super) session_keys: Option<Vec<PackedSessionKey>>,
    pub(super) session_lifetime: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct WebContent {
    pub(super) path: &'static str,
    pub(super) bytes: usize,
    pub(super) sha256: String,
    pub(super) content_type: &'static str,
    pub(super) cache_control: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Package {
    pub(crate) file: &'static str,
    pub(crate) bytes: usize,
    pub(crate) sha256: String,
    /// The same in base64, as Lambda and Terraform compare it.
    pub(super) source_code_hash: String,
    pub(super) handler: &'static str,
    pub(super) runtimes: Vec<&'static str>,
    pub(super) architecture: Architecture,
    pub(super) glibc: String,
    pub(super) contents: Vec<Content>,
}

#[derive(Serialize)]
pub(super) struct Content {
    pub(super) name: &'static str,
    pub(super) bytes: usize,
    pub(super) sha256: String,
}

/// Describes a file of the page.
pub(super) fn describe(file: &WebFile) -> WebContent {
    WebContent {
        path: file.path,
        bytes: file.content.len(),
        sha256: sha256(&file.content),
        content_type: file.content_type,
        cache_control: file.cache_control,
    }
}

/// The manifest of the package that is replaced: the named one, otherwise the one in the output folder.
pub(super) fn read_previous(named: Option<&Path>, out: &Path) -> anyhow::Result<Option<Previous>> {
    let file = named.map_or_else(|| out.join("manifest.json"), Path::to_owned);
    if named.is_none() && !file.exists() {
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
