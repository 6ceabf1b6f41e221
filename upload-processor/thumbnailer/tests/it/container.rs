//! JPEGs whose container breaks rules that no pixel depends on: libjpeg and browsers show all of them. Each must give
//! exactly the same renditions as its well-formed twin. Their neighbours, with missing pixels, must be refused.

use test_support::SeededRng;
use thumbnailer::inspect::{Declared, inspect};
use thumbnailer::settings::Settings;

use super::jpegs::{Component, Segment, join, segments, write};
use super::samples::*;

const FRAMES: [u8; 2] = [0xc0, 0xc2];
const SCAN: u8 = 0xda;

/// Asserts that a file gives the same renditions as its twin.
fn assert_same(file: &[u8], twin: &[u8], what: &str) {
    let expected = run(twin).unwrap().renditions;
    match run(file) {
        Ok(made) => assert!(made.renditions == expected, "{what}: another picture"),
        Err(rejection) => panic!("{what}: {rejection}"),
    }
}

/// The fixtures of each relevant kind.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let mut kinds = vec![("jpeg of image", jpeg(&photo(40, 24)))];
    kinds.extend(
        [
            "baseline-420.jpg",
            "baseline-420-restart.jpg",
            "baseline-422-scans.jpg",
            "progressive-420.jpg",
            "progressive-444-restart.jpg",
        ]
        .map(|name| (name, fixture(name))),
    );
    kinds
}

fn position(segments: &[Segment], markers: &[u8]) -> usize {
    let is_found = |segment: &Segment| markers.contains(&segment.marker);
    segments.iter().position(is_found).unwrap()
}

/// Copies of the file with bytes inserted before each of its segments and its EOI, one position at a time.
fn with_bytes_between(file: &[u8], bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = segments(file);
    (0..=whole.len())
        .map(|at| {
            let before = join(&whole[..at]);
            let behind = join(&whole[at..]);
            [&before[..before.len() - 2], bytes, &behind[2..]].concat()
        })
        .collect()
}

/// Bytes without a pattern and without a marker.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut rng = SeededRng::new(seed);
    (0..length).map(|_| rng.below(255) as u8).collect()
}

#[test]
fn motion_jpeg_uses_the_standard_tables() {
    // `image` writes exactly those, one per segment.
    for file in [jpeg(&photo(40, 24)), jpeg(&photo(61, 45))] {
        let whole = segments(&file);
        let tables: Vec<usize> = (0..whole.len())
            .filter(|at| whole[*at].marker == 0xc4)
            .collect();
        assert!(!tables.is_empty());
        for left_out in tables.iter().map(std::slice::from_ref).chain([&tables[..]]) {
            let kept = (0..whole.len()).filter(|at| !left_out.contains(at));
            let kept: Vec<_> = kept.map(|at| whole[at].clone()).collect();
            assert_same(&join(&kept), &file, &format!("without {left_out:?}"));
        }
    }
    // For a progressive file they are not the default.
    let mut whole = segments(&fixture("progressive-420.jpg"));
    whole.retain(|segment| segment.marker != 0xc4);
    assert_eq!(verdict(&join(&whole)), "corrupt");
}

#[test]
fn a_missing_eoi_matters_only_if_pixels_may_be_missing() {
    for (name, file) in kinds() {
        let open = &file[..file.len() - 2];
        for end in [
            &b""[..],
            b"\xff",
            b"\xff\xff",
            b"\0\0\0",
            b"\xff\xfe\0\x7fcut",
            b"\xff\xfe\0",
        ] {
            assert_same(
                &[open, end].concat(),
                &file,
                &format!("{name}, {}", end.escape_ascii()),
            );
        }
        // Data of another picture, or garbage.
        for end in [
            &b"\xff\xd8\xff\xe0"[..],
            b"\xff\x02\0\0",
            b"\xff\xc0\0\x02",
            b"\xff\xda\0\x02",
        ] {
            assert_same(
                &[open, end].concat(),
                &file,
                &format!("{name}, {}", end.escape_ascii()),
            );
        }
    }
    // An optimiser may omit chroma that is zero; an interrupted upload omits it, too.
    let whole = segments(&fixture("progressive-420.jpg"));
    let without_colours: Vec<_> = whole
        .into_iter()
        .filter(|segment| {
            let data = &segment.data;
            segment.marker != SCAN || data[0] > 1 || data[1] == 1
        })
        .collect();
    let file = join(&without_colours);
    assert_eq!(verdict(&file), "ready");
    assert_eq!(verdict(&file[..file.len() - 2]), "truncated");
}

