//! Colour conversion to sRGB, which browsers assume for a picture without colour information.
//!
//! A file describes its colours by a profile (ICC.1) or by numbers: PNG's cICP, gAMA and cHRM. `render` converts small
//! pictures, and `png` converts rows of 16 bits. HDR (PQ and HLG, ITU-R BT.2100) is tone-mapped to the range of sRGB. A
//! malformed profile is ignored; it is never a reason to reject a picture.

mod described;
mod light;
mod matrix;
mod profile;
mod transfer;

use std::sync::Arc;

use crate::raster::{Pixels, Space, narrow};

pub(crate) use self::described::Described;
pub(crate) use self::profile::MAX_PROFILE_BYTES;

use self::light::{Depth, Light};
use self::profile::{Conversion, conversion_of};

/// Every profile begins with a header of this size (ICC.1 §7.2).
const HEADER_BYTES: usize = 128;

/// The colour information of a file.
#[derive(Clone, Debug)]
pub(crate) enum Colours {
    /// An unparsed profile (ICC.1).
    Profile(Arc<[u8]>),
    Described(Described),
}

/// A conversion to sRGB.
#[derive(Clone)]
pub(crate) struct ToSrgb {
    conversion: Conversion,
    space: Space,
}

impl std::fmt::Debug for ToSrgb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ToSrgb({:?})", self.space)
    }
}

impl Colours {
    /// The profile of a file, unless it is too long to be parsed.
    pub(crate) fn of_profile(profile: &[u8]) -> Option<Self> {
        let is_worth_it = (HEADER_BYTES..=MAX_PROFILE_BYTES).contains(&profile.len());
        is_worth_it.then(|| Self::Profile(profile.into()))
    }

    /// An upper bound of the memory for keeping and applying it, in bytes: the profile, its parsed form (tables in 32
    /// bits for 8 or 16), and tables for 16-bit samples.
    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Profile(profile) => 8 * profile.len() as u64 + (2 << 20),
            Self::Described(_) => 1 << 20,
        }
    }
}

impl ToSrgb {
    /// The conversion for a file's 8-bit samples of this kind. `None` if no conversion is needed or possible: the
    /// colours are sRGB, describe other samples, or are invalid.
    pub(crate) fn new(colours: &Colours, space: Space) -> Option<Self> {
        Self::with_depth(colours, space, Depth::Eight)
    }

    /// The same for 16-bit samples.
    pub(crate) fn new_deep(colours: &Colours, space: Space) -> Option<Self> {
        Self::new(colours, space)?;
        Self::with_depth(colours, space, Depth::Sixteen)
    }

    fn with_depth(colours: &Colours, space: Space, depth: Depth) -> Option<Self> {
        let conversion = match colours {
            // Numbers describe light; no format uses them for ink.
            Colours::Described(_) if space == Space::Cmyk => return None,
            Colours::Described(described) => {
                let curve = described.curve;
                let light = |value| curve.light(value);
                let range = curve.range(described.peak);
                Conversion::Light(Light::new(
                    light,
                    &described.matrix,
                    range,
                    depth,
                    described.is_narrow,
                ))
            }
            Colours::Profile(profile) => conversion_of(profile, space, depth)?,
        };
        let to_srgb = Self { conversion, space };
        (depth == Depth::Sixteen || !to_srgb.changes_nothing()).then_some(to_srgb)
    }

    /// Whether colours from the whole space stay the same up to rounding: most profiles describe sRGB.
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

    /// Converts samples to RGB. CMYK and grey both become three channels.
    pub(crate) fn run(&self, samples: &[u8]) -> Option<Vec<u8>> {
        let channels = match self.space {
            Space::Grey => 1,
            Space::Rgb => 3,
            Space::Cmyk => 4,
        };
        let mut rgb = vec![0; samples.len() / channels * 3];
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        match &self.conversion {
            Conversion::Profile(transform) => transform.transform(samples, &mut rgb).ok()?,
            Conversion::DeepProfile(_) => return None,
            Conversion::Light(light) if self.space == Space::Grey => {
                for (rgb, grey) in pixels.iter_mut().zip(samples) {
                    *rgb = [light.grey(usize::from(*grey)); 3];
                }
            }
            Conversion::Light(light) => {
                for (rgb, pixel) in pixels.iter_mut().zip(samples.as_chunks::<3>().0) {
                    *rgb = light.colour(pixel.map(usize::from));
                }
            }
        }
        Some(rgb)
    }

    /// Converts 16-bit samples of one or three channels to as many 8-bit ones. Returns `false` if the conversion is for
    /// other samples.
    pub(crate) fn run_deep(&self, samples: &[u16], to: &mut Vec<u8>) -> bool {
        match (&self.conversion, self.space) {
            (Conversion::Profile(_), _) | (_, Space::Cmyk) => return false,
            (Conversion::DeepProfile(transform), space) => {
                let n_pixels = samples.len() / if space == Space::Grey { 1 } else { 3 };
                let mut rgb = vec![0; 3 * n_pixels];
                if transform.transform(samples, &mut rgb).is_err() {
                    return false;
                }
                let step = if space == Space::Grey { 3 } else { 1 };
                to.extend(rgb.iter().step_by(step).map(|value| narrow(*value)));
            }
            (Conversion::Light(light), Space::Grey) => {
                to.extend(samples.iter().map(|grey| light.grey(usize::from(*grey))));
            }
            (Conversion::Light(light), Space::Rgb) => {
                let pixels = samples.as_chunks::<3>().0.iter();
                to.extend(pixels.flat_map(|pixel| light.colour(pixel.map(usize::from))));
            }
        }
        true
    }

    /// Converts RGB or RGBA in place; for grey pictures only the first channel counts.
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
