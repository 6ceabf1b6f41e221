//! Animations: refused, or represented by their first frame.

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use thumbnailer::inspect::Declared;
use thumbnailer::rejection::Rejection;
use thumbnailer::settings::{Animated, ImageType, OutputFormat, Settings};
use thumbnailer::thumbnail::{Thumbnailed, thumbnail};

use crate::samples::*;

fn gif(colours: &[[u8; 4]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    for colour in colours {
        let picture = RgbaImage::from_pixel(40, 24, Rgba(*colour));
        let delay = Delay::from_numer_denom_ms(100, 1);
        encoder
            .encode_frame(Frame::from_parts(picture, 0, 0, delay))
            .unwrap();
    }
    drop(encoder);
    file
}

fn with(bytes: &[u8], animated: Animated) -> Result<Thumbnailed, Rejection> {
    let settings = Settings {
        types: vec![ImageType::Gif, ImageType::Png, ImageType::WebP],
        animated,
        quality: 100,
        formats: vec![OutputFormat::WebP],
        ..Settings::default()
    };
    thumbnail(bytes, &Declared::default(), &settings, None)
}

fn middle(made: &Thumbnailed) -> [u8; 4] {
    let picture = image::load_from_memory(&made.renditions[0].data)
        .unwrap()
        .to_rgba8();
    picture
        .get_pixel(picture.width() / 2, picture.height() / 2)
        .0
}

#[test]
fn gif_is_read_where_it_is_allowed() {
    let still = gif(&[[200, 30, 40, 255]]);
    assert_eq!(verdict(&still), "unsupported_type");
    let made = with(&still, Animated::Reject).unwrap();
    assert_eq!((made.source.width, made.source.height), (40, 24));
    let [r, g, b, a] = middle(&made);
    assert!(r > 180 && g < 60 && b < 70 && a == 255, "{r} {g} {b} {a}");
    // Data after the trailer is ignored.
    let followed = [&still[..], b"and more"].concat();
    assert_eq!(
        with(&followed, Animated::Reject).unwrap().renditions,
        made.renditions
    );
}

#[test]
fn an_animation_is_its_first_frame_or_refused() {
    let moving = gif(&[[30, 200, 40, 255], [0, 0, 255, 255], [9, 9, 9, 255]]);
    for (name, file) in [
        ("gif", moving.clone()),
        ("png", fixture("animated.png")),
        ("webp", fixture("animated.webp")),
    ] {
        let refused = with(&file, Animated::Reject).unwrap_err();
        assert_eq!(refused.code(), "animated", "{name}");
        let made = with(&file, Animated::FirstFrame);
        assert!(made.is_ok(), "{name}: {made:?}");
    }
    let [r, g, b, _] = middle(&with(&moving, Animated::FirstFrame).unwrap());
    assert!(r < 60 && g > 180 && b < 70, "{r} {g} {b}");
}

#[test]
fn a_frame_keeps_its_position_on_the_canvas() {
    // A canvas of 40 by 24 whose first frame is 8 by 8, opaque, at 4, 2.
    let frame = image::RgbImage::from_pixel(8, 8, image::Rgb([250, 10, 10]));
    let still = webp_lossless(frame);
    let bitstream = &still[12..];
    let mut anmf = vec![2, 0, 0, 1, 0, 0, 7, 0, 0, 7, 0, 0, 100, 0, 0, 0];
    anmf.extend(bitstream);
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut chunk = [&kind[..], &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    let body = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &[0x12, 0, 0, 0, 39, 0, 0, 23, 0, 0]),
        chunk(b"ANIM", &[0; 6]),
        chunk(b"ANMF", &anmf),
    ]
    .concat();
    let file = chunk(b"RIFF", &body);
    let made = with(&file, Animated::FirstFrame).unwrap();
    assert_eq!((made.source.width, made.source.height), (40, 24));
    let picture = image::load_from_memory(&made.renditions[0].data)
        .unwrap()
        .to_rgba8();
    for (x, y, opaque) in [
        (8, 6, true),
        (3, 6, false),
        (12, 6, false),
        (8, 1, false),
        (8, 10, false),
    ] {
        assert_eq!(picture.get_pixel(x, y)[3] > 128, opaque, "{x} {y}");
    }

    // A frame that extends beyond its canvas.
    let mut beyond = file.clone();
    let at = beyond.windows(4).position(|kind| kind == b"ANMF").unwrap();
    beyond[at + 8] = 17;
    assert_eq!(
        with(&beyond, Animated::FirstFrame).unwrap_err().code(),
        "corrupt"
    );
}
