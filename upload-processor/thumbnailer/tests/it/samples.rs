//! Pictures for the other modules: computed here, encoded here, or read from `fixtures`.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use thumbnailer::inspect::Declared;
use thumbnailer::rejection::Rejection;
use thumbnailer::settings::Settings;
use thumbnailer::thumbnail::{Thumbnailed, thumbnail};

/// The picture that `fixtures/make.py` also generates.
pub(crate) fn photo(width: u32, height: u32) -> RgbImage {
    let mut seed: u64 = 1;
    let mut picture = RgbImage::new(width, height);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        let grain = ((seed >> 16) % 24) as i32;
        let edge = if (x / 9 + y / 7) % 2 == 1 { 60 } else { 0 };
        let red = (100.0 + 80.0 * (f64::from(x) / 9.0).sin()) as i32 + grain;
        let green = (90.0 + 60.0 * (f64::from(y) / 7.0).cos()) as i32 + edge + grain / 2;
        let blue = 40 + 3 * y as i32 + grain;
        *pixel = Rgb([red, green, blue].map(|value| value.clamp(0, 255) as u8));
    }
    picture
}

/// The same, fading from transparent at the top to opaque.
pub(crate) fn translucent(width: u32, height: u32) -> RgbaImage {
    let photo = photo(width, height);
    RgbaImage::from_fn(width, height, |x, y| {
        let Rgb([r, g, b]) = *photo.get_pixel(x, y);
        Rgba([r, g, b, (255 * y / height) as u8])
    })
}

pub(crate) fn jpeg(picture: &RgbImage) -> Vec<u8> {
    encode(picture.clone(), ImageFormat::Jpeg)
}

pub(crate) fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encode(picture, ImageFormat::Png)
}

pub(crate) fn webp_lossless(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encode(picture, ImageFormat::WebP)
}

pub(crate) fn webp_lossy(picture: &RgbImage) -> Vec<u8> {
    let options = webp_encoder::Options {
        quality: 80,
        method: 4,
        noise_shaping: 50,
    };
    let pixels = webp_encoder::Picture::Rgb(picture.as_raw());
    webp_encoder::encode(pixels, picture.dimensions(), options, &mut || true).unwrap()
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One complete file of each accepted kind, small enough to be truncated at every byte.
pub(crate) fn accepted() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("jpeg of image", jpeg(&photo(40, 24))),
        ("rgb png", png(photo(40, 24))),
        ("rgba png", png(translucent(40, 24))),
        ("lossless webp", webp_lossless(photo(40, 24))),
    ];
    all.extend(ACCEPTED.map(|name| (name, fixture(name))));
    all
}

/// The accepted fixtures.
pub(crate) const ACCEPTED: [&str; 21] = [
    "alpha-lossless.webp",
    "alpha.webp",
    "baseline-411.jpg",
    "baseline-420-restart.jpg",
    "baseline-420-scans.jpg",
    "baseline-420.jpg",
    "baseline-422-scans.jpg",
    "baseline-422.jpg",
    "baseline-440.jpg",
    "baseline-444-scans-backwards.jpg",
    "baseline-444-scans.jpg",
    "baseline-444.jpg",
    "baseline-cmyk.jpg",
    "baseline-grey.jpg",
    "baseline-rgb.jpg",
    "lossy.webp",
    "palette.png",
    "progressive-420.jpg",
    "progressive-444-restart.jpg",
    "progressive-cmyk.jpg",
    "progressive-grey.jpg",
];

/// Runs the pipeline with default settings and nothing declared. With `GATEPOST_PICTURES=FOLDER` the picture is kept
/// there, named by its result and its test, for `gatepost thumbnail FOLDER` or another program.
pub(crate) fn run(bytes: &[u8]) -> Result<Thumbnailed, Rejection> {
    let result = thumbnail(bytes, &Declared::default(), &Settings::default(), None);
    if let Some(folder) = std::env::var_os("GATEPOST_PICTURES") {
        let code = result.as_ref().map_or_else(Rejection::code, |_| "ready");
        keep(Path::new(&folder), code, bytes);
    }
    result
}

fn keep(folder: &Path, code: &str, bytes: &[u8]) {
    let extension = match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'G', b'I', b'F', ..] => "gif",
        _ => "bin",
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("test").replace("::", "-");
    let checksum = crc32(bytes);
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{code}-{test}-{checksum:08x}.{extension}"));
    std::fs::write(path, bytes).unwrap();
}

/// The code of the rejection, or `"ready"`.
pub(crate) fn verdict(bytes: &[u8]) -> &'static str {
    run(bytes).map_or_else(|rejection| rejection.code(), |_| "ready")
}

/// The pixels of the largest rendition at the best quality.
pub(crate) fn best(bytes: &[u8]) -> DynamicImage {
    let settings = Settings {
        quality: 100,
        widths: vec![4096],
        ..Settings::default()
    };
    let made = thumbnail(bytes, &Declared::default(), &settings, None).unwrap();
    image::load_from_memory(&made.renditions[0].data).unwrap()
}

/// The mean difference between the channels of two pictures.
pub(crate) fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a
        .as_raw()
        .iter()
        .zip(b.as_raw())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.as_raw().len() as f64
}

/// A chunk of a PNG: its type and its data.
pub(crate) type PngChunk = ([u8; 4], Vec<u8>);

pub(crate) const END: PngChunk = (*b"IEND", Vec::new());

pub(crate) fn header(width: u32, height: u32, depth: u8, colour: u8, interlace: u8) -> PngChunk {
    let mut data = [width.to_be_bytes(), height.to_be_bytes()].concat();
    data.extend([depth, colour, 0, 0, interlace]);
    (*b"IHDR", data)
}

pub(crate) fn png_of(chunks: &[PngChunk]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        file.extend((data.len() as u32).to_be_bytes());
        let from = file.len();
        file.extend(kind);
        file.extend(data);
        file.extend(crc32(&file[from..]).to_be_bytes());
    }
    file
}

pub(crate) fn chunks_of_png(file: &[u8]) -> Vec<PngChunk> {
    let mut chunks = Vec::new();
    let mut at = 8;
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let kind = file[at + 4..at + 8].try_into().unwrap();
        chunks.push((kind, file[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    chunks
}

/// Inserts chunks before the image data.
pub(crate) fn png_with(file: &[u8], chunks: &[PngChunk]) -> Vec<u8> {
    let mut all = chunks_of_png(file);
    let at = all.iter().position(|(kind, _)| kind == b"IDAT").unwrap();
    all.splice(at..at, chunks.iter().cloned());
    png_of(&all)
}

pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                0xedb8_8320 ^ crc >> 1
            }
        })
    })
}

/// A RIFF of these chunks.
pub(crate) fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"WEBP".to_vec();
    for (kind, data) in chunks {
        file.extend(*kind);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(*data);
        file.resize(file.len().next_multiple_of(2), 0);
    }
    let size = (file.len() as u32).to_le_bytes();
    [b"RIFF", &size[..], &file].concat()
}
