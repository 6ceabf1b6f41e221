//! Makes the renditions and the placeholder of a decoded picture.
//!
//! Sizes are planned first, then made from large to small. Each is made from the smallest existing picture that is at
//! least twice as wide. A Lanczos filter over twice the pixels loses nothing visible, while a smaller step would soften
//! the picture a second time. Sizes without such a picture are made from the source. Resizing is Lanczos3 over
//! gamma-encoded values with premultiplied alpha, as in sharp and imgproxy.
//!
//! A JPEG's planes stay planes: luma and chroma are resized as they are (across by the decoder, down here) and encoded
//! as they are, because WebP and JPEG have the same planes. Nothing is converted to RGB and back, and half of the
//! samples are never touched. RGB is made from the small planes only if a colour profile requires it, or for WebP with
//! balanced effort.
//!
//! The output carries no metadata: no location, no camera, no profile.

mod convert;
mod encode;
mod orient;
mod placeholder;
mod resize;

use crate::deadline::Checkpoint;
use crate::decode::Decoded;
use crate::plan::{earlier, plan};
use crate::rejection::Rejection;
use crate::settings::Settings;

pub use self::encode::RenditionFile;

use self::encode::encode;
use self::placeholder::placeholder;
use self::resize::{ResizedPixels, Scaler};

/// Everything that is made from one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Largest first.
    pub renditions: Vec<RenditionFile>,
    /// The picture as a `ThumbHash`, about 25 bytes that browsers can show as a blur.
    pub placeholder: Vec<u8>,
}

/// Makes everything, without a deadline.
pub fn render(decoded: Decoded, settings: &Settings) -> Result<Rendered, Rejection> {
    render_while(decoded, settings, &mut |_| Ok(()))
}

/// Makes everything, calling `checkpoint` from time to time.
pub(crate) fn render_while(
    mut decoded: Decoded,
    settings: &Settings,
    checkpoint: Checkpoint<'_>,
) -> Result<Rendered, Rejection> {
    let sizes = plan(decoded.size(), &settings.widths);
    let made = resize_all(&mut decoded, &sizes, checkpoint)?;
    // Encoding needs the memory.
    drop(decoded);
    let mut renditions = Vec::new();
    for small in &made {
        for format in &settings.formats {
            checkpoint("encode")?;
            renditions.push(encode(small, *format, settings.quality, checkpoint)?);
        }
    }
    checkpoint("placeholder")?;
    // `plan` returns at least one size.
    let placeholder = made.last().map(placeholder).unwrap_or_default();
    Ok(Rendered {
        renditions,
        placeholder,
    })
}

/// Makes a picture of each size.
fn resize_all(
    decoded: &mut Decoded,
    sizes: &[(u32, u32)],
    checkpoint: Checkpoint<'_>,
) -> Result<Vec<ResizedPixels>, Rejection> {
    let mut scaler = Scaler::new();
    let mut made: Vec<ResizedPixels> = Vec::new();
    for (idx, size) in sizes.iter().enumerate() {
        checkpoint("resize")?;
        let small = match earlier(&sizes[..idx], *size) {
            Some(earlier) => scaler.resize(&made[earlier], *size),
            None => scaler.resize_source(decoded, *size),
        };
        made.push(small);
    }
    Ok(made)
}
