//! Makes the renditions and the placeholder of a decoded picture.
//!
//! Sizes are planned first, then made from large to small, each from the smallest picture at hand that is at
//! least twice as wide: a Lanczos filter over twice its pixels loses nothing that can be seen, while a smaller
//! step would soften what the step before has softened already. Those without such a picture come from the
//! source. Resizing is Lanczos3 over gamma-encoded values, as sharp and imgproxy do it, with premultiplied alpha.
//!
//! Output carries no metadata: no place, no camera, no profile. libwebp's encoder is C, and sees our pixels only.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::decode::{Decoded, Pixels, swaps_sides};
use crate::rejection::{Complexity, Rejection};
use crate::settings::{MAX_SIDE, OutputFormat, Settings};

/// All that is made of one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Largest first.
    pub renditions: Vec<Rendition>,
    /// The picture as a `ThumbHash`, some 25 bytes that browsers can show as a blur.
    pub placeholder: Vec<u8>,
}

/// A finished image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
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

/// Makes everything, without a deadline.
pub fn render(decoded: &Decoded, settings: &Settings) -> Result<Rendered, Rejection> {
    render_while(decoded, settings, |_| Ok(()))
}

/// Makes everything, asking `go_on` before each step.
pub(crate) fn render_while(
    decoded: &Decoded,
    settings: &Settings,
    mut go_on: impl FnMut(&'static str) -> Result<(), Rejection>,
) -> Result<Rendered, Rejection> {
    let mut resizer = Resizer::new();
    let mut made: Vec<Pixels> = Vec::new();
    let mut renditions = Vec::new();
    for size in plan(decoded.size(), &settings.widths) {
        go_on("resize")?;
        let pixels = match made
            .iter()
            .rev()
            .find(|earlier| earlier.width / 2 >= size.0)
        {
            Some(earlier) => resize(&mut resizer, earlier, size),
            None => resize_upright(&mut resizer, decoded, size),
        };
        for format in &settings.formats {
            go_on("encode")?;
            renditions.push(encode(&pixels, *format, settings.quality)?);
        }
        made.push(pixels);
    }
    go_on("placeholder")?;
    // `plan` gives one size at least.
    let placeholder = made
        .last()
        .map(|smallest| placeholder(&mut resizer, smallest))
        .unwrap_or_default();
    Ok(Rendered {
        renditions,
        placeholder,
    })
}

/// The sizes to make, largest first: every width up to the source's, or the source's own where all are larger.
///
/// A picture too tall for its format is made narrower than asked until it fits.
fn plan((width, height): (u32, u32), widths: &[u32]) -> Vec<(u32, u32)> {
    let mut widths: Vec<u32> = widths
        .iter()
        .copied()
        .filter(|wanted| *wanted <= width)
        .collect();
    if widths.is_empty() {
        widths.push(width);
    }
    widths.sort_unstable_by(|a, b| b.cmp(a));
    let mut sizes: Vec<_> = widths
        .into_iter()
        .map(|wanted| {
            let wanted = wanted.min(MAX_SIDE);
            let fitting = scale(height, wanted, width);
            if fitting <= MAX_SIDE {
                (wanted, fitting)
            } else {
                (scale(width, MAX_SIDE, height), MAX_SIDE)
            }
        })
        .collect();
    sizes.dedup();
    sizes
}

/// `side × to / from`, rounded, at least 1. Saturates, though no side that a decoder gives reaches that.
fn scale(side: u32, to: u32, from: u32) -> u32 {
    let (side, to, from) = (u64::from(side), u64::from(to), u64::from(from));
    u32::try_from((side * to + from / 2) / from)
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Resizes the source and turns the result: few pixels turn faster than many.
fn resize_upright(resizer: &mut Resizer, decoded: &Decoded, (width, height): (u32, u32)) -> Pixels {
    let stored = if swaps_sides(decoded.orientation) {
        (height, width)
    } else {
        (width, height)
    };
    let pixels = resize(resizer, &decoded.pixels, stored);
    if decoded.orientation == Orientation::NoTransforms {
        pixels
    } else {
        turn(pixels, decoded.orientation)
    }
}

fn resize(resizer: &mut Resizer, from: &Pixels, (width, height): (u32, u32)) -> Pixels {
    if (from.width, from.height) == (width, height) {
        return from.clone();
    }
    let pixel_type = if from.alpha {
        PixelType::U8x4
    } else {
        PixelType::U8x3
    };
    let mut to = Image::new(width, height, pixel_type);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(true);
    // Neither fails for a buffer of the size that `Pixels` promises and two images of one type; were one to, the
    // panic would be caught like a decoder's.
    #[allow(clippy::expect_used)]
    {
        let view = ImageRef::new(from.width, from.height, &from.data, pixel_type)
            .expect("rows without gaps");
        resizer
            .resize(&view, &mut to, &options)
            .expect("two images of one pixel type");
    }
    Pixels {
        width,
        height,
        alpha: from.alpha,
        data: to.into_vec(),
    }
}

/// Applies an EXIF orientation.
fn turn(pixels: Pixels, orientation: Orientation) -> Pixels {
    let Pixels {
        width,
        height,
        alpha,
        data,
    } = pixels;
    // Each constructor takes a buffer of the size that `Pixels` promises.
    let image = if alpha {
        RgbaImage::from_raw(width, height, data).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8)
    };
    let mut image = image.unwrap_or_default();
    image.apply_orientation(orientation);
    Pixels {
        width: image.width(),
        height: image.height(),
        alpha,
        data: image.into_bytes(),
    }
}

fn encode(pixels: &Pixels, format: OutputFormat, quality: u8) -> Result<Rendition, Rejection> {
    let Pixels { width, height, .. } = *pixels;
    let data = match format {
        OutputFormat::WebP => encode_webp(pixels, quality),
    };
    Ok(Rendition {
        file_name: format!("{width}.{}", format.extension()),
        content_type: format.content_type(),
        width,
        height,
        // The sides fit and the buffer is right, so what is left is memory.
        data: data.ok_or(Rejection::TooComplex(Complexity::Encoding {
            width,
            height,
        }))?,
    })
}

/// Lossy WebP at method 4, sharp's and libwebp's default balance of time and size.
fn encode_webp(pixels: &Pixels, quality: u8) -> Option<Vec<u8>> {
    let mut config = webp::WebPConfig::new().ok()?;
    config.quality = f32::from(quality);
    config.method = 4;
    let layout = if pixels.alpha {
        webp::PixelLayout::Rgba
    } else {
        webp::PixelLayout::Rgb
    };
    let encoder = webp::Encoder::new(&pixels.data, layout, pixels.width, pixels.height);
    encoder
        .encode_advanced(&config)
        .ok()
        .map(|file| file.to_vec())
}

/// The `ThumbHash` of the picture at 100 pixels.
fn placeholder(resizer: &mut Resizer, pixels: &Pixels) -> Vec<u8> {
    let longest = pixels.width.max(pixels.height);
    let small = if longest > PLACEHOLDER_SIDE {
        let size = (
            scale(pixels.width, PLACEHOLDER_SIDE, longest),
            scale(pixels.height, PLACEHOLDER_SIDE, longest),
        );
        &resize(resizer, pixels, size)
    } else {
        pixels
    };
    let rgba = if small.alpha {
        small.data.clone()
    } else {
        small
            .data
            .as_chunks()
            .0
            .iter()
            .flat_map(|[r, g, b]| [*r, *g, *b, u8::MAX])
            .collect()
    };
    thumbhash::rgba_to_thumb_hash(small.width as usize, small.height as usize, &rgba)
}

/// The largest side that `ThumbHash` takes.
const PLACEHOLDER_SIDE: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_planned() {
        for (source, widths, expected) in [
            (
                (4032, 3024),
                &[320, 640, 1280, 1920][..],
                &[(1920, 1440), (1280, 960), (640, 480), (320, 240)][..],
            ),
            // Between two widths: nothing larger than the source.
            ((1000, 500), &[320, 640, 1280], &[(640, 320), (320, 160)]),
            // Exactly a width.
            ((640, 480), &[640, 320], &[(640, 480), (320, 240)]),
            // Narrower than all: its own.
            ((200, 100), &[320, 640], &[(200, 100)]),
            ((1, 1), &[320], &[(1, 1)]),
            // A line stays a line.
            ((4000, 1), &[320], &[(320, 1)]),
            // Too tall for WebP: narrower, and both widths meet.
            ((640, 64_000), &[640, 320], &[(164, 16_383)]),
            ((1, 50_000), &[320], &[(1, 16_383)]),
            ((60_000, 2), &[100_000], &[(16_383, 1)]),
        ] {
            assert_eq!(plan(source, widths), expected, "{source:?} {widths:?}");
        }
    }
}
