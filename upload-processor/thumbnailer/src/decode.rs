//! Turns an inspected upload into 8-bit samples: RGB, or RGBA if any pixel is transparent. A JPEG, a lossy WebP and a
//! grey PNG yield their own planes.
//!
//! Each format has one decoder in memory-safe Rust, chosen by what inspection found: Gatepost's own for JPEG and PNG,
//! `image-webp` and `image` for WebP and GIF. The latter get the file's essence, never its metadata. Pixels stay as
//! stored: orientation and colour conversion cost less on the small pictures in `render`. Samples of 16 bits are the
//! exception: their colours are converted at full precision.

use std::io::Cursor;

use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};
use image_webp::vp8::Vp8Decoder;

use crate::colour::ToSrgb;
use crate::deadline::Checkpoint;
use crate::exif::{mirrored, upright};
use crate::inspect::{Essence, Inspected};
use crate::jpeg::{self, Wanted};
use crate::plan::{averages_by_light, of_source, plan};
use crate::png::{self, Samples, Stored};
use crate::raster::{Coding, FullPlanes, Pixels, Raster, Space};
use crate::rejection::Rejection;
use crate::settings::{ImageType, Settings};

/// A fully decoded picture.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub(crate) raster: Raster,
    pub(crate) orientation: Orientation,
    /// The colour conversion that is still to be done, if any.
    pub(crate) to_srgb: Option<ToSrgb>,
}

/// Decodes the whole picture for the renditions in the settings.
pub fn decode(inspected: &Inspected<'_>, settings: &Settings) -> Result<Decoded, Rejection> {
    decode_while(inspected, settings, &mut |_| Ok(()))
}

/// The same, calling `checkpoint` from time to time.
pub(crate) fn decode_while(
    inspected: &Inspected<'_>,
    settings: &Settings,
    checkpoint: Checkpoint<'_>,
) -> Result<Decoded, Rejection> {
    let orientation = inspected.orientation();
    let colours = inspected.colours();
    let mut to_srgb = None;
    let mut read_colours = |space| {
        to_srgb = colours.and_then(|colours| ToSrgb::new(colours, space));
        to_srgb.is_some()
    };
    let mut is_converted = false;
    let raster = match inspected.essence() {
        Essence::Png(stored) => {
            let deep = colours
                .filter(|_| stored.header.depth == 16)
                .and_then(|colours| ToSrgb::new_deep(colours, stored.space()));
            let samples = png::decode(stored, deep.as_ref(), checkpoint)?;
            is_converted = samples.converted;
            of_samples(samples, stored)
        }
        Essence::Vp8(bitstream) => Raster::Full(decode_vp8(bitstream, inspected)?),
        Essence::File(pieces) => {
            let file = Essence::joined(pieces);
            match inspected.image_type() {
                ImageType::Jpeg => {
                    let seen = upright(inspected.stored_size(), orientation);
                    let sizes = of_source(&plan(seen, &settings.widths));
                    let stored = sizes.into_iter().map(|size| upright(size, orientation));
                    let mut wanted = Wanted {
                        sizes: &stored.collect::<Vec<_>>(),
                        mirrored: mirrored(orientation),
                        becomes_rgb: &mut |coding| {
                            read_colours(coding.space())
                                || averages_by_light(coding, seen, settings)
                        },
                    };
                    Raster::Narrowed(jpeg::decode(&file, &mut wanted, checkpoint)?)
                }
                ImageType::WebP => Raster::Pixels(decode_webp(&file, inspected)?),
                ImageType::Gif => Raster::Pixels(decode_gif(&file, inspected)?),
                // PNG has another kind of essence.
                ImageType::Png => return Err(parsers_disagree()),
            }
        }
    };
    match &raster {
        _ if is_converted => {}
        Raster::Pixels(pixels) => {
            read_colours(if pixels.grey { Space::Grey } else { Space::Rgb });
        }
        Raster::Full(whole) => {
            read_colours(whole.coding.space());
        }
        // Already passed to the decoder.
        Raster::Narrowed(_) => {}
    }
    Ok(Decoded {
        raster,
        orientation,
        to_srgb,
    })
}

