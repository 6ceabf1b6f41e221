//! Pictures come out upright for every EXIF orientation.

use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::samples::*;

const RED: [u8; 3] = [220, 30, 30];
const GREEN: [u8; 3] = [30, 180, 30];
const BLUE: [u8; 3] = [40, 40, 220];
const WHITE: [u8; 3] = [235, 235, 235];

/// The visible positions of the stored corners (red, green, blue, white: top left, top right, bottom left, bottom
/// right), in the same order. From the EXIF specification's table of tag 274.
const SEEN: [[[u8; 3]; 4]; 8] = [
    [RED, GREEN, BLUE, WHITE],
    [GREEN, RED, WHITE, BLUE],
    [WHITE, BLUE, GREEN, RED],
    [BLUE, WHITE, RED, GREEN],
    [RED, BLUE, GREEN, WHITE],
    [BLUE, RED, WHITE, GREEN],
    [WHITE, GREEN, BLUE, RED],
    [GREEN, WHITE, RED, BLUE],
];

fn corners(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        })
    })
}

fn exif(orientation: u8) -> Vec<u8> {
    [
        &b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation],
        b"\0\0\0\0\0\0",
    ]
    .concat()
}

fn oriented_jpeg(orientation: u8) -> Vec<u8> {
    let mut file = jpeg(&corners(800, 480));
    let exif = [b"Exif\0\0", &exif(orientation)[..]].concat();
    file.splice(
        2..2,
        [&[0xff, 0xe1, 0, exif.len() as u8 + 2], &exif[..]].concat(),
    );
    file
}

fn oriented_png(orientation: u8) -> Vec<u8> {
    let mut file = png(corners(800, 480));
    let exif = exif(orientation);
    // The checksum does not matter: the chunk does not reach the decoder.
    file.splice(
        33..33,
        [&[0, 0, 0, exif.len() as u8], &b"eXIf"[..], &exif, &[0; 4]].concat(),
    );
    file
}

fn oriented_webp(orientation: u8) -> Vec<u8> {
    let simple = webp_lossless(corners(800, 480));
    let exif = exif(orientation);
    let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x1f\x03\0\xdf\x01\0".to_vec();
    file.extend(&simple[12..]);
    file.extend([&b"EXIF"[..], &[exif.len() as u8, 0, 0, 0], &exif].concat());
    let size = (file.len() as u32 - 8).to_le_bytes();
    file[4..8].copy_from_slice(&size);
    file
}

#[test]
fn all_eight() {
    for (number, expected) in (1..=8).zip(SEEN) {
        for (kind, file) in [
            ("jpeg", oriented_jpeg(number)),
            ("png", oriented_png(number)),
            ("webp", oriented_webp(number)),
        ] {
            let made = run(&file).unwrap();
            let size = if number < 5 { (800, 480) } else { (480, 800) };
            assert_eq!(
                (made.source.width, made.source.height),
                size,
                "{kind} {number}"
            );
            for rendition in &made.renditions {
                let expected_height = (size.1 * rendition.width + size.0 / 2) / size.0;
                assert_eq!(rendition.height, expected_height, "{kind} {number}");
                let seen = image::load_from_memory(&rendition.data).unwrap().to_rgb8();
                let (right, bottom) = (seen.width() - 9, seen.height() - 9);
                for ((x, y), expected) in [(8, 8), (right, 8), (8, bottom), (right, bottom)]
                    .into_iter()
                    .zip(expected)
                {
                    let found = seen.get_pixel(x, y).0;
                    let distance: u32 = found
                        .iter()
                        .zip(expected)
                        .map(|(a, b)| u32::from(a.abs_diff(b)))
                        .sum();
                    assert!(
                        distance < 40,
                        "{kind} {number} at {x},{y}: {found:?}, expected {expected:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn alpha_turns_too() {
    let picture = RgbaImage::from_fn(60, 40, |x, _| Rgba([9, 9, 9, if x < 30 { 0 } else { 255 }]));
    let mut file = png(picture);
    let exif = exif(6);
    file.splice(
        33..33,
        [&[0, 0, 0, exif.len() as u8], &b"eXIf"[..], &exif, &[0; 4]].concat(),
    );
    let seen = best(&file).to_rgba8();
    assert_eq!(
        (
            seen.dimensions(),
            seen.get_pixel(20, 5)[3],
            seen.get_pixel(20, 55)[3]
        ),
        ((40, 60), 0, 255)
    );
}

/// As in JPEG: see `container`.
#[test]
fn the_first_orientation_of_several_exif_chunks_counts() {
    let good = [&exif(6)[..], b"\0\0"].concat();
    let junk = vec![b'j'; good.len()];
    let other = [&exif(3)[..], b"\0\0"].concat();
    for (blocks, expected) in [
        ([&junk, &good], (480, 800)),
        ([&good, &junk], (480, 800)),
        ([&good, &other], (480, 800)),
        ([&other, &good], (800, 480)),
    ] {
        let mut png = png(corners(800, 480));
        let chunk =
            |exif: &Vec<u8>| [&[0, 0, 0, exif.len() as u8], &b"eXIf"[..], exif, &[0; 4]].concat();
        png.splice(33..33, blocks.map(chunk).concat());
        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x1f\x03\0\xdf\x01\0".to_vec();
        webp.extend(&webp_lossless(corners(800, 480))[12..]);
        for exif in blocks {
            webp.extend([&b"EXIF"[..], &[exif.len() as u8, 0, 0, 0], exif].concat());
        }
        let size = (webp.len() as u32 - 8).to_le_bytes();
        webp[4..8].copy_from_slice(&size);
        for (kind, file) in [("png", png), ("webp", webp)] {
            let source = run(&file).unwrap().source;
            assert_eq!((source.width, source.height), expected, "{kind} {blocks:?}");
        }
    }
}

#[test]
fn an_invalid_orientation_is_upright() {
    for number in [0, 9, 255] {
        let made = run(&oriented_jpeg(number)).unwrap();
        assert_eq!(
            (made.source.width, made.source.height),
            (800, 480),
            "{number}"
        );
    }
}
