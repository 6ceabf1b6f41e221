//! Makes the renditions and the placeholder of a decoded picture.
//!
//! Sizes are planned first, then made from large to small, each from the smallest picture at hand that is at
//! least twice as wide: a Lanczos filter over twice its pixels loses nothing that can be seen, while a smaller
//! step would soften what the step before has softened already. Those without such a picture come from the
//! source. Resizing is Lanczos3 over gamma-encoded values, as sharp and imgproxy do it, with premultiplied alpha.
//!
//! A JPEG's planes stay planes: brightness and colour are resized as they are and encoded as they are, for WebP and
//! JPEG have the same planes. Nothing is converted to RGB and back, and half of the samples are not touched at
//! all. Where a colour profile says that RGB is needed, it is made of the small planes.
//!
//! Output carries no metadata: no place, no camera, no profile.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use webp_encoder::Options;

use crate::colour::{Space, ToSrgb};
use crate::decode::{Decoded, Picture, Pixels, swaps_sides};
use crate::jpeg::{self, Coding, GoOn, Plane, Planes};
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

/// Brightness at full size, colour at half, rounded up; full range, the matrix of BT.601.
#[derive(Clone, Debug)]
pub(crate) struct YCbCr {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) y: Vec<u8>,
    pub(crate) cb: Vec<u8>,
    pub(crate) cr: Vec<u8>,
}

/// A picture of a rendition's size, upright and in sRGB.
enum Small {
    Pixels(Pixels),
    YCbCr(YCbCr),
}

/// Makes everything, without a deadline.
pub fn render(decoded: Decoded, settings: &Settings) -> Result<Rendered, Rejection> {
    render_while(decoded, settings, &mut |_| Ok(()))
}

/// Makes everything, asking `go_on` now and then.
pub(crate) fn render_while(
    decoded: Decoded,
    settings: &Settings,
    go_on: GoOn<'_>,
) -> Result<Rendered, Rejection> {
    let sizes = plan(decoded.size(), &settings.widths);
    let made = resize_all(&decoded, &sizes, go_on)?;
    // Encoding needs the room.
    drop(decoded);
    let mut renditions = Vec::new();
    for small in &made {
        for format in &settings.formats {
            go_on("encode")?;
            renditions.push(encode(small, *format, settings.quality, go_on)?);
        }
    }
    go_on("placeholder")?;
    // `plan` gives one size at least.
    let placeholder = made.last().map(placeholder).unwrap_or_default();
    Ok(Rendered {
        renditions,
        placeholder,
    })
}

/// Makes a picture of each size.
fn resize_all(
    decoded: &Decoded,
    sizes: &[(u32, u32)],
    go_on: GoOn<'_>,
) -> Result<Vec<Small>, Rejection> {
    let mut scaler = Scaler::new();
    let to_srgb = decoded
        .colours
        .as_ref()
        .and_then(|colours| ToSrgb::new(colours, decoded.space()));
    let mut made: Vec<Small> = Vec::new();
    for size in sizes {
        go_on("resize")?;
        let earlier = made.iter().rev().find(|made| made.width() / 2 >= size.0);
        made.push(match earlier {
            Some(earlier) => scaler.resize(earlier, *size),
            None => scaler.resize_source(decoded, to_srgb.as_ref(), *size),
        });
    }
    Ok(made)
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

impl Decoded {
    /// What its samples are.
    fn space(&self) -> Space {
        match &self.picture {
            Picture::Pixels(pixels) if pixels.grey => Space::Grey,
            Picture::Pixels(_) => Space::Rgb,
            Picture::Planes(planes) => match planes.coding {
                Coding::Grey => Space::Grey,
                Coding::YCbCr | Coding::Rgb => Space::Rgb,
                Coding::Cmyk { .. } | Coding::Ycck { .. } => Space::Cmyk,
            },
        }
    }
}

impl Small {
    fn width(&self) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels.width,
            Self::YCbCr(planes) => planes.width,
        }
    }

    fn height(&self) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels.height,
            Self::YCbCr(planes) => planes.height,
        }
    }
}

/// Resizes, and keeps what can be used again.
struct Scaler(Resizer);

impl Scaler {
    fn new() -> Self {
        Self(Resizer::new())
    }

    fn resize(&mut self, from: &Small, size: (u32, u32)) -> Small {
        match from {
            Small::Pixels(pixels) => Small::Pixels(self.resize_pixels(pixels, size)),
            Small::YCbCr(from) => {
                let chroma = from.chroma_size();
                let half = halved(size);
                let luma = (from.width, from.height);
                Small::YCbCr(YCbCr {
                    width: size.0,
                    height: size.1,
                    y: self.run(&from.y, luma, None, size, PixelType::U8),
                    cb: self.run(&from.cb, chroma, None, half, PixelType::U8),
                    cr: self.run(&from.cr, chroma, None, half, PixelType::U8),
                })
            }
        }
    }

