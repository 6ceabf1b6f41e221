//! A missing trailer is not a missing picture: the container is read leniently, pixels are not.

use thumbnailer::inspect::Declared;
use thumbnailer::rejection::{Rejection, Unsupported};
use thumbnailer::settings::{ImageType, Settings};
use thumbnailer::thumbnail::{Thumbnailed, thumbnail};

use super::samples::*;

fn same(file: &[u8], whole: &Thumbnailed, what: &str) {
    let made = run(file).unwrap_or_else(|rejection| panic!("{what}: {rejection}"));
    assert_eq!(made.renditions, whole.renditions, "{what}");
}

#[test]
fn png_is_accepted_without_the_data_after_its_rows() {
    let file = png(photo(40, 24));
    let whole = run(&file).unwrap();
    let end = file.len();
    for (missing, what) in [
        (4, "the CRC of IEND"),
        (12, "IEND"),
        (9, "most of IEND"),
        (13, "a byte of the CRC of IDAT"),
        (16, "the CRC of IDAT"),
    ] {
        same(&file[..end - missing], &whole, what);
    }
    for missing in [17, 20] {
        assert_eq!(verdict(&file[..end - missing]), "truncated", "{missing}");
    }
    // Chunks after the rows: complete, truncated, and garbage.
    let chunks = chunks_of_png(&file);
    let mut followed = chunks.clone();
    let text = (*b"tEXt", b"Comment\0by hand".to_vec());
    followed.insert(2, text);
    let followed = png_of(&followed);
    same(&followed, &whole, "text");
    for length in end - 12..followed.len() {
        same(&followed[..length], &whole, "text that is cut");
    }
    for rubbish in [
        &b"\0\0\0\x04QUAD\0\0\0\0\0\0\0\0"[..],
        &[0; 40],
        b"\xff\xff\xff\xfftEXt",
    ] {
        let file = [&file[..end - 12], rubbish].concat();
        same(&file, &whole, "rubbish");
    }
}

#[test]
fn png_in_many_chunks_is_one_stream() {
    for (picture, interlace) in [(png(photo(40, 24)), 0), (interlaced(40, 24), 1)] {
        let whole = run(&picture).unwrap();
        let chunks = chunks_of_png(&picture);
        assert_eq!(chunks[0].1[12], interlace);
        let at = chunks.iter().position(|(kind, _)| kind == b"IDAT").unwrap();
        for size in [1, 2, 7, 100] {
            let mut split = chunks[..at].to_vec();
            for piece in chunks[at].1.chunks(size) {
                split.push((*b"IDAT", piece.to_vec()));
                split.push((*b"IDAT", Vec::new()));
            }
            split.push(END);
            let split = png_of(&split);
            same(&split, &whole, "split");
            // Without IEND, the empty chunk and the last CRC; then without the checksum's last byte.
            let cut = split.len() - 12 - 12 - 4;
            same(&split[..cut], &whole, "split and cut");
            assert_eq!(verdict(&split[..cut - 1]), "truncated");
            // A wrong CRC in any of them is an error.
            let mut broken = split.clone();
            let last = broken.len() - 12 - 12 - 1;
            broken[last] ^= 1;
            assert_eq!(verdict(&broken), "corrupt");
        }
        // After another chunk, image data must not resume.
        let mut parted = chunks.clone();
        let (first, second) = chunks[at].1.split_at(chunks[at].1.len() / 2);
        parted.splice(
            at..=at,
            [
                (*b"IDAT", first.to_vec()),
                (*b"tEXt", b"a\0b".to_vec()),
                (*b"IDAT", second.to_vec()),
            ],
        );
        assert_eq!(verdict(&png_of(&parted)), "truncated");
    }
}

/// RGB, interlaced, with unfiltered rows.
fn interlaced(width: u32, height: u32) -> Vec<u8> {
    let picture = photo(width, height);
    let mut rows = Vec::new();
    for (x0, y0, dx, dy) in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ] {
        for y in (y0..height).step_by(dy) {
            if x0 < width {
                rows.push(0);
            }
            for x in (x0..width).step_by(dx) {
                rows.extend(picture.get_pixel(x, y).0);
            }
        }
    }
    png_of(&[header(width, height, 8, 2, 1), (*b"IDAT", zlib(&rows)), END])
}

