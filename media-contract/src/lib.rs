//! The contract between the API, the upload processor and the command line: upload ids, object keys and the manifest.
//!
//! This crate performs no I/O and reads no clock. `media-store` reads and writes what is described here.

pub mod manifest;
pub mod object_path;
pub mod size;
pub mod upload_id;
pub mod upload_key;

use jiff::SignedDuration;

pub use manifest::{Manifest, Reason, Rendition, Source, Status};
pub use object_path::{MEDIA_PATH, ORIGIN_PATH, object_key, object_path};
pub use upload_id::UploadId;
pub use upload_key::UploadKey;

/// How long after its arrival an upload without a manifest counts as failed: longer than its queue retries it. The API
/// answers `failed` from then on, and a sweep announces the upload again. A worker that is killed on every attempt
/// writes no manifest.
pub const MAX_PROCESSING: SignedDuration = SignedDuration::from_hours(1);
/// `Cache-Control` that a rendition is stored with: its name is derived from its content, so the content never changes.
/// Browsers see it only where a rule lets anyone read: a browser that keeps a private picture shows it to the next person.
pub const IMMUTABLE: &str = "private, max-age=31536000, immutable";
/// `Cache-Control` of a manifest: clients request it before it exists, and it may become a tombstone.
pub const REVALIDATED: &str = "private, no-cache";
