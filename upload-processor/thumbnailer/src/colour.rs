//! Colours as they were meant: from a picture's own profile (ICC.1) to sRGB, which is what browsers take a picture
//! without profile for.
//!
//! Called by `render`, on small pictures only. A profile that cannot be read changes nothing: it never makes a picture
//! a bad one.

use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, RenderingIntent, TransformExecutor,
    TransformOptions,
};
use std::sync::Arc;

use crate::decode::Pixels;

/// A profile of more bytes is not read. The largest for printing have some two million.
const MAX_PROFILE_BYTES: usize = 4 << 20;

/// A way to sRGB.
pub(crate) struct ToSrgb {
    transform: Arc<dyn TransformExecutor<u8> + Send + Sync>,
    space: Space,
}

/// What a picture's samples are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Space {
    Grey,
    Rgb,
    /// Of ink: 255 is all of it.
    Cmyk,
}

impl ToSrgb {
    /// The way from a profile, for samples of this kind. `None` where nothing is to be done: the profile is sRGB, or is
    /// about other samples, or makes no sense.
    pub(crate) fn new(profile: &[u8], space: Space) -> Option<Self> {
        let options = ParsingOptions {
            max_profile_size: MAX_PROFILE_BYTES,
            ..ParsingOptions::default()
        };
        let source = ColorProfile::new_from_slice_with_options(profile, options).ok()?;
        let (expected, layout) = match space {
            Space::Grey => (DataColorSpace::Gray, Layout::Gray),
            Space::Rgb => (DataColorSpace::Rgb, Layout::Rgb),
            // moxcms has four channels as one layout.
            Space::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba),
        };
        if source.color_space != expected {
            return None;
        }
        // A profile of tables may have them for one intent only.
        let transform = [
            RenderingIntent::RelativeColorimetric,
            RenderingIntent::Perceptual,
        ]
        .into_iter()
        .find_map(|rendering_intent| {
            let options = TransformOptions {
                rendering_intent,
                ..TransformOptions::default()
            };
            source
                .create_transform_8bit(layout, &ColorProfile::new_srgb(), Layout::Rgb, options)
                .ok()
        })?;
        let to_srgb = Self { transform, space };
        (!to_srgb.changes_nothing()).then_some(to_srgb)
    }

    /// Whether colours all over the space stay as they are, to a rounding: most profiles are sRGB in other words.
    fn changes_nothing(&self) -> bool {
        let steps = || (0..=255_u8).step_by(51);
        let (samples, same): (Vec<u8>, Vec<u8>) = match self.space {
            Space::Grey => (
                steps().collect(),
                steps().flat_map(|grey| [grey; 3]).collect(),
            ),
            Space::Rgb => {
                let colours: Vec<u8> = steps()
                    .flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b])))
                    .collect();
                (colours.clone(), colours)
            }
            Space::Cmyk => return false,
        };
        self.run(&samples)
            .is_some_and(|seen| seen.iter().zip(&same).all(|(a, b)| a.abs_diff(*b) <= 2))
    }

    /// RGB of samples. Black ink and light of one kind become three channels.
    pub(crate) fn run(&self, samples: &[u8]) -> Option<Vec<u8>> {
        let channels = match self.space {
            Space::Grey => 1,
            Space::Rgb => 3,
            Space::Cmyk => 4,
        };
        let mut rgb = vec![0; samples.len() / channels * 3];
        self.transform.transform(samples, &mut rgb).ok()?;
        Some(rgb)
    }

    /// Converts RGB or RGBA in place; where the samples are grey, their first channel is it.
    pub(crate) fn convert(&self, pixels: &mut Pixels) {
        let channels = if pixels.alpha { 4 } else { 3 };
        let used = if self.space == Space::Grey { 1 } else { 3 };
        let samples: Vec<u8> = pixels
            .data
            .chunks_exact(channels)
            .flat_map(|pixel| &pixel[..used])
            .copied()
            .collect();
        if let Some(rgb) = self.run(&samples) {
            for (pixel, rgb) in pixels
                .data
                .chunks_exact_mut(channels)
                .zip(rgb.as_chunks::<3>().0)
            {
                pixel[..3].copy_from_slice(rgb);
            }
        }
    }
}