    /// Resizes the source, turns the result and converts its colours: few pixels take less time than many.
    fn resize_source(
        &mut self,
        decoded: &Decoded,
        to_srgb: Option<&ToSrgb>,
        (width, height): (u32, u32),
    ) -> Small {
        let size = if swaps_sides(decoded.orientation) {
            (height, width)
        } else {
            (width, height)
        };
        let planes = match &decoded.picture {
            Picture::Pixels(pixels) => {
                let mut pixels = self.resize_pixels(pixels, size);
                if let Some(to_srgb) = to_srgb {
                    to_srgb.convert(&mut pixels);
                }
                return Small::Pixels(turn_pixels(pixels, decoded.orientation));
            }
            Picture::Planes(planes) => planes,
        };
        if let (Coding::YCbCr | Coding::Grey, [luma, chroma @ ..], None) =
            (planes.coding, &planes.planes[..], to_srgb)
        {
            let half = halved(size);
            let mut colour = |idx: usize| match chroma.get(idx) {
                Some(plane) => turn(self.resize_plane(plane, half), half, decoded.orientation),
                None => vec![128; half.0 as usize * half.1 as usize],
            };
            let (cb, cr) = (colour(0), colour(1));
            return Small::YCbCr(YCbCr {
                width,
                height,
                y: turn(self.resize_plane(luma, size), size, decoded.orientation),
                cb,
                cr,
            });
        }
        let mut pixels = self.resize_to_rgb(planes, size, to_srgb);
        if let (Some(to_srgb), Coding::YCbCr | Coding::Rgb) = (to_srgb, planes.coding) {
            to_srgb.convert(&mut pixels);
        }
        Small::Pixels(turn_pixels(pixels, decoded.orientation))
    }

    /// Resizes each plane to the same size, and makes RGB of them; of ink and of grey by the profile, if there is one.
    fn resize_to_rgb(
        &mut self,
        planes: &Planes,
        (width, height): (u32, u32),
        to_srgb: Option<&ToSrgb>,
    ) -> Pixels {
        let samples: Vec<Vec<u8>> = planes
            .planes
            .iter()
            .map(|plane| self.resize_plane(plane, (width, height)))
            .collect();
        let data = match (planes.coding, &samples[..]) {
            (Coding::YCbCr, [y, cb, cr]) => interleave([y, cb, cr], rgb_of_ycbcr),
            (Coding::Rgb, [r, g, b]) => interleave([r, g, b], |rgb| rgb),
            (Coding::Cmyk { inverted }, [c, m, y, k]) => {
                let ink = |value: u8| if inverted { 255 - value } else { value };
                rgb_of_ink(&interleave([c, m, y, k], |cmyk| cmyk.map(ink)), to_srgb)
            }
            (Coding::Ycck { inverted }, [luma, cb, cr, black]) => {
                let ink = |value: u8| if inverted { 255 - value } else { value };
                let cmyk = interleave([luma, cb, cr, black], |[luma, cb, cr, black]| {
                    // The first three are CMY in JPEG's YCC, turned round as RGB would be.
                    let [red, green, blue] = rgb_of_ycbcr([luma, cb, cr]);
                    [255 - red, 255 - green, 255 - blue, black].map(ink)
                });
                rgb_of_ink(&cmyk, to_srgb)
            }
            // Grey, of one plane.
            (_, [grey, ..]) => to_srgb
                .and_then(|to_srgb| to_srgb.run(grey))
                .unwrap_or_else(|| interleave([grey], |[grey]| [grey; 3])),
            (_, []) => Vec::new(),
        };
        Pixels {
            width,
            height,
            alpha: false,
            grey: planes.coding == Coding::Grey,
            data,
        }
    }

    fn resize_plane(&mut self, plane: &Plane, size: (u32, u32)) -> Vec<u8> {
        let from = (plane.stride, plane.rows);
        self.run(
            &plane.samples,
            from,
            Some(plane.extent),
            size,
            PixelType::U8,
        )
    }

    fn resize_pixels(&mut self, from: &Pixels, size: (u32, u32)) -> Pixels {
        let pixel_type = if from.alpha {
            PixelType::U8x4
        } else {
            PixelType::U8x3
        };
        Pixels {
            width: size.0,
            height: size.1,
            alpha: from.alpha,
            grey: from.grey,
            data: self.run(
                &from.data,
                (from.width, from.height),
                None,
                size,
                pixel_type,
            ),
        }
    }