#[test]
fn bytes_between_segments_are_skipped() {
    for (name, file) in kinds() {
        for bytes in [
            &b"\xff\xd0"[..],
            b"\xff\xd7\xff\xd3",
            b"\xff\x01",
            b"\xff\xff\x01\xff\xd1",
        ] {
            for (at, odd) in with_bytes_between(&file, bytes).iter().enumerate() {
                let what = format!("{name}, {} before segment {at}", bytes.escape_ascii());
                assert_same(odd, &file, &what);
            }
        }
    }
}

#[test]
fn segments_that_no_pixel_depends_on_may_be_malformed() {
    for (name, file) in kinds() {
        for bytes in [
            // Comments and application segments of length 0 and 1, which include the length field.
            &b"\xff\xfe\0\0"[..],
            b"\xff\xfe\0\x01",
            b"\xff\xe0\0\0",
            b"\xff\xe1\0\x01",
            b"\xff\xee\0\0",
            // The arithmetic coder's conditioning: complete, empty, and of an invalid length.
            b"\xff\xcc\0\x04\0\x10",
            b"\xff\xcc\0\x02",
            b"\xff\xcc\0\0",
            b"\xff\xcc\0\x05\0\x10\0",
            // A segment of another kind with DNL's marker; no picture has fewer than 0 lines.
            b"\xff\xdc\0\x10\0\0JFIF\0\x01\x01\0\0\x01\0\x01",
            b"\xff\xdc\0\x02",
        ] {
            for (at, odd) in with_bytes_between(&file, bytes).iter().enumerate() {
                let what = format!("{name}, {} before segment {at}", bytes.escape_ascii());
                assert_same(odd, &file, &what);
            }
        }
    }
}

#[test]
fn a_dnl_may_repeat_the_height_but_not_exceed_it() {
    for (name, file) in kinds() {
        let mut whole = segments(&file);
        let frame = position(&whole, &FRAMES);
        let first_scan = position(&whole, &[SCAN]);
        let lines = u16::from_be_bytes([whole[frame].data[1], whole[frame].data[2]]);
        for (lines, expected) in [
            (lines, "ready"),
            (lines - 1, "ready"),
            (lines + 1, "corrupt"),
        ] {
            whole.insert(first_scan + 1, Segment::new(0xdc, lines.to_be_bytes()));
            let odd = join(&whole);
            whole.remove(first_scan + 1);
            if expected == "ready" {
                assert_same(&odd, &file, name);
            } else if whole.len() > first_scan + 1 {
                assert_eq!(verdict(&odd), expected, "{name}");
            }
        }
        // Without a height in the frame browsers show nothing either.
        whole[frame].data[1..3].fill(0);
        whole.insert(first_scan + 1, Segment::new(0xdc, lines.to_be_bytes()));
        assert_eq!(verdict(&join(&whole)), "unsupported_type", "{name}");
    }
}

#[test]
fn stray_bytes_before_a_marker_are_distinguished_from_blocks() {
    let text = b"camera 0001234 firmware 1.02 mode auto temperature 21 checksum 77f0 ....................... ";
    let strays: Vec<Vec<u8>> = [20, 64, 94, 113, 300, 1000, 5000]
        .into_iter()
        .flat_map(|length| {
            let text: Vec<u8> = text.iter().copied().cycle().take(length).collect();
            // A camera maker's numbers, in four bytes each.
            let numbers: Vec<u8> = (0..length.min(500) as u32 / 4)
                .flat_map(|at| (at * at * 7).to_le_bytes().map(|byte| byte.min(0xfe)))
                .collect();
            [text, numbers]
        })
        .collect();
    for (name, file) in kinds() {
        let whole = segments(&file);
        let n_scans = whole
            .iter()
            .filter(|segment| segment.marker == SCAN)
            .count();
        // Before the EOI and before each restart marker of the last scan, if there are any.
        let (last, head) = whole.split_last().unwrap();
        let data = &last.scan;
        let is_restart =
            |at: &usize| data[*at] == 0xff && matches!(data.get(*at + 1), Some(0xd0..=0xd7));
        for at in (0..data.len()).filter(is_restart).chain([data.len()]) {
            let mut rng = Vec::new();
            // Nearly any bits are valid in a refining scan, and many in a scan of one component.
            if n_scans == 1 {
                rng = [70, 94, 113, 200, 500]
                    .map(|length| noise(length, length as u64))
                    .to_vec();
            }
            let strays = strays
                .iter()
                .filter(|stray| n_scans < 4 || !stray.contains(&7));
            for stray in strays.chain(&rng) {
                let mut odd = last.clone();
                odd.scan.splice(at..at, stray.iter().copied());
                let odd = join(&[head, &[odd]].concat());
                let what = format!(
                    "{name}, {} bytes {} at {at}",
                    stray.len(),
                    stray[..stray.len().min(9)].escape_ascii()
                );
                assert_same(&odd, &file, &what);
            }
        }
    }
}

