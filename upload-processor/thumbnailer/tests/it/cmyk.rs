//! Pictures of four inks come out in their colours, with a printer's profile and without one.

use thumbnailer::settings::OutputFormat;

use super::colour::{SIZE, assert_near, seen};

/// A JPEG of one CMYK colour, with 255 as the maximum of an ink, stored inverted; with or without Adobe's segment.
fn flat_cmyk(ink: [u8; 4], adobe: bool, profile: &[u8]) -> Vec<u8> {
    flat_four(ink.map(|ink| 255 - ink), adobe.then_some(0), profile)
}

/// A JPEG of four constant components, with Adobe's segment for a transform or without. Each block has only its DC
/// coefficient.
fn flat_four(samples: [u8; 4], adobe: Option<u8>, profile: &[u8]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, data: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(data);
    };
    if let Some(transform) = adobe {
        segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat());
    }
    if !profile.is_empty() {
        segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat());
    }
    // With a quantisation step of 8, one unit of DC changes a sample by one.
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    let frame = [
        8, 0, SIZE as u8, 0, SIZE as u8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0,
    ];
    segment(0xc0, &frame);
    // DC: nine codes of four bits, one for each size. AC: "0", the end of the block.
    let counts = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(
        0xc4,
        &[&[0][..], &counts, &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat(),
    );
    let counts = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(0xc4, &[&[0x10][..], &counts, &[0]].concat());
    segment(0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);

    let mut bits = Vec::new();
    for block in 0..SIZE / 8 * (SIZE / 8) {
        for sample in samples {
            let sample = i32::from(sample);
            // After the first block the difference is zero.
            let difference = if block == 0 { sample - 128 } else { 0 };
            let size = 32 - difference.unsigned_abs().leading_zeros();
            let value = if difference < 0 {
                difference - 1
            } else {
                difference
            };
            bits.extend((0..4).rev().map(|bit| size >> bit & 1 == 1));
            bits.extend((0..size).rev().map(|bit| value >> bit & 1 == 1));
            bits.push(false);
        }
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    for byte in bits.chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    file.extend([0xff, 0xd9]);
    file
}

/// A printer's profile (ICC.1 10.10, lut8Type) that defines paper and four inks, any two of which make black. Colours
/// are Lab, in ICC.1's byte encoding.
fn printer(inks: [[u8; 3]; 4]) -> Vec<u8> {
    const PAPER: [u8; 3] = [255, 128, 128];
    const BLACK: [u8; 3] = [0, 128, 128];
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for at in 0..9 {
        let one = i32::from(at % 4 == 0) << 16;
        table.extend(one.to_be_bytes());
    }
    (0..4).for_each(|_| table.extend(0..=255));
    // The first ink changes slowest.
    for corner in 0..16_u32 {
        table.extend(match corner.count_ones() {
            0 => PAPER,
            1 => inks[3 - corner.trailing_zeros() as usize],
            _ => BLACK,
        });
    }
    (0..3).for_each(|_| table.extend(0..=255));

    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    // The white point D50, in 16.16 fixed point.
    for (at, value) in (68..).step_by(4).zip([0xf6d6_u32, 0x1_0000, 0xd32d]) {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144_u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}

#[test]
fn cmyk_follows_its_profile() {
    // L*a*b* of 60, -20, -20; 50, 40, 0; 80, 0, 50; 10, 0, 0; and their sRGB values, from D50 by Bradford's matrix.
    let profile = printer([
        [153, 108, 108],
        [128, 168, 128],
        [204, 128, 178],
        [26, 128, 128],
    ]);
    for (ink, expected) in [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([255, 0, 0, 0], [77, 156, 179]),
        ([0, 255, 0, 0], [180, 90, 121]),
        ([0, 0, 255, 0], [220, 197, 102]),
        ([0, 0, 0, 255], [28, 28, 28]),
        ([255, 255, 0, 0], [0, 0, 0]),
    ] {
        for adobe in [true, false] {
            let what = format!("{ink:?}, Adobe's segment: {adobe}");
            let file = flat_cmyk(ink, adobe, &profile);
            assert_near(seen(&file, OutputFormat::WebP), expected, &what);
        }
    }
}

#[test]
fn cmyk_without_a_profile_is_multiplied_out() {
    for (ink, expected) in [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([255, 0, 0, 0], [0, 255, 255]),
        ([0, 102, 204, 51], [204, 122, 41]),
        ([0, 0, 0, 255], [0, 0, 0]),
    ] {
        for adobe in [true, false] {
            let what = format!("{ink:?}, Adobe's segment: {adobe}");
            let file = flat_cmyk(ink, adobe, &[]);
            assert_near(seen(&file, OutputFormat::WebP), expected, &what);
        }
    }
}

#[test]
fn an_unknown_transform_of_four_components_is_ycck() {
    // Two values of grey as two values of all three inks; black is stored inverted, too.
    for (transform, expected) in [
        (None, [200, 128, 128]),
        (Some(0), [200, 128, 128]),
        (Some(1), [55; 3]),
        (Some(2), [55; 3]),
        (Some(255), [55; 3]),
    ] {
        let file = flat_four([200, 128, 128, 255], transform, &[]);
        let what = format!("transform {transform:?}");
        assert_near(seen(&file, OutputFormat::WebP), expected, &what);
    }
}