#[test]
fn interlaced_png_is_the_same_picture() {
    for (width, height) in [(40, 24), (1, 1), (3, 2), (4, 9), (5, 1), (1, 5), (61, 45)] {
        let twin = run(&png(photo(width, height))).unwrap();
        same(&interlaced(width, height), &twin, "interlaced");
    }
}

#[test]
fn wrong_png_checksums_are_refused() {
    for file in [
        png(photo(40, 24)),
        png(translucent(40, 24)),
        interlaced(40, 24),
    ] {
        let mut chunks = chunks_of_png(&file);
        let data = &mut chunks
            .iter_mut()
            .find(|(kind, _)| kind == b"IDAT")
            .unwrap()
            .1;
        let adler = data.len() - 4;
        for at in adler..data.len() {
            chunks
                .iter_mut()
                .find(|(kind, _)| kind == b"IDAT")
                .unwrap()
                .1[at] ^= 1;
            assert_eq!(verdict(&png_of(&chunks)), "corrupt", "Adler-32 of {at}");
            chunks
                .iter_mut()
                .find(|(kind, _)| kind == b"IDAT")
                .unwrap()
                .1[at] ^= 1;
        }
        assert_eq!(verdict(&png_of(&chunks)), "ready");
        // The CRC of IHDR and of IDAT.
        for at in [29, file.len() - 13] {
            let mut broken = file.clone();
            broken[at] ^= 1;
            assert_eq!(verdict(&broken), "corrupt", "byte {at}");
        }
        // And in the file of another writer, whose last chunk contains only the Adler-32.
        let at = chunks.iter().position(|(kind, _)| kind == b"IDAT").unwrap();
        let (rows, mut adler) = {
            let data = &chunks[at].1;
            (
                data[..data.len() - 4].to_vec(),
                data[data.len() - 4..].to_vec(),
            )
        };
        adler[0] ^= 0x80;
        chunks.splice(at..=at, [(*b"IDAT", rows), (*b"IDAT", adler)]);
        assert_eq!(verdict(&png_of(&chunks)), "corrupt");
    }
}

#[test]
fn surplus_png_rows_are_ignored() {
    let file = png(photo(40, 24));
    let whole = run(&file).unwrap();
    let rows = {
        let mut data = Vec::new();
        let chunks = chunks_of_png(&file);
        std::io::Read::read_to_end(
            &mut flate2::read::ZlibDecoder::new(&chunks[1].1[..]),
            &mut data,
        )
        .unwrap();
        data
    };
    let with = |surplus: usize| {
        let rows = [&rows[..], &vec![0; surplus]].concat();
        png_of(&[header(40, 24, 8, 2, 0), (*b"IDAT", zlib(&rows)), END])
    };
    same(&with(0), &whole, "no surplus");
    same(&with(1000), &whole, "a surplus");
    // 20 MB, compressed to 20 kB in the file.
    assert_eq!(verdict(&with(20_000_000)), "corrupt");
}

#[test]
fn a_transparent_colour_with_a_wrong_checksum_is_ignored() {
    let file = png(photo(40, 24));
    let whole = run(&file).unwrap();
    let with = png_with(&file, &[(*b"tRNS", vec![0; 6])]);
    let mut broken = with.clone();
    let at = broken.windows(4).position(|kind| kind == b"tRNS").unwrap() + 10;
    broken[at] ^= 1;
    same(&broken, &whole, "tRNS");
    // Lengths that are invalid for the colour type.
    for length in [0, 2, 5, 7] {
        let with = png_with(&file, &[(*b"tRNS", vec![0; length])]);
        same(&with, &whole, "tRNS");
    }
}

fn fctl(sequence: u32, width: u32, height: u32) -> PngChunk {
    let mut data = [sequence, width, height, 0, 0]
        .map(u32::to_be_bytes)
        .concat();
    data.extend([0, 1, 0, 10, 0, 0]);
    (*b"fcTL", data)
}

fn actl(frames: u32) -> PngChunk {
    (*b"acTL", [frames.to_be_bytes(), [0; 4]].concat())
}