    /// Resizes rows without gaps, or what of them the extent covers from the top left.
    fn run(
        &mut self,
        from: &[u8],
        (from_width, from_height): (u32, u32),
        extent: Option<(f64, f64)>,
        (width, height): (u32, u32),
        pixel_type: PixelType,
    ) -> Vec<u8> {
        let mut options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .use_alpha(true);
        if let Some((across, down)) = extent {
            options = options.crop(0.0, 0.0, across, down);
        } else if (from_width, from_height) == (width, height) {
            return from.to_vec();
        }
        let mut to = Image::new(width, height, pixel_type);
        // Neither fails for a buffer of the size that its owner promises, an extent within it, and two images of one
        // type; were one to, the panic would be caught like a decoder's.
        #[allow(clippy::expect_used)]
        {
            let view = ImageRef::new(from_width, from_height, from, pixel_type)
                .expect("rows without gaps");
            self.0
                .resize(&view, &mut to, &options)
                .expect("two images of one pixel type");
        }
        to.into_vec()
    }
}

impl YCbCr {
    /// The size of its colour planes.
    pub(crate) fn chroma_size(&self) -> (u32, u32) {
        halved((self.width, self.height))
    }

    /// The same in the range of television, which is VP8's (RFC 6386 §9.2).
    fn with_limited_range(&self) -> Self {
        let luma = std::array::from_fn(|value| 16 + (value * 219 + 127) / 255);
        // 128 stays, and what lies on either side is rounded alike.
        let chroma = std::array::from_fn(|value| (256 * 255 + 448 * value - 448 * 128 + 255) / 510);
        // At most 240.
        #[allow(clippy::cast_possible_truncation)]
        let through = |table: &[usize; 256], plane: &[u8]| {
            let table = table.map(|value| value as u8);
            plane
                .iter()
                .map(|value| table[usize::from(*value)])
                .collect()
        };
        Self {
            width: self.width,
            height: self.height,
            y: through(&luma, &self.y),
            cb: through(&chroma, &self.cb),
            cr: through(&chroma, &self.cr),
        }
    }

    /// Of pixels, over white where they are transparent.
    fn of_pixels(pixels: &Pixels) -> Self {
        let channels = if pixels.alpha { 4 } else { 3 };
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let (across, down) = halved((pixels.width, pixels.height));
        let mut y = Vec::with_capacity(width * height);
        // Sums of the up to four pixels that share a colour, and how many they are.
        let mut sums = vec![([0_u32; 2], 0_u32); across as usize * down as usize];
        for (row, line) in pixels.data.chunks_exact(channels * width).enumerate() {
            for (column, pixel) in line.chunks_exact(channels).enumerate() {
                let opaque = pixel.get(3).copied().map_or(255, u32::from);
                let over_white =
                    |value: u8| (u32::from(value) * opaque + 255 * (255 - opaque) + 127) / 255;
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(over_white);
                // BT.601 in 16 bits behind the point; colour is 128 more than it is.
                let luma = (19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16;
                let cb = (8_388_608 + 32_768 * b - 11_059 * r - 21_709 * g) >> 8;
                let cr = (8_388_608 + 32_768 * r - 27_439 * g - 5_329 * b) >> 8;
                y.push(luma.min(255) as u8);
                let (sum, count) = &mut sums[row / 2 * across as usize + column / 2];
                sum[0] += cb;
                sum[1] += cr;
                *count += 1;
            }
        }
        let mean = |idx: usize| {
            sums.iter()
                .map(|(sum, count)| {
                    ((sum[idx] + 128 * count) / (256 * (*count).max(1))).min(255) as u8
                })
                .collect()
        };
        Self {
            width: pixels.width,
            height: pixels.height,
            y,
            cb: mean(0),
            cr: mean(1),
        }
    }
}

/// Half a size, rounded up.
fn halved((width, height): (u32, u32)) -> (u32, u32) {
    (width.div_ceil(2), height.div_ceil(2))
}

/// Makes pixels of planes of one size.
fn interleave<const N: usize, const M: usize>(
    planes: [&Vec<u8>; N],
    pixel: impl Fn([u8; N]) -> [u8; M],
) -> Vec<u8> {
    (0..planes[0].len())
        .flat_map(|at| pixel(planes.map(|plane| plane[at])))
        .collect()
}

/// JFIF's conversion.
fn rgb_of_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    // Clamped to a byte.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    [
        y + 91_881 * cr,
        y - 22_554 * cb - 46_802 * cr,
        y + 116_130 * cb,
    ]
    .map(|value| ((value + 32_768) >> 16).clamp(0, 255) as u8)
}

/// RGB of CMYK, 255 being all of an ink.
fn rgb_of_ink(cmyk: &[u8], to_srgb: Option<&ToSrgb>) -> Vec<u8> {
    if let Some(rgb) = to_srgb.and_then(|to_srgb| to_srgb.run(cmyk)) {
        return rgb;
    }
    // Without a profile: each ink takes its light, black that of all.
    let light = |ink: u8, black: u8| {
        let light = (255 - u32::from(ink)) * (255 - u32::from(black));
        // At most 255.
        #[allow(clippy::cast_possible_truncation)]
        {
            ((light + 127) / 255) as u8
        }
    };
    cmyk.as_chunks()
        .0
        .iter()
        .flat_map(|[c, m, y, k]| [light(*c, *k), light(*m, *k), light(*y, *k)])
        .collect()
}