impl Decoded {
    /// Width and height after orientation.
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = match &self.raster {
            Raster::Pixels(pixels) => (pixels.width, pixels.height),
            Raster::Narrowed(planes) => (planes.width, planes.height),
            Raster::Full(whole) => (whole.width, whole.height),
        };
        upright((width, height), self.orientation)
    }

    /// Whether any pixel is transparent.
    pub fn has_alpha(&self) -> bool {
        matches!(&self.raster, Raster::Pixels(pixels) if pixels.alpha)
    }
}

/// Grey as a plane, everything else as pixels, without an opaque alpha channel.
fn of_samples(samples: Samples, stored: &Stored<'_>) -> Raster {
    let (width, height) = (stored.header.width, stored.header.height);
    let Samples {
        channels, mut data, ..
    } = samples;
    let grey = stored.header.is_grey();
    let alpha = channels == 4 && !is_opaque(&data);
    if channels == 4 && !alpha {
        keep_channels(&mut data, if grey { 1 } else { 3 });
    }
    if grey && !alpha {
        return Raster::Full(FullPlanes {
            width,
            height,
            coding: Coding::Grey,
            planes: vec![data],
        });
    }
    Raster::Pixels(Pixels {
        width,
        height,
        alpha,
        grey,
        data,
    })
}

/// The planes of a lossy WebP, widened to the range of JPEG's.
fn decode_vp8(bitstream: &[u8], inspected: &Inspected<'_>) -> Result<FullPlanes, Rejection> {
    let frame = Vp8Decoder::decode_frame(Cursor::new(bitstream))
        .map_err(|error| Rejection::corrupt(error.to_string()))?;
    let (width, height) = inspected.stored_size();
    if (u32::from(frame.width), u32::from(frame.height)) != (width, height) {
        return Err(parsers_disagree());
    }
    // FullPlanes macroblocks, of 16 luma and 8 chroma samples in each direction.
    let (across, down) = (width.div_ceil(16), height.div_ceil(16));
    let plane = |mut samples: Vec<u8>, side: u32, (width, height): (u32, u32)| {
        let (stride, rows) = (across * side, down * side);
        if samples.len() as u64 != u64::from(stride) * u64::from(rows) {
            return Err(parsers_disagree());
        }
        let (stride, width, height) = (stride as usize, width as usize, height as usize);
        if stride != width {
            for row in 1..height {
                samples.copy_within(row * stride..row * stride + width, row * width);
            }
        }
        samples.truncate(width * height);
        Ok(samples)
    };
    let half = (width.div_ceil(2), height.div_ceil(2));
    let mut luma = frame.ybuf;
    widen::<16, 219, 0>(&mut luma);
    let [mut cb, mut cr] = [frame.ubuf, frame.vbuf];
    widen::<128, 224, 128>(&mut cb);
    widen::<128, 224, 128>(&mut cr);
    Ok(FullPlanes {
        width,
        height,
        coding: Coding::YCbCr,
        planes: vec![
            plane(luma, 16, (width, height))?,
            plane(cb, 8, half)?,
            plane(cr, 8, half)?,
        ],
    })
}

/// Widens the limited range (RFC 6386 §9.2) to a full byte, rounded: `SPAN` steps become 255, and `FROM` becomes `TO`.
fn widen<const FROM: i32, const SPAN: i32, const TO: i32>(samples: &mut [u8]) {
    for sample in samples {
        let doubled = (i32::from(*sample) - FROM) * 510 + SPAN + TO * 2 * SPAN;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to a byte"
        )]
        {
            *sample = (doubled.max(0) / (2 * SPAN)).min(255) as u8;
        }
    }
}

fn decode_webp(essence: &[u8], inspected: &Inspected<'_>) -> Result<Pixels, Rejection> {
    let decoder = WebPDecoder::new(Cursor::new(essence)).map_err(|error| failed(&error))?;
    match inspected.frame() {
        None => read(decoder, inspected.stored_size()),
        Some(frame) => {
            let pixels = read(decoder, (frame.width, frame.height))?;
            Ok(pixels.on_canvas(inspected.stored_size(), (frame.x, frame.y)))
        }
    }
}

fn decode_gif(essence: &[u8], inspected: &Inspected<'_>) -> Result<Pixels, Rejection> {
    let decoder = GifDecoder::new(Cursor::new(essence)).map_err(|error| failed(&error))?;
    read(decoder, inspected.stored_size()).map_err(|rejection| {
        if inspected.is_cut() {
            Rejection::Truncated("GIF ends before its picture does")
        } else {
            rejection
        }
    })
}

