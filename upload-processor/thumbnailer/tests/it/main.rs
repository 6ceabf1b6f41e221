//! Tests of the public interface: bytes in, renditions or a rejection out.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "test pictures are computed with small numbers, and a test may panic"
)]

mod animated;
mod cmyk;
mod colour;
mod container;
mod damage;
mod formats;
mod golden;
mod high_range;
mod hostile;
mod jpegs;
mod lenient;
#[cfg(target_os = "linux")]
mod memory;
mod orientation;
mod png_colour;
mod renditions;
mod samples;
mod siting;
