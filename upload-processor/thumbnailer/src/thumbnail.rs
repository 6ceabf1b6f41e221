//! The whole pipeline of one image: bytes in, renditions or a [`Rejection`] out.
//!
//! The handler calls this for each upload, and `gatepost thumbnail` for each file. It uses no store, and no clock
//! except the processor time of its thread. It is the panic boundary. Decoders of untrusted bytes may panic ("many
//! decoders will panic on malicious input", `image`'s own changelog); here that fails the upload, not the process.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::decode::decode_while;
use crate::inspect::{Declared, inspect};
use crate::rejection::Rejection;
use crate::render::{RenditionFile, render_while};
use crate::settings::{ImageType, Settings};

/// The maximum processor time for one image. The queue's visibility timeout is far longer.
///
/// A wall-clock limit would refuse good pictures on a busy machine, or when a Lambda is frozen between two events. All
/// work is done on the caller's thread, so that thread's clock counts all of it.
pub const TIME_PER_IMAGE: Duration = Duration::from_secs(30);

/// Everything that the manifest says about a picture, and the files themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnailed {
    /// The upload.
    pub source: Source,
    /// Largest first.
    pub renditions: Vec<RenditionFile>,
    /// The `ThumbHash`.
    pub placeholder: Vec<u8>,
}

/// The description of the upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Type of the bytes.
    pub image_type: ImageType,
    /// Width after orientation.
    pub width: u32,
    /// Height after orientation.
    pub height: u32,
    /// Size of the upload.
    pub bytes: u64,
    /// SHA-256 of the upload.
    pub sha256: [u8; 32],
}

/// Validates `bytes` and makes their renditions within the processor time `time`, if there is a limit.
///
/// The clock is checked before each step (inspect, decode, each resize, each encode), before each row of a JPEG's
/// blocks and each piece of a PNG's data, and during WebP encoding. The pixel budget bounds the work between two
/// checks.
pub fn thumbnail(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    time: Option<Duration>,
) -> Result<Thumbnailed, Rejection> {
    let deadline = time.map(Deadline::after);
    catch_panic(bytes.len(), || {
        if let Some(deadline) = &deadline {
            deadline.check("inspect")?;
        }
        steps(bytes, declared, settings, |_| Ok(deadline))
    })
}

/// The same, with admission control between inspection and decoding. `admit` receives the memory that the rest will
/// take, and may reject. Its answer is held until the work is done. The time limit starts after it.
pub fn thumbnail_once_admitted<T>(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    time: Duration,
    admit: impl FnOnce(u64) -> Result<T, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    let mut held = None;
    let result = catch_panic(bytes.len(), || {
        steps(bytes, declared, settings, |memory| {
            held = Some(admit(memory)?);
            Ok(Some(Deadline::after(time)))
        })
    });
    drop(held);
    result
}

fn steps(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    admit: impl FnOnce(u64) -> Result<Option<Deadline>, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    let inspected = inspect(bytes, declared, settings)?;
    let deadline = admit(inspected.memory())?;
    let mut checkpoint = |step| {
        deadline
            .as_ref()
            .map_or(Ok(()), |deadline| deadline.check(step))
    };
    checkpoint("decode")?;
    let decoded = decode_while(&inspected, settings, &mut checkpoint)?;
    let (width, height) = decoded.size();
    let rendered = render_while(decoded, settings, &mut checkpoint)?;
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
fn catch_panic(
    n_bytes: usize,
    steps: impl FnOnce() -> Result<Thumbnailed, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    // Only the result outlives the closure: a panic cannot leave any state half changed.
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
