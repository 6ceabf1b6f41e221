//! The whole way of one image: bytes in, renditions or a [`Rejection`] out.
//!
//! The handler calls this for each upload, `gatepost thumbnail` for each file. It knows no store and no clock but
//! the deadline it is given. It is the panic boundary: decoders of untrusted bytes may panic ("many decoders will
//! panic on malicious input", `image`'s own changelog), which here costs the upload, not the process.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use crate::decode::decode_while;
use crate::inspect::{Declared, inspect};
use crate::rejection::Rejection;
use crate::render::{Rendition, render_while};
use crate::settings::{ImageType, Settings};

/// How long one image may take. The queue's visibility timeout is far longer.
pub const TIME_PER_IMAGE: Duration = Duration::from_secs(30);

/// All that the manifest says about a picture, and the files themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnailed {
    /// The upload.
    pub source: Source,
    /// Largest first.
    pub renditions: Vec<Rendition>,
    /// The `ThumbHash`.
    pub placeholder: Vec<u8>,
}

/// What the upload was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Type of the bytes.
    pub image_type: ImageType,
    /// Width as seen, after orientation.
    pub width: u32,
    /// Height as seen, after orientation.
    pub height: u32,
    /// Size of the upload.
    pub bytes: u64,
    /// SHA-256 of the upload.
    pub sha256: [u8; 32],
}

/// Validates `bytes` and makes their renditions.
///
/// The deadline is looked at before each step (inspect, decode, each resize, each encode), before each row of a JPEG's
/// blocks, and while WebP is encoded; what lies between is bounded by the pixel budget.
pub fn thumbnail(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    deadline: Option<Instant>,
) -> Result<Thumbnailed, Rejection> {
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return Err(Rejection::Timeout("inspect"));
    }
    caught(bytes.len(), || {
        steps(bytes, declared, settings, |_| Ok(deadline))
    })
}

/// The same, with a while between inspection and decoding: `admit` is told how much memory the rest will take, and what
/// it answers with is held until that is done, unless it rejects. The time runs from then on.
pub fn thumbnail_once_admitted<T>(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    time: Duration,
    admit: impl FnOnce(u64) -> Result<T, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    let mut held = None;
    let result = caught(bytes.len(), || {
        steps(bytes, declared, settings, |memory| {
            held = Some(admit(memory)?);
            Ok(Some(Instant::now() + time))
        })
    });
    drop(held);
    result
}

fn steps(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    admit: impl FnOnce(u64) -> Result<Option<Instant>, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    let inspected = inspect(bytes, declared, settings)?;
    let deadline = admit(inspected.memory())?;
    let mut go_on = |step| match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(Rejection::Timeout(step)),
        _ => Ok(()),
    };
    go_on("decode")?;
    let decoded = decode_while(&inspected, &mut go_on)?;
    let (width, height) = decoded.size();
    let rendered = render_while(decoded, settings, &mut go_on)?;
    Ok(Thumbnailed {
        source: Source {
            image_type: inspected.image_type(),
            width,
            height,
            bytes: inspected.bytes(),
            sha256: inspected.sha256(),
        },
        renditions: rendered.renditions,
        placeholder: rendered.placeholder,
    })
}

/// The panic boundary.
fn caught(
    n_bytes: usize,
    steps: impl FnOnce() -> Result<Thumbnailed, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    // Nothing outlives the closure but its result: there is no state that a panic could leave half changed.
    panic::catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|payload| {
        let reason = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        tracing::error!(reason, bytes = n_bytes, "a decoder panicked");
        Err(Rejection::corrupt(format!("a decoder panicked: {reason}")))
    })
}