fn read(decoder: impl ImageDecoder, size: (u32, u32)) -> Result<Pixels, Rejection> {
    if decoder.dimensions() != size {
        return Err(parsers_disagree());
    }
    let colour = decoder.color_type();
    // At most 4 bytes for each pixel that inspection has checked.
    let length = usize::try_from(decoder.total_bytes()).map_err(|_| parsers_disagree())?;
    let mut data = vec![0; length];
    decoder
        .read_image(&mut data)
        .map_err(|error| failed(&error))?;
    Pixels::new(size, colour, data)
}

impl Pixels {
    /// Takes a decoder's output, without an opaque alpha channel.
    fn new(
        (width, height): (u32, u32),
        colour: ColorType,
        mut data: Vec<u8>,
    ) -> Result<Self, Rejection> {
        let mut alpha = match colour {
            ColorType::Rgb8 => false,
            ColorType::Rgba8 => true,
            _ => return Err(parsers_disagree()),
        };
        if alpha && is_opaque(&data) {
            keep_channels(&mut data, 3);
            alpha = false;
        }
        let channels = if alpha { 4 } else { 3 };
        if data.len() as u64 != u64::from(width) * u64::from(height) * channels {
            return Err(parsers_disagree());
        }
        Ok(Self {
            width,
            height,
            alpha,
            grey: false,
            data,
        })
    }
}

impl Pixels {
    /// Places it on a larger, transparent canvas; inspection has checked that it fits.
    fn on_canvas(&self, (width, height): (u32, u32), (x, y): (u32, u32)) -> Self {
        let channels = if self.alpha { 4 } else { 3 };
        let (across, left, top) = (width as usize, x as usize, y as usize);
        let mut data = vec![0; 4 * across * height as usize];
        let rows = self.data.chunks_exact(channels * self.width as usize);
        for (row, canvas) in rows.zip(data.chunks_exact_mut(4 * across).skip(top)) {
            let pixels = row.chunks_exact(channels);
            for (pixel, place) in pixels.zip(canvas.as_chunks_mut::<4>().0.iter_mut().skip(left)) {
                *place = [
                    pixel[0],
                    pixel[1],
                    pixel[2],
                    pixel.get(3).copied().unwrap_or(255),
                ];
            }
        }
        Self {
            width,
            height,
            alpha: true,
            grey: self.grey,
            data,
        }
    }
}

/// Whether every pixel is opaque. Screenshots are often RGBA and opaque: dropping alpha saves a quarter of resizing and
/// encoding.
fn is_opaque(rgba: &[u8]) -> bool {
    let pixels = rgba.as_chunks::<4>().0;
    pixels.iter().all(|pixel| pixel[3] == u8::MAX)
}

/// Keeps the first of each four channels, in place.
fn keep_channels(data: &mut Vec<u8>, channels: usize) {
    let n_pixels = data.len() / 4;
    for pixel in 0..n_pixels {
        data.copy_within(4 * pixel..4 * pixel + channels, channels * pixel);
    }
    data.truncate(channels * n_pixels);
    data.shrink_to_fit();
}

/// Inspection and decoder saw different pictures: such a file is made to deceive one of them.
fn parsers_disagree() -> Rejection {
    Rejection::corrupt("inspection and decoder disagree on the picture")
}

