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

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{Filter, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use webp_encoder::Options;

use crate::colour::{Space, ToSrgb};
use crate::decode::{Decoded, Picture, Pixels, Whole, upright};
use crate::jpeg::{self, Coding, GoOn, Plane};
use crate::rejection::{Complexity, Rejection};
use crate::settings::{Effort, MAX_SIDE, OutputFormat, Settings};
use crate::window::{Span, Window, lanczos, mirrored};

/// Everything that is made from one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Largest first.
    pub renditions: Vec<Rendition>,
    /// The picture as a `ThumbHash`, about 25 bytes that browsers can show as a blur.
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

/// Luma at full size, chroma at half, rounded up; full range, the matrix of BT.601.
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

/// Makes everything, calling `go_on` from time to time.
pub(crate) fn render_while(
    mut decoded: Decoded,
    settings: &Settings,
    go_on: GoOn<'_>,
) -> Result<Rendered, Rejection> {
    let sizes = plan(decoded.size(), &settings.widths);
    let made = resize_all(&mut decoded, &sizes, go_on)?;
    // Encoding needs the memory.
    drop(decoded);
    let mut renditions = Vec::new();
    for small in &made {
        for format in &settings.formats {
            go_on("encode")?;
            renditions.push(encode(small, *format, settings.quality, go_on)?);
        }
    }
    go_on("placeholder")?;
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
    go_on: GoOn<'_>,
) -> Result<Vec<Small>, Rejection> {
    let mut scaler = Scaler::new();
    let mut made: Vec<Small> = Vec::new();
    for (idx, size) in sizes.iter().enumerate() {
        go_on("resize")?;
        let small = match earlier(&sizes[..idx], *size) {
            Some(earlier) => scaler.resize(&made[earlier], *size),
            None => scaler.resize_source(decoded, *size),
        };
        made.push(small);
    }
    Ok(made)
}

/// The size so far that this one is made from: the smallest that is at least twice as wide.
fn earlier(made: &[(u32, u32)], size: (u32, u32)) -> Option<usize> {
    made.iter().rposition(|made| made.0 / 2 >= size.0)
}

/// The planned sizes that are made from the source.
pub(crate) fn of_source(sizes: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let is_of_source =
        |(idx, size): &(usize, &(u32, u32))| earlier(&sizes[..*idx], **size).is_none();
    let of_source = sizes.iter().enumerate().filter(is_of_source);
    of_source.map(|(_, size)| *size).collect()
}

/// The sizes to make, largest first: every width up to the source's, or the source's own if all are larger.
///
/// A picture too tall for its format is made narrower than requested until it fits.
pub(crate) fn plan((width, height): (u32, u32), widths: &[u32]) -> Vec<(u32, u32)> {
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

/// `side × to / from`, rounded, at least 1. Saturates, though no decoded side reaches that.
fn scale(side: u32, to: u32, from: u32) -> u32 {
    let (side, to, from) = (u64::from(side), u64::from(to), u64::from(from));
    u32::try_from((side * to + from / 2) / from)
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Whether chroma is decoded at full size, so that libwebp averages colours by their light.
///
/// This pays off only for coloured pictures that become WebP: JPEG uses the planes in any case. In a tiny picture one
/// chroma sample covers much of the picture, so it keeps its planes.
pub(crate) fn averages_by_light(
    coding: Coding,
    (width, height): (u32, u32),
    settings: &Settings,
) -> bool {
    settings.effort == Effort::Balanced
        && u64::from(width) * u64::from(height) > TINY
        && coding == Coding::YCbCr
        && settings.formats.contains(&OutputFormat::WebP)
}

impl Coding {
    /// The kind of its samples.
    pub(crate) fn space(self) -> Space {
        match self {
            Self::Grey => Space::Grey,
            Self::YCbCr | Self::Rgb => Space::Rgb,
            Self::Cmyk | Self::Ycck => Space::Cmyk,
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

/// Resizes, and reuses its buffers.
struct Scaler(Resizer);

impl Scaler {
    fn new() -> Self {
        Self(Resizer::new())
    }

    fn resize(&mut self, from: &Small, size: (u32, u32)) -> Small {
        match from {
            Small::Pixels(pixels) => Small::Pixels(self.resize_pixels(pixels, size)),
            Small::YCbCr(from) => {
                let half = halved(size);
                let luma = (from.width, from.height);
                let window = Window::of_colour(from.colour_extent(), size, (false, false));
                let mut colour = |plane| self.run_window(plane, from.chroma_size(), window, half);
                let (cb, cr) = (colour(&from.cb), colour(&from.cr));
                Small::YCbCr(YCbCr {
                    width: size.0,
                    height: size.1,
                    y: self.run(&from.y, luma, size, PixelType::U8),
                    cb,
                    cr,
                })
            }
        }
    }

    /// Resizes the source, then orients the result and converts its colours: fewer pixels take less time.
    fn resize_source(&mut self, decoded: &mut Decoded, (width, height): (u32, u32)) -> Small {
        let size = upright((width, height), decoded.orientation);
        let planes = match &mut decoded.picture {
            Picture::Pixels(pixels) => {
                let mut pixels = self.resize_pixels(pixels, size);
                if let Some(to_srgb) = &decoded.to_srgb {
                    to_srgb.convert(&mut pixels);
                }
                return Small::Pixels(turn_pixels(pixels, decoded.orientation));
            }
            Picture::Whole(whole) => {
                return self.resize_whole(
                    whole,
                    decoded.to_srgb.as_ref(),
                    decoded.orientation,
                    size,
                );
            }
            Picture::Planes(planes) => planes,
        };
        // The decoder was given the same sizes. Each plane is freed once it is small.
        let narrowed = planes
            .narrowed
            .iter()
            .position(|narrowed| narrowed.size == size);
        let samples: Vec<Vec<u8>> = narrowed
            .map(|idx| planes.narrowed.swap_remove(idx).planes)
            .into_iter()
            .flatten()
            .map(|plane| self.shorten(&plane))
            .collect();
        if planes.halved {
            let half = halved(size);
            let mut samples = samples.into_iter();
            let mut plane = |size: (u32, u32)| match samples.next() {
                Some(plane) => turn(plane, size, decoded.orientation),
                // Grey has no chroma.
                None => vec![128; size.0 as usize * size.1 as usize],
            };
            return Small::YCbCr(YCbCr {
                width,
                height,
                y: plane(size),
                cb: plane(half),
                cr: plane(half),
            });
        }
        let mut pixels = rgb_of_planes(planes.coding, &samples, size, decoded.to_srgb.as_ref());
        if let (Some(to_srgb), Coding::YCbCr | Coding::Rgb) = (&decoded.to_srgb, planes.coding) {
            to_srgb.convert(&mut pixels);
        }
        Small::Pixels(turn_pixels(pixels, decoded.orientation))
    }

    /// The same for planes of full size; `size` is the stored one.
    fn resize_whole(
        &mut self,
        whole: &Whole,
        to_srgb: Option<&ToSrgb>,
        orientation: Orientation,
        size: (u32, u32),
    ) -> Small {
        let full = (whole.width, whole.height);
        let extent = (f64::from(full.0) / 2.0, f64::from(full.1) / 2.0);
        // For the first plane and for the others: their size, the visible part, and the size that they get.
        let all = Window::of((f64::from(full.0), f64::from(full.1)));
        let (colour, colour_size) = match to_srgb {
            None => (
                Window::of_colour(extent, size, mirrored(orientation)),
                halved(size),
            ),
            Some(_) => (Window::of(extent), size),
        };
        let mut planes = whole.planes.iter().enumerate().map(|(idx, plane)| {
            if idx == 0 {
                self.run_window(plane, full, all, size)
            } else {
                self.run_window(plane, halved(full), colour, colour_size)
            }
        });
        let (width, height) = upright(size, orientation);
        if to_srgb.is_none() {
            let mut plane = |size: (u32, u32)| match planes.next() {
                Some(plane) => turn(plane, size, orientation),
                // Grey has no chroma.
                None => vec![128; size.0 as usize * size.1 as usize],
            };
            return Small::YCbCr(YCbCr {
                width,
                height,
                y: plane(size),
                cb: plane(colour_size),
                cr: plane(colour_size),
            });
        }
        let samples: Vec<_> = planes.collect();
        let mut pixels = rgb_of_planes(whole.coding, &samples, size, to_srgb);
        if let (Some(to_srgb), Coding::YCbCr) = (to_srgb, whole.coding) {
            to_srgb.convert(&mut pixels);
        }
        Small::Pixels(turn_pixels(pixels, orientation))
    }

    /// Reduces a plane to its wanted height.
    fn shorten(&mut self, plane: &Plane) -> Vec<u8> {
        let window = Window {
            across: Span::of(plane.width.into()),
            down: plane.down,
        };
        let from = (plane.width, plane.rows);
        self.run_window(&plane.samples, from, window, (plane.width, plane.height))
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
            data: self.run(&from.data, (from.width, from.height), size, pixel_type),
        }
    }

    /// Resizes rows without gaps.
    fn run(
        &mut self,
        from: &[u8],
        from_size: (u32, u32),
        size: (u32, u32),
        pixel_type: PixelType,
    ) -> Vec<u8> {
        if from_size == size {
            return from.to_vec();
        }
        self.convolve(from, from_size, None, size, pixel_type)
    }

    /// Resizes the part of a plane that the window shows.
    fn run_window(
        &mut self,
        from: &[u8],
        (from_width, from_height): (u32, u32),
        window: Window,
        size: (u32, u32),
    ) -> Vec<u8> {
        let ([left, right], across) = window.across.within(from_width);
        let ([top, bottom], down) = window.down.within(from_height);
        let padded;
        let (from, from_size) = if [left, right, top, bottom] == [0; 4] {
            (from, (from_width, from_height))
        } else {
            let n_rows = from_height as usize;
            let n_columns = left + from_width as usize + right;
            let mut rows = Vec::with_capacity(n_columns * (top + n_rows + bottom));
            for y in 0..top + n_rows + bottom {
                let y = y.saturating_sub(top).min(n_rows - 1);
                let row = &from[y * from_width as usize..][..from_width as usize];
                rows.extend(std::iter::repeat_n(row[0], left));
                rows.extend_from_slice(row);
                rows.extend(std::iter::repeat_n(row[row.len() - 1], right));
            }
            padded = rows;
            // A few samples more than the side of a plane.
            #[allow(clippy::cast_possible_truncation)]
            let [more, higher] = [left + right, top + bottom].map(|count| count as u32);
            (&padded[..], (from_width + more, from_height + higher))
        };
        let crop = Some(Window { across, down });
        self.convolve(from, from_size, crop, size, PixelType::U8)
    }

    fn convolve(
        &mut self,
        from: &[u8],
        (from_width, from_height): (u32, u32),
        crop: Option<Window>,
        (width, height): (u32, u32),
        pixel_type: PixelType,
    ) -> Vec<u8> {
        // The same as the resizer's own filter, which calls the C library's sine.
        let filter =
            Filter::new("Lanczos3", lanczos, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
        let mut options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter))
            .use_alpha(true);
        if let Some(Window { across, down }) = crop {
            options = options.crop(across.from, down.from, across.length, down.length);
        }
        let mut to = Image::new(width, height, pixel_type);
        // Neither call can fail: the buffer has the size that its owner promises, the crop is within it, and both
        // images have the same type. If one did, the panic would be caught like a decoder's.
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
    /// The size of its chroma planes.
    pub(crate) fn chroma_size(&self) -> (u32, u32) {
        halved((self.width, self.height))
    }

    /// The extent of the picture in chroma samples, across and down.
    fn colour_extent(&self) -> (f64, f64) {
        (f64::from(self.width) / 2.0, f64::from(self.height) / 2.0)
    }

    /// The same in limited range, which VP8 uses (RFC 6386 §9.2).
    fn with_limited_range(&self) -> Self {
        // `zero` is the image of black, or of the chroma value −128, times 255. Both are rounded; 128 stays, and values
        // on either side are rounded alike. The arithmetic has 16 bits, which the compiler vectorises.
        let through = |zero: u16, range: u16, plane: &[u8]| -> Vec<u8> {
            let value = |value: &u8| (zero + range * u16::from(*value)) / 255;
            // At most 240.
            #[allow(clippy::cast_possible_truncation)]
            plane.iter().map(|sample| value(sample) as u8).collect()
        };
        Self {
            width: self.width,
            height: self.height,
            y: through(16 * 255 + 127, 219, &self.y),
            cb: through(16 * 255 + 15, 224, &self.cb),
            cr: through(16 * 255 + 15, 224, &self.cr),
        }
    }

    /// Converts pixels, over white where they are transparent.
    fn of_pixels(pixels: &Pixels) -> Self {
        let channels = if pixels.alpha { 4 } else { 3 };
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let (across, down) = halved((pixels.width, pixels.height));
        let mut y = Vec::with_capacity(width * height);
        // The sums of the up to four pixels that share a chroma sample, and their number.
        let mut sums = vec![([0_u32; 2], 0_u32); across as usize * down as usize];
        for (row, line) in pixels.data.chunks_exact(channels * width).enumerate() {
            for (column, pixel) in line.chunks_exact(channels).enumerate() {
                let opaque = pixel.get(3).copied().map_or(255, u32::from);
                let over_white =
                    |value: u8| (u32::from(value) * opaque + 255 * (255 - opaque) + 127) / 255;
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(over_white);
                // BT.601 in fixed point with 16 fraction bits; chroma has an offset of 128.
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

/// Converts planes of one size to RGB; CMYK and grey use the profile, if there is one.
fn rgb_of_planes(
    coding: Coding,
    samples: &[Vec<u8>],
    (width, height): (u32, u32),
    to_srgb: Option<&ToSrgb>,
) -> Pixels {
    let data = match (coding, samples) {
        (Coding::YCbCr, [y, cb, cr]) => interleave([y, cb, cr], rgb_of_ycbcr),
        (Coding::Rgb, [r, g, b]) => interleave([r, g, b], |rgb| rgb),
        (Coding::Cmyk, [c, m, y, k]) => rgb_of_ink(
            &interleave([c, m, y, k], |cmyk| cmyk.map(|light| 255 - light)),
            to_srgb,
        ),
        (Coding::Ycck, [luma, cb, cr, black]) => {
            let cmyk = interleave([luma, cb, cr, black], |[luma, cb, cr, black]| {
                // CMY is 255 minus the RGB of this YCC; since it is also inverted, the ink equals that RGB.
                let [red, green, blue] = rgb_of_ycbcr([luma, cb, cr]);
                [red, green, blue, 255 - black]
            });
            rgb_of_ink(&cmyk, to_srgb)
        }
        // Grey, in one plane.
        (_, [grey, ..]) => to_srgb
            .and_then(|to_srgb| to_srgb.run(grey))
            .unwrap_or_else(|| interleave([grey], |[grey]| [grey; 3])),
        (_, []) => Vec::new(),
    };
    Pixels {
        width,
        height,
        alpha: false,
        grey: coding == Coding::Grey,
        data,
    }
}

/// Half of each side, rounded up.
fn halved((width, height): (u32, u32)) -> (u32, u32) {
    (width.div_ceil(2), height.div_ceil(2))
}

/// Interleaves planes of one size into pixels.
fn interleave<const N: usize, const M: usize>(
    planes: [&Vec<u8>; N],
    pixel: impl Fn([u8; N]) -> [u8; M],
) -> Vec<u8> {
    let n = planes[0].len();
    let planes = planes.map(|plane| &plane[..n]);
    let mut pixels = vec![0; n * M];
    // In this shape the compiler vectorises it.
    for (at, to) in pixels.as_chunks_mut::<M>().0.iter_mut().enumerate() {
        *to = pixel(planes.map(|plane| plane[at]));
    }
    pixels
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

/// Converts CMYK to RGB, 255 being the maximum of an ink.
fn rgb_of_ink(cmyk: &[u8], to_srgb: Option<&ToSrgb>) -> Vec<u8> {
    if let Some(rgb) = to_srgb.and_then(|to_srgb| to_srgb.run(cmyk)) {
        return rgb;
    }
    // Without a profile: each ink removes its own light, and black removes all.
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
    // The buffer has the size that the constructor expects.
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
    // Each buffer has the size that `Pixels` promises.
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
        stopped = go_on("encode");
        stopped.is_ok()
    });
    stopped?;
    // The sides fit and the buffers are right, so the only remaining cause is memory.
    file.map_err(|_| Rejection::TooComplex(Complexity::Encoding { width, height }))
}

/// libwebp's trade-off of time and size, 0 to 6. Its default, 4, takes twice the time for about 3 % of the bytes.
const WEBP_METHOD: u8 = 2;
/// Pictures of at most this many pixels keep their planes.
const TINY: u64 = 16 * 16;
/// Up to this many pixels encode quickly in any case, so they get libwebp's default.
const WEBP_FEW_PIXELS: u32 = 128 * 128;
const WEBP_METHOD_OF_FEW: u8 = 4;
/// With method 2, a value of 90 makes up for a part of that; see `docs/images.md`.
const WEBP_NOISE_SHAPING: u8 = 90;

/// The `ThumbHash` of the picture, reduced to 100 pixels.
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
            let luma = (planes.width, planes.height);
            let y = scaler.run(&planes.y, luma, size, PixelType::U8);
            let window = Window::of(planes.colour_extent());
            let mut colour = |plane| scaler.run_window(plane, planes.chroma_size(), window, size);
            let (cb, cr) = (colour(&planes.cb), colour(&planes.cr));
            interleave([&y, &cb, &cr], |ycbcr| {
                let [r, g, b] = rgb_of_ycbcr(ycbcr);
                [r, g, b, u8::MAX]
            })
        }
    };
    thumbhash::rgba_to_thumb_hash(size.0 as usize, size.1 as usize, &rgba)
}

/// The largest side that `ThumbHash` accepts.
const PLACEHOLDER_SIDE: u32 = 100;

#[cfg(test)]
// Test pictures are computed with small numbers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
mod tests {
    use super::*;

    /// A wave of colour and brightness with level ends, so that every orientation shows the same one.
    fn wave((x, y): (f64, f64), (width, height): (f64, f64)) -> f64 {
        let waves = |at: f64, side: f64| (std::f64::consts::TAU * 4.0 * at / side).cos();
        128.0 + 50.0 * (waves(x, width) + waves(y, height))
    }

    fn assert_wave(plane: &[u8], pixels: f64, columns: u32, size: (u32, u32), what: &str) {
        let size = (f64::from(size.0), f64::from(size.1));
        for (at, found) in (0..).zip(plane) {
            let (x, y) = (f64::from(at % columns), f64::from(at / columns));
            let centre = ((x + 0.5) * pixels, (y + 0.5) * pixels);
            let expected = wave(centre, size);
            // A tenth of a pixel changes the steepest places by 3.
            assert!(
                (f64::from(*found) - expected).abs() < 3.0,
                "{what}, sample {x}, {y}: {found}, expected {expected:.1}"
            );
        }
    }

    #[test]
    fn chroma_stays_aligned_with_luma_at_every_size() {
        for source in [(480, 360), (479, 361), (478, 359), (401, 400)] {
            let plane = |(width, height): (u32, u32), pixels: f64| {
                let size = (f64::from(source.0), f64::from(source.1));
                let sample = |at: u32| {
                    let (x, y) = (f64::from(at % width) + 0.5, f64::from(at / width) + 0.5);
                    wave((x * pixels, y * pixels), size).round() as u8
                };
                (0..width * height).map(sample).collect::<Vec<u8>>()
            };
            let mut small = Small::YCbCr(YCbCr {
                width: source.0,
                height: source.1,
                y: plane(source, 1.0),
                cb: plane(halved(source), 2.0),
                cr: plane(halved(source), 2.0),
            });
            for size in plan(source, &[239, 120, 101]) {
                small = Scaler::new().resize(&small, size);
                let Small::YCbCr(made) = &small else {
                    panic!("pixels")
                };
                let what = format!("{source:?} to {size:?}");
                assert_wave(&made.y, 1.0, size.0, size, &format!("{what}, brightness"));
                for plane in [&made.cb, &made.cr] {
                    assert_wave(plane, 2.0, halved(size).0, size, &format!("{what}, colour"));
                }
            }
        }
    }

    #[test]
    fn the_limited_range_is_rounded() {
        let all: Vec<u8> = (0..=255).collect();
        let planes = YCbCr {
            width: 256,
            height: 1,
            y: all.clone(),
            cb: all.clone(),
            cr: all,
        };
        let limited = planes.with_limited_range();
        for value in 0..=255_u8 {
            let (at, value) = (usize::from(value), f64::from(value));
            let luma = 16.0 + (value * 219.0 / 255.0).round();
            assert_eq!(limited.y[at], luma as u8, "luma {value}");
            let chroma = 128.0 + ((value - 128.0) * 224.0 / 255.0).round();
            assert_eq!(limited.cb[at], chroma as u8, "chroma {value}");
        }
        assert_eq!(limited.cb, limited.cr);
    }

    #[test]
    fn sizes_are_made_from_the_source_or_from_one_twice_as_wide() {
        let sizes = |widths: &[u32]| {
            of_source(&plan((4000, 3000), widths))
                .into_iter()
                .map(|size| size.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[320, 640, 1280, 1920]), [1920, 1280]);
        assert_eq!(sizes(&[1600, 800, 320]), [1600]);
        assert_eq!(sizes(&[500, 400, 300, 200]), [500, 400, 300]);
    }

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
            // Narrower than all widths: its own width.
            ((200, 100), &[320, 640], &[(200, 100)]),
            ((1, 1), &[320], &[(1, 1)]),
            // A line stays a line.
            ((4000, 1), &[320], &[(320, 1)]),
            // Too tall for WebP: made narrower, and both widths coincide.
            ((640, 64_000), &[640, 320], &[(164, 16_383)]),
            ((1, 50_000), &[320], &[(1, 16_383)]),
            ((60_000, 2), &[100_000], &[(16_383, 1)]),
        ] {
            assert_eq!(plan(source, widths), expected, "{source:?} {widths:?}");
        }
    }
}
