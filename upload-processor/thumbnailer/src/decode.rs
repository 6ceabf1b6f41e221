//! Turns an inspected upload into pixels: 8 bits a channel, RGB, or RGBA where something is transparent; of a JPEG the
//! planes that it is made of.
//!
//! One decoder a format, memory-safe Rust all of them, chosen by what inspection found: our own for JPEG, `image`'s for
//! PNG, WebP and GIF. Those get the file's essence, never its metadata. Pixels stay as stored: turning them upright and
//! converting their colours costs less once they are few, so `render` does it.

use std::io::Cursor;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, Limits};

use crate::inspect::Inspected;
use crate::jpeg::{self, GoOn, Planes};
use crate::rejection::Rejection;
use crate::settings::ImageType;

/// A picture that was decoded in full.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub(crate) picture: Picture,
    pub(crate) orientation: Orientation,
    /// The colour profile, unread.
    pub(crate) profile: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Picture {
    Pixels(Pixels),
    Planes(Planes),
}

/// Rows of pixels without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// RGBA, not premultiplied; else RGB.
    pub(crate) alpha: bool,
    /// The three colours were one.
    pub(crate) grey: bool,
    pub(crate) data: Vec<u8>,
}

/// Decodes all of it, or says why not.
pub fn decode(inspected: &Inspected<'_>) -> Result<Decoded, Rejection> {
    decode_while(inspected, &mut |_| Ok(()))
}

/// Decodes all of it, asking `go_on` now and then.
pub(crate) fn decode_while(
    inspected: &Inspected<'_>,
    go_on: GoOn<'_>,
) -> Result<Decoded, Rejection> {
    let essence = inspected.essence();
    let picture = match inspected.image_type() {
        ImageType::Jpeg => Picture::Planes(jpeg::decode(&essence, go_on)?),
        ImageType::Png => Picture::Pixels(decode_png(&essence, inspected)?),
        ImageType::WebP => Picture::Pixels(decode_webp(&essence, inspected)?),
        ImageType::Gif => Picture::Pixels(decode_gif(&essence, inspected)?),
    };
    Ok(Decoded {
        picture,
        orientation: inspected.orientation(),
        profile: inspected.profile().map(<[u8]>::to_vec),
    })
}

impl Decoded {
    /// Width and height as seen, after orientation.
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = match &self.picture {
            Picture::Pixels(pixels) => (pixels.width, pixels.height),
            Picture::Planes(planes) => (planes.width, planes.height),
        };
        if swaps_sides(self.orientation) {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Whether some pixel is transparent.
    pub fn has_alpha(&self) -> bool {
        matches!(&self.picture, Picture::Pixels(pixels) if pixels.alpha)
    }
}

/// Whether turning upright makes width of height.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

fn decode_png(essence: &[u8], inspected: &Inspected<'_>) -> Result<Pixels, Rejection> {
    let (width, height) = inspected.stored_size();
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(width);
    limits.max_image_height = Some(height);
    // What the decoder may hold beside its output: some rows, and the window of inflate.
    limits.max_alloc = Some(64 * 1024 * 1024);
    let decoder =
        PngDecoder::with_limits(Cursor::new(essence), limits).map_err(|error| failed(&error))?;
    read(decoder, inspected.stored_size())
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
    read(decoder, inspected.stored_size())
}

fn read(decoder: impl ImageDecoder, size: (u32, u32)) -> Result<Pixels, Rejection> {
    if decoder.dimensions() != size {
        return Err(parsers_disagree());
    }
    let colour = decoder.color_type();
    // At most 8 bytes for each of the pixels that inspection has checked.
    let length = usize::try_from(decoder.total_bytes()).map_err(|_| parsers_disagree())?;
    let mut data = vec![0; length];
    decoder
        .read_image(&mut data)
        .map_err(|error| failed(&error))?;
    Pixels::new(size, colour, data)
}

impl Pixels {
    /// Brings what a decoder gave to RGB or RGBA in 8 bits, in place where it shrinks.
    fn new(
        (width, height): (u32, u32),
        colour: ColorType,
        mut data: Vec<u8>,
    ) -> Result<Self, Rejection> {
        if matches!(
            colour,
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16
        ) {
            narrow(&mut data);
        }
        let mut data = match colour {
            ColorType::Rgb8 | ColorType::Rgb16 | ColorType::Rgba8 | ColorType::Rgba16 => data,
            ColorType::L8 | ColorType::L16 => data.iter().flat_map(|grey| [*grey; 3]).collect(),
            ColorType::La8 | ColorType::La16 => data
                .as_chunks()
                .0
                .iter()
                .flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha])
                .collect(),
            _ => return Err(parsers_disagree()),
        };
        let mut alpha = colour.has_alpha();
        // Screenshots come as RGBA with nothing transparent: a quarter less to resize and to encode.
        if alpha
            && data
                .as_chunks::<4>()
                .0
                .iter()
                .all(|pixel| pixel[3] == u8::MAX)
        {
            drop_alpha(&mut data);
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
            grey: !colour.has_color(),
            data,
        })
    }
}