/// Applies an EXIF orientation to a plane.
fn turn(plane: Vec<u8>, (width, height): (u32, u32), orientation: Orientation) -> Vec<u8> {
    if orientation == Orientation::NoTransforms {
        return plane;
    }
    // The constructor takes a buffer of the size that the caller made.
    let mut image =
        DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, plane).unwrap_or_default());
    image.apply_orientation(orientation);
    image.into_bytes()
}

/// Applies an EXIF orientation.
fn turn_pixels(pixels: Pixels, orientation: Orientation) -> Pixels {
    if orientation == Orientation::NoTransforms {
        return pixels;
    }
    let Pixels {
        width,
        height,
        alpha,
        grey,
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
        grey,
        data: image.into_bytes(),
    }
}

fn encode(
    small: &Small,
    format: OutputFormat,
    quality: u8,
    go_on: GoOn<'_>,
) -> Result<Rendition, Rejection> {
    let (width, height) = (small.width(), small.height());
    let data = match format {
        OutputFormat::WebP => encode_webp(small, quality, go_on)?,
        OutputFormat::Jpeg => match small {
            Small::Pixels(pixels) => jpeg::encode(&YCbCr::of_pixels(pixels), quality),
            Small::YCbCr(planes) => jpeg::encode(planes, quality),
        },
    };
    Ok(Rendition {
        file_name: format!("{width}.{}", format.extension()),
        content_type: format.content_type(),
        width,
        height,
        data,
    })
}

fn encode_webp(small: &Small, quality: u8, go_on: GoOn<'_>) -> Result<Vec<u8>, Rejection> {
    let limited;
    let picture = match small {
        Small::Pixels(pixels) if pixels.alpha => webp_encoder::Picture::Rgba(&pixels.data),
        Small::Pixels(pixels) => webp_encoder::Picture::Rgb(&pixels.data),
        Small::YCbCr(planes) => {
            limited = planes.with_limited_range();
            webp_encoder::Picture::Yuv(&limited.y, &limited.cb, &limited.cr)
        }
    };
    let options = Options {
        quality,
        method: WEBP_METHOD,
        noise_shaping: WEBP_NOISE_SHAPING,
    };
    let (width, height) = (small.width(), small.height());
    let mut stopped = Ok(());
    let file = webp_encoder::encode(picture, (width, height), options, &mut || {
        stopped = go_on("encode");
        stopped.is_ok()
    });
    stopped?;
    // The sides fit and the buffers are right, so what is left is memory.
    file.map_err(|_| Rejection::TooComplex(Complexity::Encoding { width, height }))
}

/// libwebp's balance of time and size, 0 to 6. 4, its own, takes twice the time for some 3 % of the bytes.
const WEBP_METHOD: u8 = 2;
/// With method 2, 80 makes up for a part of that; see `docs/images.md`.
const WEBP_NOISE_SHAPING: u8 = 80;

/// The `ThumbHash` of the picture at 100 pixels.
fn placeholder(small: &Small) -> Vec<u8> {
    let longest = small.width().max(small.height());
    let side = |side| scale(side, longest.min(PLACEHOLDER_SIDE), longest);
    let size = (side(small.width()), side(small.height()));
    let mut scaler = Scaler::new();
    let rgba: Vec<u8> = match small {
        Small::Pixels(pixels) => {
            let pixels = scaler.resize_pixels(pixels, size);
            let channels = if pixels.alpha { 4 } else { 3 };
            pixels
                .data
                .chunks_exact(channels)
                .flat_map(|pixel| {
                    let opaque = pixel.get(3).copied().unwrap_or(u8::MAX);
                    [pixel[0], pixel[1], pixel[2], opaque]
                })
                .collect()
        }
        Small::YCbCr(planes) => {
            let (luma, chroma) = ((planes.width, planes.height), planes.chroma_size());
            let y = scaler.run(&planes.y, luma, None, size, PixelType::U8);
            let cb = scaler.run(&planes.cb, chroma, None, size, PixelType::U8);
            let cr = scaler.run(&planes.cr, chroma, None, size, PixelType::U8);
            interleave([&y, &cb, &cr], |ycbcr| {
                let [r, g, b] = rgb_of_ycbcr(ycbcr);
                [r, g, b, u8::MAX]
            })
        }
    };
    thumbhash::rgba_to_thumb_hash(size.0 as usize, size.1 as usize, &rgba)
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
