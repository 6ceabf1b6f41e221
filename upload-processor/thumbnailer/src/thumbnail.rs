//! The whole way of one image: bytes in, renditions or a [`Rejection`] out.
//!
//! The handler calls this for each upload, `gatepost thumbnail` for each file. It knows no store, and no clock but the
//! processor time of its thread. It is the panic boundary: decoders of untrusted bytes may panic ("many decoders will
//! panic on malicious input", `image`'s own changelog), which here costs the upload, not the process.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::decode::decode_while;
use crate::inspect::{Declared, inspect};
use crate::rejection::Rejection;
use crate::render::{Rendition, render_while};
use crate::settings::{ImageType, Settings};

/// How much processor time one image may take. The queue's visibility timeout is far longer.
///
/// Wall-clock time would refuse good pictures on a busy machine, or when a Lambda is frozen between two events. All work is
/// done on the caller's thread, so that thread's clock counts all of it.
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

/// Validates `bytes` and makes their renditions, in no more processor time than `time`, if there is a limit.
///
/// The clock is looked at before each step (inspect, decode, each resize, each encode), before each row of a JPEG's
/// blocks and each piece of a PNG's data, and while WebP is encoded. The pixel budget bounds the work between two looks.
pub fn thumbnail(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    time: Option<Duration>,
) -> Result<Thumbnailed, Rejection> {
    let limit = time.map(Limit::from_now);
    caught(bytes.len(), || {
        if let Some(limit) = &limit {
            limit.check("inspect")?;
        }
        steps(bytes, declared, settings, |_| Ok(limit))
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
            Ok(Some(Limit::from_now(time)))
        })
    });
    drop(held);
    result
}

fn steps(
    bytes: &[u8],
    declared: &Declared,
    settings: &Settings,
    admit: impl FnOnce(u64) -> Result<Option<Limit>, Rejection>,
) -> Result<Thumbnailed, Rejection> {
    let inspected = inspect(bytes, declared, settings)?;
    let limit = admit(inspected.memory())?;
    let mut go_on = |step| limit.as_ref().map_or(Ok(()), |limit| limit.check(step));
    go_on("decode")?;
    let decoded = decode_while(&inspected, settings, &mut go_on)?;
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

/// A deadline on the thread's own clock.
struct Limit {
    end: Duration,
}

impl Limit {
    fn from_now(time: Duration) -> Self {
        Self {
            end: processor_time().saturating_add(time),
        }
    }

    fn check(&self, step: &'static str) -> Result<(), Rejection> {
        if processor_time() >= self.end {
            return Err(Rejection::Timeout(step));
        }
        Ok(())
    }
}

/// The processor time of this thread so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_work_does_not_count_and_work_does() {
        let limit = Limit::from_now(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(limit.check("decode"), Ok(()));
        // The test ends, for work makes the clock go on.
        while limit.check("decode").is_ok() {
            std::hint::black_box(processor_time());
        }
        assert_eq!(limit.check("decode"), Err(Rejection::Timeout("decode")));
    }
}