#[test]
fn frames_of_an_apng_are_counted() {
    let still = png(photo(40, 24));
    let whole = run(&still).unwrap();
    let frame = |sequence: u32| {
        let data = chunks_of_png(&still)[1].1.clone();
        (
            *b"fdAT",
            [&(sequence + 1).to_be_bytes(), &data[..]].concat(),
        )
    };
    let chunks = chunks_of_png(&still);
    let (head, data) = (chunks[0].clone(), chunks[1].clone());
    let first = fctl(0, 40, 24);
    for (what, chunks) in [
        ("one frame", vec![actl(1), first.clone(), data.clone(), END]),
        ("no frame", vec![actl(0), data.clone(), END]),
        (
            "one frame, which calls itself two",
            vec![actl(2), first.clone(), data.clone(), END],
        ),
        (
            "one frame, without an end",
            vec![actl(1), first.clone(), data.clone()],
        ),
        ("acTL behind the picture", vec![data.clone(), actl(2), END]),
        (
            "frames without acTL",
            vec![first.clone(), data.clone(), fctl(1, 40, 24), frame(1), END],
        ),
    ] {
        let file = png_of(&[std::slice::from_ref(&head), &chunks[..]].concat());
        same(&file, &whole, what);
    }
    for (what, chunks) in [
        (
            "two frames",
            vec![
                actl(2),
                first.clone(),
                data.clone(),
                fctl(1, 40, 24),
                frame(1),
                END,
            ],
        ),
        (
            "two frames, which call themselves one",
            vec![
                actl(1),
                first.clone(),
                data.clone(),
                fctl(1, 40, 24),
                frame(1),
                END,
            ],
        ),
        (
            "the second is cut off",
            vec![actl(2), first.clone(), data.clone()],
        ),
        // Programs that support APNG show the second picture, others the first.
        (
            "a picture beside the only frame",
            vec![actl(1), data.clone(), fctl(0, 40, 24), frame(0), END],
        ),
    ] {
        let file = png_of(&[std::slice::from_ref(&head), &chunks[..]].concat());
        assert_eq!(
            run(&file).unwrap_err(),
            Rejection::Animated(ImageType::Png),
            "{what}"
        );
    }
}

/// A WebP with a canvas of 40 by 24, whose flags say that it is animated, and further chunks.
fn animated_webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let canvas = [0x02, 0, 0, 0, 39, 0, 0, 23, 0, 0];
    let all: Vec<(&[u8; 4], &[u8])> = [(b"VP8X", &canvas[..]), (b"ANIM", &[0; 6])]
        .into_iter()
        .chain(chunks.iter().copied())
        .collect();
    riff(&all)
}

#[test]
fn frames_of_a_webp_are_counted() {
    let still = webp_lossy(&photo(40, 24));
    let whole = run(&still).unwrap();
    let frame = [
        &[0, 0, 0, 0, 0, 0, 39, 0, 0, 23, 0, 0, 100, 0, 0, 0],
        &still[12..],
    ]
    .concat();
    let one = animated_webp(&[(b"ANMF", &frame)]);
    same(&one, &whole, "one frame");
    same(
        &animated_webp(&[(b"VP8 ", &still[20..])]),
        &whole,
        "no frame",
    );
    same(
        &animated_webp(&[(b"ANMF", &frame), (b"XMP ", b"<x/>")]),
        &whole,
        "one frame and text",
    );
    let two = animated_webp(&[(b"ANMF", &frame), (b"ANMF", &frame)]);
    let animated = Err(Rejection::Animated(ImageType::WebP));
    assert_eq!(run(&two), animated);
    for length in [one.len() - 20, one.len(), one.len() + 30] {
        assert_eq!(verdict(&two[..length]), "truncated");
    }
}

#[test]
fn xcodes_png_is_not_called_damaged() {
    let mut chunks = chunks_of_png(&png(photo(40, 24)));
    chunks.insert(0, (*b"CgBI", vec![0x50, 0, 0x20, 2]));
    let rejection = run(&png_of(&chunks)).unwrap_err();
    assert_eq!(rejection, Rejection::UnsupportedType(Unsupported::PngCgbi));
    assert!(
        !rejection.message().contains("damaged"),
        "{}",
        rejection.message()
    );
}

