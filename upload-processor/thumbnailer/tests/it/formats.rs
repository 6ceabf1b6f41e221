//! Each kind of file gives the picture that it contains.

use super::samples::*;

#[test]
fn every_fixture_shows_the_photo() {
    let mut wrong = Vec::new();
    for name in ACCEPTED {
        let seen = best(&fixture(name));
        let expected = match name {
            // Its EXIF orientation is a quarter turn.
            "lossy.webp" => image::imageops::rotate90(&photo(61, 45)),
            _ => photo(61, 45),
        };
        let seen = if name.contains("grey") {
            let grey = image::DynamicImage::from(expected.clone()).to_luma8();
            let expected = image::DynamicImage::from(grey).to_rgb8();
            difference(&seen.to_rgb8(), &expected)
        } else if name.starts_with("alpha") {
            // The colour of transparent pixels does not matter: the lower half is mostly opaque.
            let half = |picture: &image::RgbImage| {
                image::imageops::crop_imm(picture, 0, 23, 61, 22).to_image()
            };
            assert!(seen.color().has_alpha(), "{name}");
            difference(&half(&seen.to_rgb8()), &half(&expected))
        } else {
            assert!(!seen.color().has_alpha(), "{name}");
            difference(&seen.to_rgb8(), &expected)
        };
        println!("{name}: {seen:.1}");
        if seen > 16.0 {
            wrong.push((name, seen));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn deep_and_grey_png() {
    for (name, picture) in [
        (
            "16 bits",
            image::DynamicImage::from(photo(61, 45)).into_rgb16().into(),
        ),
        (
            "16 bits and alpha",
            image::DynamicImage::from(photo(61, 45))
                .into_rgba16()
                .into(),
        ),
        (
            "grey and alpha",
            image::DynamicImage::from(photo(61, 45))
                .into_luma_alpha8()
                .into(),
        ),
        (
            "grey of 16 bits",
            image::DynamicImage::from(photo(61, 45))
                .into_luma16()
                .into(),
        ),
    ] {
        let picture: image::DynamicImage = picture;
        let seen = best(&png(picture.clone())).to_rgb8();
        assert!(difference(&seen, &picture.to_rgb8()) < 8.0, "{name}");
    }
}

#[test]
fn alpha_is_kept_if_a_pixel_is_transparent() {
    let seen = best(&png(translucent(61, 45))).to_rgba8();
    assert_eq!(seen.get_pixel(30, 0)[3], 0);
    assert!(seen.get_pixel(30, 44)[3] > 240);

    let mut opaque = translucent(61, 45);
    opaque.pixels_mut().for_each(|pixel| pixel[3] = 255);
    assert!(!best(&png(opaque)).color().has_alpha());
}

#[test]
fn transparent_pixels_do_not_bleed() {
    // White under transparent pixels, black beside them: the edge must stay black after resizing.
    let picture = image::RgbaImage::from_fn(640, 64, |x, _| {
        image::Rgba(if x < 320 {
            [255, 255, 255, 0]
        } else {
            [0, 0, 0, 255]
        })
    });
    let made = run(&png(picture)).unwrap();
    let small = image::load_from_memory(&made.renditions[1].data)
        .unwrap()
        .to_rgba8();
    assert_eq!(small.width(), 320);
    for pixel in small.pixels().filter(|pixel| pixel[3] > 200) {
        assert!(pixel[0] < 40, "{pixel:?}");
    }
}

#[test]
fn data_after_the_picture_is_ignored() {
    for (name, mut file) in accepted() {
        let alone = run(&file).unwrap();
        file.extend(b"ftypmp42 a film of the moment before, \xff\xd8\xff and a second picture");
        let followed = run(&file).unwrap();
        assert_eq!(alone.renditions, followed.renditions, "{name}");
    }
}

#[test]
fn malformed_metadata_is_ignored() {
    // A garbage segment of each kind that decoders usually parse, after SOI.
    let mut file = fixture("baseline-420.jpg");
    let alone = run(&file).unwrap();
    for (marker, text) in [
        (0xe1, &b"Exif\0\0II*\0\xff\xff\xff\xff"[..]),
        (0xe1, b"http://ns.adobe.com/xmp/extension/\0cut"),
        (0xe2, b"ICC_PROFILE\0\x02\x01"),
        (0xed, b"Photoshop 3.0\0"),
        (0xee, b"Adobe\0\x64\0\0\0\0\x07"),
        (0xfe, b""),
    ] {
        let length = (text.len() as u16 + 2).to_be_bytes();
        file.splice(2..2, [&[0xff, 0xff, marker], &length[..], text].concat());
    }
    assert_eq!(run(&file).unwrap().renditions, alone.renditions);

    // PNG: an iCCP that does not inflate, with a wrong checksum.
    let mut file = png(photo(40, 24));
    let alone = run(&file).unwrap();
    file.splice(33..33, *b"\0\0\0\x06iCCPa\0\0bad\0\0\0\0");
    assert_eq!(run(&file).unwrap().renditions, alone.renditions);
}

#[test]
fn stray_bytes_are_dropped() {
    for name in [
        "baseline-420.jpg",
        "baseline-420-restart.jpg",
        "progressive-420.jpg",
    ] {
        let file = fixture(name);
        let alone = run(&file).unwrap();
        // Before the EOI, and after the first segment.
        let end = file.len() - 2;
        for (at, stray) in [
            (end, &[0; 5000][..]),
            (end, b"some leftover of a buffer"),
            (end, &[0xff; 30]),
            (20, b"\0\xe1\0\x0eExif, without FF"),
            (20, &[0xff, 0, 0xff, 0]),
        ] {
            let mut file = file.clone();
            file.splice(at..at, stray.iter().copied());
            assert_eq!(
                run(&file).unwrap().renditions,
                alone.renditions,
                "{name}: {} at {at}",
                stray.escape_ascii()
            );
        }
    }
}
