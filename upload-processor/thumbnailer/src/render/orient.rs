//! Turns small pictures upright, as their EXIF orientation says.
//!
//! `resize` calls it after a picture is small.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use crate::raster::Pixels;

/// Applies an EXIF orientation to a plane.
pub(super) fn turn(
    plane: Vec<u8>,
    (width, height): (u32, u32),
    orientation: Orientation,
) -> Vec<u8> {
    if orientation == Orientation::NoTransforms {
        return plane;
    }
    // The buffer has the size that the constructor expects.
    let mut image =
        DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, plane).unwrap_or_default());
    image.apply_orientation(orientation);
    image.into_bytes()
}

/// Applies an EXIF orientation.
pub(super) fn turn_pixels(pixels: Pixels, orientation: Orientation) -> Pixels {
    if orientation == Orientation::NoTransforms {
        return pixels;
    }
    let Pixels {
        width,
        height,
        alpha,
        grey,
        data,
    } = pixels;
    // Each buffer has the size that `Pixels` promises.
    let image = if alpha {
        RgbaImage::from_raw(width, height, data).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8)
    };
    let mut image = image.unwrap_or_default();
    image.apply_orientation(orientation);
    Pixels {
        width: image.width(),
        height: image.height(),
        alpha,
        grey,
        data: image.into_bytes(),
    }
}
