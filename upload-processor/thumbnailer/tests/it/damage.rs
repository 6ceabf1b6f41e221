//! Damaged files: no panic, and no file with missing pixels is accepted.

use test_support::SeededRng;
use thumbnailer::rejection::Rejection;

use super::samples::*;

/// Every file truncated at every byte, as by an interrupted upload. It is refused, or gives the same renditions as the
/// whole file because no pixel is missing.
#[test]
fn cut_anywhere() {
    let mut accepted_anyway = Vec::new();
    for (name, file) in accepted() {
        let whole = run(&file).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        for length in 0..file.len() {
            match run(&file[..length]) {
                Err(Rejection::Truncated(_)) => {}
                // Too short to identify.
                Err(Rejection::UnsupportedType(_) | Rejection::TooSmall) if length < 12 => {}
                Ok(made)
                    if length >= end_of_pixels(&file) && made.renditions == whole.renditions => {}
                other => accepted_anyway.push((
                    name,
                    length,
                    file.len(),
                    other
                        .map(|made| made.source)
                        .map_err(|rejection| rejection.to_string()),
                )),
            }
        }
    }
    assert_eq!(accepted_anyway, []);
}

/// The end of the data that browsers need: for a PNG the Adler-32 after its rows, for a JPEG the byte before its EOI,
/// for others the end.
fn end_of_pixels(file: &[u8]) -> usize {
    if file.starts_with(b"\xff\xd8") {
        return file.len() - 2;
    }
    if !file.starts_with(b"\x89PNG") {
        return file.len();
    }
    let chunks = chunks_of_png(file);
    let data: usize = chunks
        .iter()
        .take_while(|(kind, _)| kind != b"IEND")
        .map(|(_, data)| 12 + data.len())
        .sum();
    8 + data - 4
}

/// A truncated JPEG closed with an EOI, as by a careless repair. Strict zune-jpeg accepts almost all of these.
#[test]
fn jpeg_cut_and_closed() {
    let mut accepted_anyway = Vec::new();
    for (name, file) in accepted()
        .into_iter()
        .filter(|(name, _)| name.contains("jp"))
    {
        for length in 2..file.len() - 2 {
            let closed = [&file[..length], &[0xff, 0xd9]].concat();
            if verdict(&closed) == "ready" {
                accepted_anyway.push((name, length, file.len()));
            }
        }
    }
    assert_eq!(accepted_anyway, []);
}

/// A JPEG with a zeroed sector, like a hole in a file. JPEG has no checksum: a hole shows only if the number of blocks
/// no longer matches.
#[test]
fn jpeg_with_a_hole() {
    let file = jpeg(&photo(640, 480));
    let mut rng = SeededRng::new(1);
    let refused = (0..100)
        .filter(|_| {
            let mut holed = file.clone();
            let from = 1024 + rng.below(file.len() - 6000);
            holed[from..from + 4096].fill(0);
            verdict(&holed) != "ready"
        })
        .count();
    assert!(refused >= 99, "{refused} of 100");
}

/// A PNG whose image data stops early, in well-formed chunks.
#[test]
fn png_with_missing_rows() {
    for picture in [
        image::DynamicImage::from(photo(40, 24)),
        translucent(40, 24).into(),
    ] {
        let chunks = chunks_of_png(&png(picture));
        let (kind, data) = &chunks[1];
        assert_eq!(kind, b"IDAT");
        // The last four bytes are the Adler-32.
        for kept in 0..data.len() {
            let cut = png_of(&[
                chunks[0].clone(),
                (*kind, data[..kept].to_vec()),
                chunks[2].clone(),
            ]);
            assert_eq!(verdict(&cut), "truncated", "{kept} of {}", data.len());
        }
    }
    // Rows that stop early in well-formed data, with a valid checksum.
    for kept in [0, 1, 23] {
        let rows = vec![0; kept * 121];
        let cut = png_of(&[header(40, 24, 8, 2, 0), (*b"IDAT", zlib(&rows)), END]);
        assert_eq!(verdict(&cut), "corrupt", "{kept} rows");
    }
}

/// An overwritten PNG with valid CRCs, so that the decoder sees the damage. It never panics, and the Adler-32 detects
/// changed rows.
#[test]
fn png_overwritten_with_right_crcs() {
    let mut rng = SeededRng::new(0x0bad_5eed);
    let mut n_refused = 0;
    for file in [
        png(photo(40, 24)),
        png(translucent(40, 24)),
        fixture("palette.png"),
        png(image::DynamicImage::from(photo(40, 24)).into_rgb16()),
        png(image::DynamicImage::from(photo(40, 24)).into_luma8()),
    ] {
        let whole = run(&file).unwrap();
        for _ in 0..600 {
            let mut chunks = chunks_of_png(&file);
            let at = rng.below(chunks.len() - 1);
            let (kind, data) = &mut chunks[at];
            let kind = *kind;
            let byte = rng.below(data.len());
            data[byte] = match rng.below(3) {
                0 => 0xff,
                1 => 0,
                _ => data[byte] ^ 1 << rng.below(8),
            };
            match run(&png_of(&chunks)) {
                Ok(made) => assert!(kind != *b"IDAT" || made.renditions == whole.renditions),
                Err(rejection) => {
                    n_refused += 1;
                    assert!(!rejection.to_string().contains("panicked"), "{rejection}");
                }
            }
        }
    }
    assert!(n_refused > 1000, "{n_refused}");
}

/// A WebP whose chunks stop early, with matching sizes.
#[test]
fn webp_with_a_short_bitstream() {
    for (name, file) in [
        ("lossy", webp_lossy(&photo(61, 45))),
        ("lossless", webp_lossless(photo(61, 45))),
        ("lossless with alpha", webp_lossless(translucent(61, 45))),
    ] {
        let length = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
        let accepted_anyway: Vec<_> = (0..length)
            .filter(|kept| {
                let mut cut = file[..20 + kept].to_vec();
                cut.resize(20 + kept.next_multiple_of(2), 0);
                let size = (cut.len() as u32 - 8).to_le_bytes();
                cut[4..8].copy_from_slice(&size);
                cut[16..20].copy_from_slice(&(*kept as u32).to_le_bytes());
                verdict(&cut) == "ready"
            })
            .map(|kept| length - kept)
            .collect();
        println!("{name}: accepted without its last {accepted_anyway:?} of {length} bytes");
        assert!(
            accepted_anyway.iter().all(|missing| *missing <= 2),
            "{name}: {accepted_anyway:?} of {length}"
        );
    }
}

/// Thousands of flipped bits and overwritten bytes. Many leave a wrong but decodable picture; none may panic.
#[test]
fn flipped_anywhere() {
    let mut rng = SeededRng::new(0x6a7e_9057);
    let (mut ready, mut all) = (0, 0);
    for (name, file) in accepted() {
        for _ in 0..250 {
            let mut flipped = file.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(flipped.len());
                flipped[at] = match rng.below(4) {
                    0 => 0xff,
                    1 => 0,
                    _ => flipped[at] ^ 1 << rng.below(8),
                };
            }
            all += 1;
            match run(&flipped) {
                Ok(_) => ready += 1,
                Err(rejection) => {
                    let log = rejection.to_string();
                    assert!(!log.contains("panicked"), "{name}: {log}");
                }
            }
        }
    }
    println!("{ready} of {all} still make a picture");
}
