//! Inspection's estimate is an upper bound: each kind of file is decoded and rendered in a separate process, whose peak
//! is compared with the estimate.
//!
//! The peak is the kernel's (`VmHWM`), so it includes libwebp's allocations.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::SeededRng;
use thumbnailer::inspect::{Declared, inspect};
use thumbnailer::settings::{Animated, ImageType, OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::samples::*;

/// The process's own memory, and rounding by its heap.
const OWN: u64 = 3 << 20;
const FILE: &str = "GATEPOST_TEST_MEMORY_FILE";

fn settings() -> Settings {
    Settings {
        types: vec![
            ImageType::Jpeg,
            ImageType::Png,
            ImageType::WebP,
            ImageType::Gif,
        ],
        max_bytes: 100 << 20,
        animated: Animated::FirstFrame,
        formats: vec![OutputFormat::WebP, OutputFormat::Jpeg],
        ..Settings::default()
    }
}

/// Not an independent test: the process that the other tests start. It prints the estimate and the measured memory.
#[test]
fn child() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let bytes = std::fs::read(file).unwrap();
    let settings = settings();
    let estimate = inspect(&bytes, &Declared::default(), &settings)
        .unwrap()
        .memory();
    // Resets the peak so far.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let made = thumbnail(&bytes, &Declared::default(), &settings, None).unwrap();
    println!("estimate {estimate} taken {}", peak() - before);
    drop(made);
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    1024 * kilobytes
}

/// The estimate, and the peak of a process that does the work.
fn measure(name: &str, bytes: &[u8]) -> (u64, u64) {
    let file: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("memory-{name}"));
    std::fs::File::create(&file)
        .unwrap()
        .write_all(bytes)
        .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "memory::child",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, &file)
        // As in the processor: blocks of this size are returned to the kernel.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}: {text}");
    let numbers: Vec<u64> = text
        .lines()
        .find_map(|line| line.split_once("estimate "))
        .unwrap_or_else(|| panic!("{name}: {text}"))
        .1
        .split(" taken ")
        .map(|number| number.parse().unwrap())
        .collect();
    (numbers[0], numbers[1])
}

fn assert_bounded(files: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let mut beyond = Vec::new();
    for (name, bytes) in files {
        let (estimate, taken) = measure(&name, &bytes);
        println!(
            "{name}: estimate {} kB, taken {} kB",
            estimate / 1024,
            taken / 1024
        );
        if taken > estimate + OWN {
            beyond.push((name, estimate, taken));
        }
    }
    assert_eq!(beyond, []);
}

/// A PNG of noise with this depth and colour type, whose file is about as large as its pixels.
fn noise(width: u32, height: u32, depth: u8, colour: u8, interlace: u8) -> Vec<u8> {
    let samples = [1, 0, 3, 1, 2, 0, 4][usize::from(colour)];
    let mut rng = SeededRng::new(7);
    let noise: Vec<u8> = (0..65_536).map(|_| rng.below(64) as u8).collect();
    let rows = |width: u32, height: u32, data: &mut Vec<u8>| {
        let bytes = (width as usize * samples * usize::from(depth)).div_ceil(8);
        for row in 0..height as usize {
            if width > 0 {
                data.push(if row % 2 == 0 { 4 } else { 1 });
            }
            data.extend(noise.iter().cycle().skip(row * 31 % 1000).take(bytes));
        }
    };
    let mut data = Vec::new();
    if interlace == 0 {
        rows(width, height, &mut data);
    } else {
        for (x, y, dx, dy) in [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ] {
            let across = (width.saturating_sub(x)).div_ceil(dx);
            let down = (height.saturating_sub(y)).div_ceil(dy);
            if across > 0 {
                rows(across, down, &mut data);
            }
        }
    }
    let mut chunks = vec![header(width, height, depth, colour, interlace)];
    if colour == 3 {
        chunks.push((*b"PLTE", (0..=255).flat_map(|grey| [grey; 3]).collect()));
    }
    chunks.extend([(*b"IDAT", zlib(&data)), END]);
    png_of(&chunks)
}

#[test]
fn png_of_every_kind() {
    let kinds = [
        (1, 0),
        (8, 0),
        (16, 0),
        (8, 2),
        (16, 2),
        (2, 3),
        (8, 3),
        (8, 4),
        (16, 4),
        (8, 6),
        (16, 6),
    ];
    let files = kinds.into_iter().flat_map(|(depth, colour)| {
        [0, 1].map(|interlace| {
            let name = format!("{depth}-bits-colour-{colour}-interlace-{interlace}.png");
            (name, noise(1800, 1800, depth, colour, interlace))
        })
    });
    assert_bounded(files);
}

