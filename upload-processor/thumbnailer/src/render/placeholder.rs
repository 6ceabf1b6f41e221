//! Makes the placeholder of a picture: a `ThumbHash`, which browsers show as a blur until a rendition has arrived.
//!
//! `render` calls it with the smallest picture.

use fast_image_resize::PixelType;

use crate::plan::scale;
use crate::window::Window;

use super::convert::{interleave, rgb_of_ycbcr};
use super::resize::{ResizedPixels, Scaler};

/// The `ThumbHash` of the picture, reduced to 100 pixels.
pub(super) fn placeholder(small: &ResizedPixels) -> Vec<u8> {
    let longest = small.width().max(small.height());
    let side = |side| scale(side, longest.min(PLACEHOLDER_SIDE), longest);
    let size = (side(small.width()), side(small.height()));
    let mut scaler = Scaler::new();
    let rgba: Vec<u8> = match small {
        ResizedPixels::Pixels(pixels) => {
            let pixels = scaler.resize_pixels(pixels, size);
            let channels = if pixels.alpha { 4 } else { 3 };
            pixels
                .data
                .chunks_exact(channels)
                .flat_map(|pixel| {
                    let opaque = pixel.get(3).copied().unwrap_or(u8::MAX);
                    [pixel[0], pixel[1], pixel[2], opaque]
                })
                .collect()
        }
        ResizedPixels::YCbCr(planes) => {
            let luma = (planes.width, planes.height);
            let y = scaler.run(&planes.y, luma, size, PixelType::U8);
            let window = Window::of(planes.colour_extent());
            let mut colour = |plane| scaler.run_window(plane, planes.chroma_size(), window, size);
            let (cb, cr) = (colour(&planes.cb), colour(&planes.cr));
            interleave([&y, &cb, &cr], |ycbcr| {
                let [r, g, b] = rgb_of_ycbcr(ycbcr);
                [r, g, b, u8::MAX]
            })
        }
    };
    thumbhash::rgba_to_thumb_hash(size.0 as usize, size.1 as usize, &rgba)
}

/// The largest side that `ThumbHash` accepts.
const PLACEHOLDER_SIDE: u32 = 100;
