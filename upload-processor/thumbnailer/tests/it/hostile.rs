//! Files with false claims, decompression bombs, and files of the wrong kind.

use std::time::{Duration, Instant};

use thumbnailer::inspect::{Declared, inspect};
use thumbnailer::rejection::{Complexity, Rejection, Unsupported};
use thumbnailer::settings::{ImageType, Settings};

use super::jpegs::{Component, Segment, join, segments, write};
use super::samples::*;

fn rejection(bytes: &[u8], declared: &Declared) -> Rejection {
    inspect(bytes, declared, &Settings::default())
        .map(drop)
        .unwrap_err()
}

fn declared(content_type: &str) -> Declared {
    Declared {
        content_type: Some(content_type.into()),
        sha256: None,
    }
}

/// The best of three times that inspecting a file of so many Adobe segments takes.
fn adobe_time(n_segments: usize) -> Duration {
    let segment = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    let mut bytes = b"\xff\xd8".to_vec();
    bytes.extend(segment.repeat(n_segments));
    bytes.extend(b"\xff\xd9");
    let times = [(); 3].map(|()| {
        let started = Instant::now();
        let rejection = rejection(&bytes, &Declared::default());
        assert_eq!(rejection.code(), "truncated");
        started.elapsed()
    });
    times.into_iter().min().unwrap()
}

#[test]
fn a_file_of_nothing_but_adobe_segments_is_read_once() {
    // Inserting each piece at its position separately took minutes. The time of four times as many segments tells: it
    // is 4 times as long if each is read once, and 16 times if the work is quadratic. The ratio does not depend on the
    // speed of the machine, and the best of three excludes most of what other processes do to it.
    let (few, many) = (adobe_time(250_000), adobe_time(1_000_000));
    assert!(many < few * 10, "{few:?}, {many:?}");
}

#[test]
fn bytes_decide_and_a_false_claim_is_refused() {
    let png = png(photo(8, 8));
    for (claim, bytes, expected) in [
        (
            "image/jpeg",
            &b"just some text"[..],
            Rejection::UnsupportedType(Unsupported::Unknown),
        ),
        (
            "image/png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            Rejection::UnsupportedType(Unsupported::Svg),
        ),
        (
            "image/jpeg",
            b"GIF89a\x01\0\x01\0",
            Rejection::UnsupportedType(Unsupported::NotAllowed(ImageType::Gif)),
        ),
        (
            "image/jpeg",
            &png,
            Rejection::TypeMismatch {
                declared: "image/jpeg".into(),
                found: ImageType::Png,
            },
        ),
        (
            "text/html",
            &png,
            Rejection::TypeMismatch {
                declared: "text/html".into(),
                found: ImageType::Png,
            },
        ),
        ("image/jpeg", b"", Rejection::TooSmall),
    ] {
        assert_eq!(rejection(bytes, &declared(claim)), expected, "{claim}");
    }
    assert!(inspect(&png, &declared("image/png"), &Settings::default()).is_ok());
}

#[test]
fn the_message_for_heic_says_what_to_do() {
    let heic = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafMiHBheic\0\0\x0f\x2ameta";
    let rejection = rejection(heic, &declared("image/heic"));
    assert_eq!(rejection.code(), "unsupported_type");
    assert!(
        rejection
            .message()
            .contains("Settings > Camera > Formats > Most Compatible"),
        "{}",
        rejection.message()
    );
}

#[test]
fn types_outside_the_allow_list_are_refused() {
    let settings = Settings {
        types: vec![ImageType::Jpeg],
        ..Settings::default()
    };
    assert_eq!(
        inspect(&png(photo(8, 8)), &Declared::default(), &settings).map(drop),
        Err(Rejection::UnsupportedType(Unsupported::NotAllowed(
            ImageType::Png
        )))
    );
}