impl Pixels {
    /// The same on a larger, transparent picture, of which inspection has seen that it holds it.
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

/// 16 bits in the machine's order to 8, rounded.
fn narrow(data: &mut Vec<u8>) {
    let n_samples = data.len() / 2;
    for sample in 0..n_samples {
        let wide = u32::from(u16::from_ne_bytes([data[2 * sample], data[2 * sample + 1]]));
        // At most (65535 + 128) / 257 = 255.
        #[allow(clippy::cast_possible_truncation)]
        {
            data[sample] = ((wide + 128) / 257) as u8;
        }
    }
    data.truncate(n_samples);
}

fn drop_alpha(data: &mut Vec<u8>) {
    let n_pixels = data.len() / 4;
    for pixel in 0..n_pixels {
        data.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    data.truncate(3 * n_pixels);
    data.shrink_to_fit();
}

/// Inspection saw another picture than the decoder: such a file is made to deceive one of them.
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
    use crate::settings::Settings;

    /// Pixels of `PngSuite` as minipng has them, which is another's work altogether, and of its interlaced pictures as
    /// those of their twins that are not.
    #[test]
    fn png_suite_shows_what_another_decoder_sees() {
        let folder = png_suite();
        let settings = Settings::default();
        let pixels = |name: &str| {
            let file = std::fs::read(folder.join(name)).unwrap();
            let inspected = inspect(&file, &Declared::default(), &settings).unwrap();
            let Picture::Pixels(pixels) = decode(&inspected).unwrap().picture else {
                panic!("{name}: planes");
            };
            pixels
        };
        let (mut n_compared, mut n_twins) = (0, 0);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_png = path.extension().is_some_and(|kind| kind == "png");
            // Those that begin with an x are broken.
            if !is_png || name.starts_with('x') || name == "PngSuite.png" {
                continue;
            }
            let ours = pixels(&name);
            if name.as_bytes()[3] == b'i' {
                // Where the backgrounds are tried, the twin is among the basic pictures.
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
                    // Of 16 bits minipng takes the upper eight, where we round.
                    .all(|(ours, theirs)| ours.abs_diff(*theirs) <= u8::from(name.contains("16.")));
                assert!(same, "{name}, pixel {at}: {ours:?}, {theirs:?}");
            }
            n_compared += 1;
        }
        assert_eq!((n_compared, n_twins), (118, 35));
    }

    /// Where Cargo keeps the package that holds the suite.
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
    fn every_layout_becomes_rgb_or_rgba() {
        let wide = |samples: &[u16]| {
            samples
                .iter()
                .flat_map(|sample| sample.to_ne_bytes())
                .collect::<Vec<_>>()
        };
        for (colour, data, alpha, expected) in [
            (ColorType::L8, vec![7, 9], false, vec![7, 7, 7, 9, 9, 9]),
            (
                ColorType::L16,
                wide(&[0x0707, 0xffff]),
                false,
                vec![7, 7, 7, 255, 255, 255],
            ),
            (
                ColorType::La8,
                vec![7, 255, 9, 8],
                true,
                vec![7, 7, 7, 255, 9, 9, 9, 8],
            ),
            (
                ColorType::La8,
                vec![7, 255, 9, 255],
                false,
                vec![7, 7, 7, 9, 9, 9],
            ),
            (
                ColorType::Rgb16,
                wide(&[0, 127, 129, 257, 65_535, 65_406]),
                false,
                vec![0, 0, 1, 1, 255, 254],
            ),
            (
                ColorType::Rgba8,
                vec![1, 2, 3, 255, 4, 5, 6, 255],
                false,
                vec![1, 2, 3, 4, 5, 6],
            ),
            (
                ColorType::Rgba8,
                vec![1, 2, 3, 255, 4, 5, 6, 0],
                true,
                vec![1, 2, 3, 255, 4, 5, 6, 0],
            ),
        ] {
            let pixels = Pixels::new((2, 1), colour, data).unwrap();
            assert_eq!(
                pixels,
                Pixels {
                    width: 2,
                    height: 1,
                    alpha,
                    grey: !colour.has_color(),
                    data: expected
                },
                "{colour:?}"
            );
        }
        assert!(Pixels::new((2, 1), ColorType::L8, vec![7]).is_err());
    }
}