#[test]
fn surplus_blocks_are_not_stray_bytes() {
    // The height announces fewer rows of blocks than there are.
    for (name, file) in [
        ("4:4:4", jpeg(&photo(160, 120))),
        (
            "4:4:4 of one colour",
            jpeg(&image::RgbImage::from_pixel(
                640,
                480,
                image::Rgb([9, 99, 199]),
            )),
        ),
    ] {
        let mut whole = segments(&file);
        let frame = position(&whole, &FRAMES);
        for rows in 1..whole[frame].data[2] / 8 {
            whole[frame].data[1..3].copy_from_slice(&[0, 8 * rows]);
            assert_eq!(verdict(&join(&whole)), "corrupt", "{name} in {rows} rows");
        }
    }
}

#[test]
fn surplus_restart_intervals_are_ignored() {
    let file = fixture("baseline-420-restart.jpg");
    let mut whole = segments(&file);
    let scan = position(&whole, &[SCAN]);
    let data = whole[scan].scan.clone();
    let markers: Vec<usize> = (0..data.len() - 1)
        .filter(|at| data[*at] == 0xff && matches!(data[*at + 1], 0xd0..=0xd7))
        .collect();
    let next = 0xd0 + (markers.len() % 8) as u8;
    for more in [&b""[..], &data[..markers[0]], &noise(300, 1)] {
        whole[scan].scan = [&data[..], &[0xff, next], more].concat();
        assert_same(&join(&whole), &file, &format!("{} bytes more", more.len()));
    }
    // A missing interval is different, and so is one out of order.
    whole[scan].scan = data[..markers[markers.len() - 1]].to_vec();
    assert_eq!(verdict(&join(&whole)), "truncated");
    whole[scan].scan = data.clone();
    whole[scan].scan[markers[0] + 1] ^= 1;
    assert_eq!(verdict(&join(&whole)), "corrupt");
}

#[test]
fn components_of_one_name_are_distinguished_by_order() {
    for file in [fixture("baseline-420.jpg"), fixture("baseline-cmyk.jpg")] {
        let mut whole = segments(&file);
        let (frame, scan) = (position(&whole, &FRAMES), position(&whole, &[SCAN]));
        for ids in [[1, 1, 1, 1], [1, 2, 2, 2], [7, 9, 7, 9]] {
            let n_components = usize::from(whole[scan].data[0]);
            for (at, id) in ids.into_iter().enumerate().take(n_components) {
                whole[frame].data[6 + 3 * at] = id;
                whole[scan].data[1 + 2 * at] = id;
            }
            assert_same(&join(&whole), &file, &format!("{ids:?}"));
        }
        // One name that occurs only twice in the frame.
        whole[scan].data[1..4].copy_from_slice(&[7, 0, 7]);
        whole[scan].data[5] = 7;
        assert_eq!(verdict(&join(&whole)), "corrupt");
    }
}