fn failed(error: &ImageError) -> Rejection {
    Rejection::corrupt(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;
    use crate::inspect::{Declared, inspect};

    /// Compares the pixels of `PngSuite` with minipng, an independent implementation. Interlaced pictures are compared
    /// with their non-interlaced twins.
    #[test]
    fn png_suite_shows_what_another_decoder_sees() {
        let folder = png_suite();
        let settings = Settings::default();
        let pixels = |name: &str| {
            let file = std::fs::read(folder.join(name)).unwrap();
            let inspected = inspect(&file, &Declared::default(), &settings).unwrap();
            let Essence::Png(stored) = inspected.essence() else {
                panic!("{name}: no PNG");
            };
            // As stored: most of them have a gAMA, which minipng ignores.
            let samples = png::decode(stored, None, &mut |_| Ok(())).unwrap();
            match of_samples(samples, stored) {
                Raster::Pixels(pixels) => pixels,
                // Grey, in one plane.
                Raster::Full(whole) => Pixels {
                    width: whole.width,
                    height: whole.height,
                    alpha: false,
                    grey: true,
                    data: whole.planes[0].iter().flat_map(|grey| [*grey; 3]).collect(),
                },
                Raster::Narrowed(_) => panic!("{name}: planes of a JPEG"),
            }
        };
        let (mut n_compared, mut n_twins) = (0, 0);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_png = path.extension().is_some_and(|kind| kind == "png");
            // Names that begin with an x are broken files.
            if !is_png || name.starts_with('x') || name == "PngSuite.png" {
                continue;
            }
            let ours = pixels(&name);
            if name.as_bytes()[3] == b'i' {
                // For the background tests, the twin is among the basic pictures.
                let twin = match name.strip_prefix("bgai") {
                    Some(rest) => format!("basn{rest}"),
                    None => format!("{}n{}", &name[..3], &name[4..]),
                };
                assert_eq!(ours, pixels(&twin), "{name}");
                n_twins += 1;
                continue;
            }
            // minipng shows a colour that tRNS makes transparent.
            if name.starts_with('t') && !name.contains("3p") {
                assert_eq!(ours.alpha, !name.starts_with("tp0"), "{name}");
                continue;
            }
            let file = std::fs::read(folder.join(&name)).unwrap();
            let header = minipng::decode_png_header(&file).unwrap();
            let mut buffer = vec![0; header.required_bytes_rgba8bpc()];
            let mut theirs = minipng::decode_png(&file, &mut buffer).unwrap();
            theirs.convert_to_rgba8bpc().unwrap();
            let channels = if ours.alpha { 4 } else { 3 };
            assert_eq!((ours.width, ours.height), (theirs.width(), theirs.height()));
            let pairs = ours
                .data
                .chunks_exact(channels)
                .zip(theirs.pixels().chunks_exact(4));
            for (at, (ours, theirs)) in pairs.enumerate() {
                let alpha = ours.get(3).copied().unwrap_or(255);
                let same = ours[..3]
                    .iter()
                    .chain([&alpha])
                    .zip(theirs)
                    // minipng truncates 16 bits to the upper eight; this decoder rounds.
                    .all(|(ours, theirs)| ours.abs_diff(*theirs) <= u8::from(name.contains("16.")));
                assert!(same, "{name}, pixel {at}: {ours:?}, {theirs:?}");
            }
            n_compared += 1;
        }
        assert_eq!((n_compared, n_twins), (118, 35));
    }

    /// Cargo's folder of the package that contains the suite.
    fn png_suite() -> PathBuf {
        let cargo = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO"))
                .args(arguments)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let version = cargo(&["-vV"]);
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let metadata = cargo(&[
            "metadata",
            "--format-version=1",
            "--offline",
            "--filter-platform",
            host.unwrap(),
        ]);
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let minipng = packages.iter().find(|package| package["name"] == "minipng");
        let manifest = Path::new(minipng.unwrap()["manifest_path"].as_str().unwrap());
        manifest.with_file_name("test/pngsuite")
    }

    #[test]
    fn an_opaque_alpha_channel_is_dropped() {
        for (data, alpha, expected) in [
            (
                vec![1, 2, 3, 255, 4, 5, 6, 255],
                false,
                vec![1, 2, 3, 4, 5, 6],
            ),
            (
                vec![1, 2, 3, 255, 4, 5, 6, 0],
                true,
                vec![1, 2, 3, 255, 4, 5, 6, 0],
            ),
        ] {
            let pixels = Pixels::new((2, 1), ColorType::Rgba8, data).unwrap();
            assert_eq!((pixels.alpha, pixels.data), (alpha, expected));
        }
        assert!(Pixels::new((2, 1), ColorType::Rgb8, vec![7]).is_err());
    }

    #[test]
    fn the_limited_range_is_widened_to_a_full_byte() {
        let mut luma = [0, 16, 17, 125, 126, 235, 255];
        widen::<16, 219, 0>(&mut luma);
        assert_eq!(luma, [0, 0, 1, 127, 128, 255, 255]);
        let mut chroma = [0, 16, 127, 128, 129, 240, 255];
        widen::<128, 224, 128>(&mut chroma);
        assert_eq!(chroma, [0, 1, 127, 128, 129, 255, 255]);
    }
}
