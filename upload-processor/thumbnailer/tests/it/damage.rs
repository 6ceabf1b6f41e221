//! Damaged files: nothing panics, and nothing that lacks a part of its picture is accepted.

use super::samples::*;

/// Every file cut at every byte, as an interrupted upload would be.
#[test]
fn cut_anywhere() {
    let mut accepted_anyway = Vec::new();
    for (name, file) in accepted() {
        assert_eq!(verdict(&file), "ready", "{name}: {:?}", run(&file).err());
        for length in 0..file.len() {
            match verdict(&file[..length]) {
                "truncated" => {}
                // Too short to tell what it was.
                "unsupported_type" | "too_small" if length < 12 => {}
                other => accepted_anyway.push((name, length, file.len(), other)),
            }
        }
    }
    assert_eq!(accepted_anyway, []);
}

/// JPEG cut and closed with an EOI, as a careless repair would do. Strict zune-jpeg accepts almost all of these.
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

/// JPEG with a sector of its data zeroed, as a hole in a file would be. JPEG has no checksum: a hole shows only where
/// the blocks no longer count up.
#[test]
fn jpeg_with_a_hole() {
    let file = jpeg(&photo(640, 480));
    let mut random = Random(1);
    let refused = (0..100)
        .filter(|_| {
            let mut holed = file.clone();
            let from = 1024 + random.below(file.len() - 6000);
            holed[from..from + 4096].fill(0);
            verdict(&holed) != "ready"
        })
        .count();
    assert!(refused >= 99, "{refused} of 100");
}

/// PNG whose image data stops early, in chunks that are well-formed.
#[test]
fn png_with_missing_rows() {
    for picture in [
        image::DynamicImage::from(photo(40, 24)),
        translucent(40, 24).into(),
    ] {
        let file = png(picture);
        let data = file.windows(4).position(|kind| kind == b"IDAT").unwrap() + 4;
        let length = u32::from_be_bytes(file[data - 8..data - 4].try_into().unwrap()) as usize;
        // The last bytes are the checksum of zlib, which the picture does not need.
        for kept in 0..length - 8 {
            let mut cut = file[..data].to_vec();
            cut[data - 8..data - 4].copy_from_slice(&(kept as u32).to_be_bytes());
            cut.extend(&file[data..data + kept]);
            cut.extend(crc32(&cut[data - 4..]).to_be_bytes());
            cut.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
            assert!(
                matches!(verdict(&cut), "corrupt" | "truncated"),
                "{kept} of {length}: {}",
                verdict(&cut)
            );
        }
    }
}

/// WebP whose chunks stop early, with sizes that say so.
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

/// Thousands of flipped bits and overwritten bytes. Many leave a picture that is only wrong; none may panic.
#[test]
fn flipped_anywhere() {
    let mut random = Random(0x6a7e_9057);
    let (mut ready, mut all) = (0, 0);
    for (name, file) in accepted() {
        for _ in 0..250 {
            let mut flipped = file.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(flipped.len());
                flipped[at] = match random.below(4) {
                    0 => 0xff,
                    1 => 0,
                    _ => flipped[at] ^ 1 << random.below(8),
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

fn crc32(bytes: &[u8]) -> u32 {
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