/// A GIF of one picture, at its position on a canvas.
fn gif(canvas: (u16, u16), place: (u16, u16, u16, u16)) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend([canvas.0, canvas.1].map(u16::to_le_bytes).concat());
    // Two colours: red and blue.
    file.extend([0x80, 0, 0, 200, 30, 40, 20, 40, 210]);
    file.push(0x2c);
    file.extend(
        [place.0, place.1, place.2, place.3]
            .map(u16::to_le_bytes)
            .concat(),
    );
    file.extend([0, 2]);
    // A code for each pixel, of three bits, cleared often enough to keep that length.
    let mut bits = Vec::new();
    let mut put = |code: u8| bits.extend((0..3).map(|bit| code >> bit & 1 == 1));
    for pixel in 0..usize::from(place.2) * usize::from(place.3) {
        if pixel % 2 == 0 {
            put(4);
        }
        put(u8::from(
            pixel % usize::from(place.2) >= usize::from(place.2) / 2,
        ));
    }
    put(5);
    let codes: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        })
        .collect();
    for block in codes.chunks(255) {
        file.push(block.len() as u8);
        file.extend(block);
    }
    file.extend([0, 0x3b]);
    file
}

fn of_gif(file: &[u8]) -> Result<Thumbnailed, Rejection> {
    let settings = Settings {
        types: vec![ImageType::Gif],
        quality: 100,
        ..Settings::default()
    };
    thumbnail(file, &Declared::default(), &settings, None)
}

#[test]
fn gif_is_accepted_without_its_trailer() {
    let file = gif((40, 24), (0, 0, 40, 24));
    let whole = of_gif(&file).unwrap();
    let seen = image::load_from_memory(&whole.renditions[0].data)
        .unwrap()
        .to_rgb8();
    assert!(seen.get_pixel(5, 12)[0] > 150 && seen.get_pixel(35, 12)[2] > 150);
    let same = |file: &[u8], what: &str| {
        let made = of_gif(file).unwrap_or_else(|rejection| panic!("{what}: {rejection}"));
        assert_eq!(made.renditions, whole.renditions, "{what}");
    };
    let end = file.len();
    same(&file[..end - 1], "without its trailer");
    same(&file[..end - 2], "without the end of its blocks");
    for (what, more) in [
        ("a comment", &b"\x21\xfe\x04text\0\x3b"[..]),
        ("half a comment", b"\x21\xfe\x04te"),
        ("the beginning of a comment", b"\x21"),
        ("zeros", &[0, 0, 0, 0x3b]),
        ("rubbish", b"rubbish"),
    ] {
        same(&[&file[..end - 1], more].concat(), what);
    }
    // Truncated within its codes, even if these are closed as if they were complete.
    let codes = 13 + 6 + 10 + 1;
    for length in 0..end - 4 {
        let cut = of_gif(&file[..length]);
        assert!(cut.is_err(), "{length} of {end}");
        if length > 13 {
            assert!(
                matches!(cut, Err(Rejection::Truncated(_))),
                "{length}: {cut:?}"
            );
        }
    }
    for kept in 1..200 {
        let mut closed = file[..codes].to_vec();
        closed.push(kept);
        closed.extend(&file[codes + 1..codes + 1 + usize::from(kept)]);
        closed.extend([0, 0x3b]);
        assert!(of_gif(&closed).is_err(), "{kept}");
    }
}

#[test]
fn gif_with_a_canvas_too_small_or_empty_grows() {
    for (canvas, place, expected) in [
        ((0, 0), (0, 0, 40, 24), (40, 24)),
        ((40, 0), (0, 0, 40, 24), (40, 24)),
        ((20, 30), (0, 0, 40, 24), (40, 30)),
        ((40, 24), (8, 4, 40, 24), (48, 28)),
        ((0, 0), (2, 2, 40, 24), (42, 26)),
    ] {
        let made = of_gif(&gif(canvas, place)).unwrap();
        assert_eq!(
            (made.source.width, made.source.height),
            expected,
            "{canvas:?} {place:?}"
        );
        let seen = image::load_from_memory(&made.renditions[0].data)
            .unwrap()
            .to_rgba8();
        let at = |x: u16| {
            seen.get_pixel(u32::from(place.0 + x), u32::from(place.1 + 12))
                .0
        };
        assert!(at(5)[0] > 150 && at(5)[3] > 200, "{canvas:?}: {:?}", at(5));
        assert!(
            at(35)[2] > 150 && at(35)[3] > 200,
            "{canvas:?}: {:?}",
            at(35)
        );
    }
    let bomb = gif((0xffff, 0xffff), (0, 0, 40, 24));
    assert!(matches!(
        of_gif(&bomb),
        Err(Rejection::TooManyPixels { .. })
    ));
    let mut bomb = gif((0, 0), (0, 0, 40, 24));
    bomb[24..28].fill(0xff);
    assert!(matches!(
        of_gif(&bomb),
        Err(Rejection::TooManyPixels { .. })
    ));
}