#[test]
fn png_whose_colours_are_converted() {
    let gama = (*b"gAMA", 100_000_u32.to_be_bytes().to_vec());
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let iccp = (*b"iCCP", [b"p\0\0", &zlib(&p3)[..]].concat());
    let transparent = (*b"tRNS", vec![0; 6]);
    let mut files = Vec::new();
    for depth in [8, 16] {
        for (what, chunk) in [("gamma", &gama), ("profile", &iccp), ("tRNS", &transparent)] {
            let file = png_with(&noise(1800, 1800, depth, 2, 0), std::slice::from_ref(chunk));
            files.push((format!("{what}-{depth}.png"), file));
        }
    }
    // A sideways picture with a profile.
    let turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    for (colour, kind) in [(2, "rgb"), (6, "rgba")] {
        let chunks = [(*b"eXIf", turned.clone()), iccp.clone()];
        let file = png_with(&noise(1800, 1800, 8, colour, 0), &chunks);
        files.push((format!("turned-{kind}.png"), file));
    }
    // One row, and one column.
    files.push(("row.png".into(), noise(4_000_000, 1, 16, 6, 0)));
    files.push(("column.png".into(), noise(1, 1_000_000, 16, 6, 0)));
    assert_bounded(files);
}

#[test]
fn webp_gif_and_jpeg() {
    let picture = photo(2600, 2000);
    let lossy = webp_lossy(&picture);
    let mut frame = vec![0, 0, 0, 0, 0, 0];
    frame.extend(
        [2599_u32, 1999]
            .iter()
            .flat_map(|side| side.to_le_bytes()[..3].to_vec()),
    );
    frame.extend([100, 0, 0, 0]);
    frame.extend(&lossy[12..]);
    // A canvas that the frame does not fill.
    let canvas = [0x02, 0, 0, 0, 0x8b, 0x0a, 0, 0x33, 0x08, 0];
    let alpha = [&[0][..], &vec![200; 2600 * 2000]].concat();
    let with_alpha = [0x10, 0, 0, 0, 0x27, 0x0a, 0, 0xcf, 0x07, 0];
    let mut grey = Vec::new();
    image::DynamicImage::from(picture.clone())
        .into_luma8()
        .write_to(
            &mut std::io::Cursor::new(&mut grey),
            image::ImageFormat::Jpeg,
        )
        .unwrap();
    let mut gif = Vec::new();
    image::codecs::gif::GifEncoder::new_with_speed(&mut gif, 30)
        .encode(picture.as_raw(), 2600, 2000, image::ExtendedColorType::Rgb8)
        .unwrap();
    assert_bounded([
        ("lossless.webp".into(), webp_lossless(picture.clone())),
        (
            "lossless-alpha.webp".into(),
            webp_lossless(translucent(2600, 2000)),
        ),
        (
            "frame.webp".into(),
            riff(&[(b"VP8X", &canvas), (b"ANMF", &frame)]),
        ),
        (
            "lossy-alpha.webp".into(),
            riff(&[
                (b"VP8X", &with_alpha),
                (b"ALPH", &alpha),
                (b"VP8 ", &lossy[20..]),
            ]),
        ),
        ("lossy.webp".into(), lossy),
        ("rgb.jpg".into(), jpeg(&picture)),
        ("grey.jpg".into(), grey),
        ("picture.gif".into(), gif),
    ]);
}

/// A profile of this many bytes whose table is never used.
#[test]
fn profiles_count() {
    let mut profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    profile.resize(3 << 20, 0x55);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    let lossy = webp_lossy(&photo(640, 480));
    let canvas = [0x20, 0, 0, 0, 0x7f, 2, 0, 0xdf, 1, 0];
    let webp = |profile: &[u8]| {
        riff(&[
            (b"VP8X", &canvas),
            (b"ICCP", profile),
            (b"VP8 ", &lossy[20..]),
        ])
    };
    let png = png_with(
        &png(photo(640, 480)),
        &[(*b"iCCP", [b"p\0\0", &zlib(&profile)[..]].concat())],
    );
    let estimate = |file: &[u8]| {
        inspect(file, &Declared::default(), &settings())
            .unwrap()
            .memory()
    };
    let alone = estimate(&webp(b""));
    assert!(estimate(&webp(&profile)) > alone + (3 << 20));
    // If it is too long to be parsed, it is not even copied.
    let long = [&profile[..], &vec![0; 20 << 20]].concat();
    assert_eq!(estimate(&webp(&long)), alone);
    assert_bounded([
        ("profile.webp".into(), webp(&profile)),
        ("profile.png".into(), png),
        ("long-profile.webp".into(), webp(&long)),
    ]);
}
