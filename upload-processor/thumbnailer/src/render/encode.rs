//! Encodes the renditions: WebP with libwebp, JPEG with `jpeg::encode`.
//!
//! `render` calls it for each size and format. The files carry no metadata: no location, no camera, no profile.

use webp_encoder::Options;

use crate::deadline::Checkpoint;
use crate::jpeg;
use crate::raster::YCbCr;
use crate::rejection::{Complexity, Rejection};
use crate::settings::OutputFormat;

use super::resize::ResizedPixels;

/// A finished image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenditionFile {
    /// `640.webp`
    pub file_name: String,
    /// `image/webp`
    pub content_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The file.
    pub data: Vec<u8>,
}

/// Encodes a picture in this format.
pub(super) fn encode(
    small: &ResizedPixels,
    format: OutputFormat,
    quality: u8,
    checkpoint: Checkpoint<'_>,
) -> Result<RenditionFile, Rejection> {
    let (width, height) = (small.width(), small.height());
    let data = match format {
        OutputFormat::WebP => encode_webp(small, quality, checkpoint)?,
        OutputFormat::Jpeg => match small {
            ResizedPixels::Pixels(pixels) => jpeg::encode(&YCbCr::of_pixels(pixels), quality),
            ResizedPixels::YCbCr(planes) => jpeg::encode(planes, quality),
        },
    };
    Ok(RenditionFile {
        file_name: format!("{width}.{}", format.extension()),
        content_type: format.content_type(),
        width,
        height,
        data,
    })
}

fn encode_webp(
    small: &ResizedPixels,
    quality: u8,
    checkpoint: Checkpoint<'_>,
) -> Result<Vec<u8>, Rejection> {
    let limited;
    let picture = match small {
        ResizedPixels::Pixels(pixels) if pixels.alpha => webp_encoder::Picture::Rgba(&pixels.data),
        ResizedPixels::Pixels(pixels) => webp_encoder::Picture::Rgb(&pixels.data),
        ResizedPixels::YCbCr(planes) => {
            limited = planes.with_limited_range();
            webp_encoder::Picture::Yuv(&limited.y, &limited.cb, &limited.cr)
        }
    };
    let options = Options {
        quality,
        method: if small.width() * small.height() > WEBP_FEW_PIXELS {
            WEBP_METHOD
        } else {
            WEBP_METHOD_OF_FEW
        },
        noise_shaping: WEBP_NOISE_SHAPING,
    };
    let (width, height) = (small.width(), small.height());
    let mut stopped = Ok(());
    let file = webp_encoder::encode(picture, (width, height), options, &mut || {
        stopped = checkpoint("encode");
        stopped.is_ok()
    });
    stopped?;
    // The sides fit and the buffers are right, so the only remaining cause is memory.
    file.map_err(|_| Rejection::TooComplex(Complexity::Encoding { width, height }))
}

/// libwebp's trade-off of time and size, 0 to 6. Its default, 4, takes twice the time for about 3 % of the bytes.
const WEBP_METHOD: u8 = 2;
/// Up to this many pixels encode quickly in any case, so they get libwebp's default.
const WEBP_FEW_PIXELS: u32 = 128 * 128;
const WEBP_METHOD_OF_FEW: u8 = 4;
/// With method 2, a value of 90 makes up for a part of that; see `docs/images.md`.
const WEBP_NOISE_SHAPING: u8 = 90;