#[test]
fn a_repeated_profile_is_accepted() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let piece = |number: u8, of: u8, data: &[u8]| {
        Segment::new(0xe2, [b"ICC_PROFILE\0", &[number, of][..], data].concat())
    };
    let (half, rest) = profile.split_at(profile.len() / 2);
    let other = vec![7; half.len()];
    let with = |pieces: &[Segment]| {
        let whole = segments(&jpeg(&photo(40, 24)));
        let file = join(&[pieces, &whole].concat());
        let found = inspect(&file, &Declared::default(), &Settings::default()).unwrap();
        found.profile().map(<[u8]>::to_vec)
    };
    for pieces in [
        &[piece(1, 1, &profile)][..],
        &[piece(1, 1, &profile), piece(1, 1, &profile)],
        &[piece(1, 1, &profile), piece(1, 1, &other)],
        &[piece(1, 2, half), piece(2, 2, rest)],
        &[piece(2, 2, rest), piece(1, 2, half)],
        &[
            piece(1, 2, half),
            piece(2, 2, rest),
            piece(1, 2, half),
            piece(2, 2, rest),
        ],
        &[
            piece(1, 2, half),
            piece(1, 2, half),
            piece(2, 2, rest),
            piece(2, 2, rest),
        ],
        &[
            piece(1, 2, half),
            piece(0, 2, half),
            piece(3, 2, half),
            piece(2, 2, rest),
        ],
        &[piece(1, 1, &profile), piece(1, 2, half)],
    ] {
        assert_eq!(
            with(pieces).as_ref(),
            Some(&profile),
            "{} pieces",
            pieces.len()
        );
    }
    for pieces in [
        &[][..],
        &[piece(1, 2, half)],
        &[piece(1, 2, half), piece(1, 2, &other), piece(2, 2, rest)],
    ] {
        assert_eq!(with(pieces), None, "{} pieces", pieces.len());
    }
}

#[test]
fn the_first_orientation_of_several_exif_segments_counts() {
    let exif = |entries: &[u8]| {
        let n_entries = (entries.len() / 12) as u8;
        let data = [
            &b"Exif\0\0MM\0*\0\0\0\x08\0"[..],
            &[n_entries],
            entries,
            &[0; 4],
        ]
        .concat();
        Segment::new(0xe1, data)
    };
    let turned = |value| [1, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0];
    let width = [1, 0, 0, 3, 0, 0, 0, 1, 0, 40, 0, 0];
    for (blocks, expected) in [
        (vec![exif(&turned(6))], 6),
        (vec![exif(&width), exif(&turned(6))], 6),
        (vec![exif(&[]), exif(&turned(3)), exif(&turned(6))], 3),
        (vec![exif(&turned(0)), exif(&turned(8))], 8),
        (vec![exif(&turned(1)), exif(&turned(8))], 1),
        (vec![Segment::new(0xe1, *b"Exif\0\0"), exif(&turned(5))], 5),
        (vec![exif(&width)], 1),
    ] {
        let file = join(&[blocks, segments(&jpeg(&photo(40, 24)))].concat());
        let found = inspect(&file, &Declared::default(), &Settings::default()).unwrap();
        assert_eq!(found.orientation().to_exif(), expected);
    }
}

#[test]
fn panoramas_are_not_too_complex() {
    let flat = |_, _| 90.0;
    let colour = [1, 2, 3].map(|id| Component {
        id,
        sampling: if id == 1 { (2, 2) } else { (1, 1) },
        sample: &flat,
    });
    let mut whole = segments(&write((16, 16), &colour));
    let frame = position(&whole, &FRAMES);
    let mut png = png(photo(8, 8));
    for (width, height) in [
        (21_000_u16, 1900_u16),
        (30_000, 1600),
        (49_000, 1000),
        (1600, 30_000),
    ] {
        let [h, w] = [height, width].map(u16::to_be_bytes);
        whole[frame].data[1..5].copy_from_slice(&[h, w].concat());
        png[16..24].copy_from_slice(&[&[0, 0], &w[..], &[0, 0], &h].concat());
        for turned in [1, 6] {
            let exif = [
                b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0",
                &[turned][..],
                &[0; 6],
            ];
            whole.insert(0, Segment::new(0xe1, exif.concat()));
            for file in [&join(&whole), &png] {
                let found = inspect(file, &Declared::default(), &Settings::default());
                let found = found.map(|found| found.stored_size());
                assert_eq!(
                    found,
                    Ok((width.into(), height.into())),
                    "turned as {turned}"
                );
            }
            whole.remove(0);
        }
    }
}