#[test]
fn a_wrong_size_or_digest_is_refused() {
    let file = png(photo(8, 8));
    let settings = Settings {
        max_bytes: 100,
        ..Settings::default()
    };
    assert_eq!(
        inspect(&file, &Declared::default(), &settings).map(drop),
        Err(Rejection::TooLarge {
            bytes: file.len() as u64,
            max: 100
        })
    );

    let found = inspect(&file, &Declared::default(), &Settings::default())
        .unwrap()
        .sha256();
    let pin = |sha256| Declared {
        content_type: None,
        sha256: Some(sha256),
    };
    assert!(inspect(&file, &pin(found), &Settings::default()).is_ok());
    let expected = [7; 32];
    assert_eq!(
        rejection(&file, &pin(expected)),
        Rejection::ChecksumMismatch { expected, found }
    );
}

#[test]
fn animations() {
    assert_eq!(
        rejection(&fixture("animated.webp"), &Declared::default()),
        Rejection::Animated(ImageType::WebP)
    );
    assert_eq!(
        rejection(&fixture("animated.png"), &Declared::default()),
        Rejection::Animated(ImageType::Png)
    );
}

#[test]
fn unsupported_kinds_of_jpeg_are_refused() {
    // The frame header is at the same offset in all files of `image`'s encoder.
    let mut file = jpeg(&photo(16, 16));
    let frame = file
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    let mut with = |at: usize, value: u8| {
        let before = std::mem::replace(&mut file[frame + at], value);
        let rejection = rejection(&file, &Declared::default());
        file[frame + at] = before;
        rejection
    };
    for (at, value, expected) in [
        (1, 0xc3, Unsupported::JpegLossless),
        (1, 0xc5, Unsupported::JpegHierarchical),
        (1, 0xc9, Unsupported::JpegArithmetic),
        (4, 12, Unsupported::JpegDeep),
        (9, 2, Unsupported::JpegLayout),
    ] {
        assert_eq!(
            with(at, value),
            Rejection::UnsupportedType(expected),
            "byte {at} = {value:#x}"
        );
    }
    assert_eq!(
        rejection(&fixture("arithmetic.jpg"), &Declared::default()),
        Rejection::UnsupportedType(Unsupported::JpegArithmetic),
    );
}

#[test]
fn decompression_bombs_are_refused_by_their_header() {
    let mut png_bomb = png(photo(8, 8));
    png_bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut png_largest = png(photo(8, 8));
    png_largest[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut jpeg_bomb = fixture("progressive-420.jpg");
    let frame = jpeg_bomb
        .windows(2)
        .position(|pair| pair == [0xff, 0xc2])
        .unwrap();
    jpeg_bomb[frame + 5..frame + 9].fill(0xff);
    let mut lossy_bomb = webp_lossy(&photo(8, 8));
    lossy_bomb[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let mut lossless_bomb = webp_lossless(photo(8, 8));
    lossless_bomb[21..25].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
    let canvas_bomb = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff";

    // The refusal quotes the header's size, so no pixel was decoded.
    for (name, bytes, width, height) in [
        ("png", &png_bomb[..], 60_000, 60_000),
        (
            "png of the largest size",
            &png_largest,
            0x7fff_ffff,
            0x7fff_ffff,
        ),
        ("jpeg", &jpeg_bomb, 65_535, 65_535),
        ("lossy webp", &lossy_bomb, 16_383, 16_383),
        ("lossless webp", &lossless_bomb, 16_384, 16_384),
        ("webp canvas", canvas_bomb, 1 << 24, 1 << 24),
    ] {
        let max = 50_000_000;
        assert_eq!(
            rejection(bytes, &Declared::default()),
            Rejection::TooManyPixels { width, height, max },
            "{name}"
        );
    }
}

/// A grey progressive JPEG of 8·`across` by 8·`down` pixels whose AC scans are one run of ended blocks each.
fn scan_bomb(across: u16, down: u16, n_scans: usize) -> Vec<u8> {
    let sizes = [(down * 8).to_be_bytes(), (across * 8).to_be_bytes()].concat();
    let quantisation = [&[0xff, 0xdb, 0, 67, 0], &[1; 64][..]].concat();
    // One DC code, "0" for a difference of zero; AC codes "0" for a run of 2^14 or more blocks, "10" for one block.
    let dc = [&[0xff, 0xc4, 0, 20, 0x00, 1], &[0; 15][..], &[0]].concat();
    let ac = [
        &[0xff, 0xc4, 0, 21, 0x10, 1, 1],
        &[0; 14][..],
        &[0xe0, 0x00],
    ]
    .concat();
    let mut file = [
        &[0xff, 0xd8][..],
        &quantisation,
        &[0xff, 0xc2, 0, 11, 8],
        &sizes,
        &[1, 1, 0x11, 0],
        &dc,
        &ac,
        &[0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0],
    ]
    .concat();
    let blocks = usize::from(across) * usize::from(down);
    file.extend(vec![0; blocks.div_ceil(8)]);
    for n in 0..n_scans {
        // Refines the last coefficient from bit 13 down, then continues with the next one.
        let (coefficient, bit) = (63 - (n / 14) as u8, 13 - (n % 14) as u8);
        let high = if bit == 13 { 0 } else { bit + 1 };
        file.extend([
            0xff,
            0xda,
            0,
            8,
            1,
            1,
            0,
            coefficient,
            coefficient,
            high << 4 | bit,
        ]);
        // "0" and fourteen one bits: a run of 32767 blocks. Padding of ones follows.
        let mut bits = Vec::new();
        for _ in 0..blocks.div_ceil(32_767) {
            bits.extend([false].into_iter().chain([true; 14]));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        for byte in bits.chunks(8) {
            let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            file.push(byte);
            if byte == 0xff {
                file.push(0);
            }
        }
    }
    file.extend([0xff, 0xd9]);
    file
}

#[test]
fn a_progressive_jpeg_of_too_many_scans() {
    assert_eq!(
        rejection(&scan_bomb(100, 100, 101), &Declared::default()),
        Rejection::TooComplex(Complexity::Scans { max: 100 })
    );
    // 780,000 blocks: 49 megapixels, whose 60 scans take 40 kB in all. The refusal says that nothing was decoded.
    let bomb = scan_bomb(1000, 780, 60);
    assert!(bomb.len() < 110_000);
    let found = rejection(&bomb, &Declared::default());
    assert!(
        matches!(found, Rejection::TooComplex(Complexity::Work { .. })),
        "{found:?}"
    );
    // The same with few scans is only incomplete.
    assert_eq!(verdict(&scan_bomb(100, 100, 14)), "truncated");
}

#[test]
fn the_memory_estimate_follows_the_renditions() {
    let flat = |_, _| 90.0;
    let colour = [1, 2, 3].map(|id| Component {
        id,
        sampling: if id == 1 { (2, 2) } else { (1, 1) },
        sample: &flat,
    });
    let mut whole = segments(&write((16, 16), &colour));
    let memory = |whole: &[Segment], widths: &[u32]| {
        let settings = Settings {
            widths: widths.to_vec(),
            ..Settings::default()
        };
        let file = join(whole);
        let found = inspect(&file, &Declared::default(), &settings).unwrap();
        found.memory() / 1_000_000
    };
    // 4032 × 3024 in the header only: nothing is decoded here.
    whole[1].data[1..5].copy_from_slice(&[0x0b, 0xd0, 0x0f, 0xc0]);
    let [large, small] = [&[1600, 800, 320][..], &[320]].map(|widths| memory(&whole, widths));
    assert!((20..60).contains(&large), "{large} MB");
    assert!((1..4).contains(&small), "{small} MB");
    // All coefficients of a progressive picture wait for its last scan, in 16 bits each.
    whole[1].marker = 0xc2;
    let scan = whole.len() - 1;
    let band = |component, first, last| Segment::new(0xda, [1, component, 0, first, last, 0]);
    whole[scan].data[7..].copy_from_slice(&[0, 0, 0]);
    whole.extend([1, 2, 3].map(|component| band(component, 1, 63)));
    let progressive = memory(&whole, &[320]);
    assert!((36..50).contains(&progressive), "{progressive} MB");
}

#[test]
fn a_container_that_contradicts_its_picture_is_refused() {
    let simple = webp_lossless(photo(8, 8));
    let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x08\0\0\x07\0\0".to_vec();
    file.extend(&simple[12..]);
    let size = (file.len() as u32 - 8).to_le_bytes();
    file[4..8].copy_from_slice(&size);
    assert_eq!(verdict(&file), "corrupt");
    file[24] = 7;
    assert_eq!(verdict(&file), "ready");
}

/// A lossless WebP of 16 by 16 pixels whose blocks share codes, but which names many groups of them. Each group makes a
/// decoder build its own tables. With `in_alpha` it is the alpha of a lossy picture.
fn code_bomb(n_groups: u16, in_alpha: bool) -> Vec<u8> {
    fn put(bits: &mut Vec<bool>, value: u32, count: u32) {
        bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
    }
    let one_symbol = |bits: &mut Vec<bool>, symbol: u32| {
        put(bits, 0b101, 3);
        put(bits, symbol, 8);
    };
    let mut bits = Vec::new();
    if !in_alpha {
        put(&mut bits, 0x2f, 8);
        put(&mut bits, 15 | 15 << 14, 32);
    }
    // No transform, no cache; blocks of four by four pixels, all of which use the last group.
    put(&mut bits, 0b100, 3);
    put(&mut bits, 0, 3);
    put(&mut bits, 0, 1);
    let last = u32::from(n_groups - 1);
    for symbol in [last & 0xff, last >> 8, 0, 0, 0] {
        one_symbol(&mut bits, symbol);
    }
    let mut code = Vec::new();
    put(&mut code, 0b11110, 5);
    // Lengths 0 to 15 are written in four bits each, without repetitions.
    for symbol in [
        17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ] {
        put(&mut code, if symbol < 16 { 4 } else { 0 }, 3);
    }
    // Sixteen symbols, of 1, 2, … 14, 15, 15 bits.
    put(&mut code, 1, 1);
    put(&mut code, 1, 3);
    put(&mut code, 14, 4);
    for length in (1..=15_u32).chain([15]) {
        put(&mut code, length.reverse_bits() >> 28, 4);
    }
    for _ in 0..5 * u32::from(n_groups) {
        bits.extend_from_slice(&code);
    }
    // Pixels: each zero bit is the shortest code, which is the first symbol's.
    put(&mut bits, 0, 32);
    bits.extend([false; 4 * 256]);

    let data: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        })
        .collect();
    if !in_alpha {
        return riff(&[(b"VP8L", &data)]);
    }
    let lossy = webp_lossy(&photo(16, 16));
    let canvas = [0x10, 0, 0, 0, 15, 0, 0, 15, 0, 0];
    let alpha = [&[1], &data[..]].concat();
    riff(&[
        (b"VP8X", &canvas),
        (b"ALPH", &alpha),
        (b"VP8 ", &lossy[20..]),
    ])
}

#[test]
fn a_webp_of_too_many_prefix_codes_is_refused() {
    let settings = Settings {
        max_pixels: 1_000_000,
        max_bytes: 1_000_000,
        ..Settings::default()
    };
    for in_alpha in [false, true] {
        let few = code_bomb(20, in_alpha);
        assert_eq!(verdict(&few), "ready", "{:?}", run(&few));
        // A file of 65 kB with 256 pixels, for which image-webp would need about 17 MB.
        let bomb = code_bomb(800, in_alpha);
        let found = inspect(&bomb, &Declared::default(), &settings).map(drop);
        let Err(Rejection::TooComplex(Complexity::Memory { needed, max })) = found else {
            panic!("{found:?}");
        };
        assert_eq!(max, 17_000_000);
        assert!(needed > max);
        // If it is truncated, that is the reason for the refusal.
        let cut = code_bomb(20, in_alpha);
        let cut = riff(&[(b"VP8L", &cut[20..cut.len() / 2])]);
        assert_ne!(verdict(&cut), "ready");
    }
}
