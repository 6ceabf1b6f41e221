//! Colour conversion to sRGB, which browsers assume for a picture without colour information.
//!
//! A file describes its colours by a profile (ICC.1) or by numbers: PNG's cICP, gAMA and cHRM. `render` converts small
//! pictures, and `png` converts rows of 16 bits. HDR (PQ and HLG, ITU-R BT.2100) is tone-mapped to the range of sRGB. A
//! malformed profile is ignored; it is never a reason to reject a picture.

use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, RenderingIntent, ToneReprCurve,
    TransferCharacteristics, TransformExecutor, TransformOptions,
};
use std::sync::{Arc, LazyLock};

use crate::decode::Pixels;
use crate::png::narrow;

use self::matrix::{Matrix, between};

mod matrix;

/// The maximum size of a profile that is parsed. The largest printing profiles have about two million bytes.
pub(crate) const MAX_PROFILE_BYTES: usize = 4 << 20;

/// Every profile begins with a header of this size (ICC.1 §7.2).
const HEADER_BYTES: usize = 128;

/// The colour information of a file.
#[derive(Clone, Debug)]
pub(crate) enum Colours {
    /// An unparsed profile (ICC.1).
    Profile(Arc<[u8]>),
    Described(Described),
}

/// Colours described by numbers.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The conversion to linear sRGB.
    matrix: Matrix,
    curve: Curve,
    /// Whether black is 16 and white is 235 of 255.
    is_narrow: bool,
    /// The brightest pixel, in candelas per square metre.
    peak: Option<f32>,
}

/// The transfer function from samples to light (ITU-T H.273, table 3), as browsers apply it: they do not support
/// logarithmic curves and BT.1361.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Curve {
    Srgb,
    Power(f64),
    Smpte240,
    /// Digital cinema, whose white is 48 candelas per square metre.
    Smpte428,
    /// SMPTE ST 2084: absolute, up to 10,000 candelas per square metre.
    Pq,
    /// Scene light; the display's OOTF is applied afterwards.
    Hlg,
}

/// A conversion to sRGB.
#[derive(Clone)]
pub(crate) struct ToSrgb {
    way: Way,
    space: Space,
}

impl std::fmt::Debug for ToSrgb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ToSrgb({:?})", self.space)
    }
}

#[derive(Clone)]
enum Way {
    Profile(Arc<dyn TransformExecutor<u8> + Send + Sync>),
    DeepProfile(Arc<dyn TransformExecutor<u16> + Send + Sync>),
    Light(Light),
}

/// The kind of a picture's samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Space {
    Grey,
    Rgb,
    /// Amounts of ink: 255 is the maximum.
    Cmyk,
}

/// A conversion from samples to light, and from light to sRGB.
#[derive(Clone)]
struct Light {
    /// A table per channel (red, green, blue) with the light of each 8-bit or 16-bit sample; 1 is white.
    tables: [Arc<[f32]>; 3],
    matrix: [[f32; 3]; 3],
    range: Option<Range>,
}

/// HDR parameters: light may exceed reference white.
#[derive(Clone, Copy)]
struct Range {
    /// The brightest light, as a multiple of reference white.
    peak: f32,
    is_hlg: bool,
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

impl Described {
    /// Colours from a cICP chunk (PNG §11.3.2.6): primaries, curve, matrix, range. `None` if a value is reserved in
    /// H.273 or not allowed in PNG.
    pub(crate) fn of_cicp(cicp: [u8; 4], peak: Option<f32>) -> Option<Self> {
        let [primaries, curve, 0, range @ (0 | 1)] = cicp else {
            return None;
        };
        Some(Self {
            matrix: between(primaries_of(primaries)?)?,
            curve: curve_of(curve)?,
            is_narrow: range == 0,
            peak,
        })
    }

    /// Colours from gAMA and cHRM (§11.3.2.2, §11.3.2.1), in units of 1/100,000: the inverse of the exponent; x and y
    /// of white, red, green and blue.
    pub(crate) fn of_gamma(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<Self> {
        // Browsers ignore chromaticities without a gamma.
        let gamma = gamma.filter(|gamma| (1_000..1_000_000).contains(gamma))?;
        let primaries =
            chromaticities.map(|values| values.map(|value| f64::from(value) / 100_000.0));
        let matrix = primaries.and_then(between);
        let curve = match gamma {
            // Writers of sRGB store this value as an approximation (§11.3.2.5).
            45_400..=45_500 if matrix.is_none() => Curve::Srgb,
            gamma => Curve::Power(100_000.0 / f64::from(gamma)),
        };
        Some(Self {
            matrix: matrix.unwrap_or(matrix::IDENTITY),
            curve,
            is_narrow: false,
            peak: None,
        })
    }
}

/// The chromaticities of white, red, green and blue (H.273, table 2).
fn primaries_of(code: u8) -> Option<[f64; 8]> {
    const D65: [f64; 2] = [0.3127, 0.3290];
    const C: [f64; 2] = [0.310, 0.316];
    let (white, [rx, ry, gx, gy, bx, by]) = match code {
        1 => (D65, [0.640, 0.330, 0.300, 0.600, 0.150, 0.060]),
        4 => (C, [0.67, 0.33, 0.21, 0.71, 0.14, 0.08]),
        5 => (D65, [0.64, 0.33, 0.29, 0.60, 0.15, 0.06]),
        6 | 7 => (D65, [0.630, 0.340, 0.310, 0.595, 0.155, 0.070]),
        8 => (C, [0.681, 0.319, 0.243, 0.692, 0.145, 0.049]),
        9 => (D65, [0.708, 0.292, 0.170, 0.797, 0.131, 0.046]),
        10 => ([1.0 / 3.0; 2], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        11 => ([0.314, 0.351], [0.680, 0.320, 0.265, 0.690, 0.150, 0.060]),
        12 => (D65, [0.680, 0.320, 0.265, 0.690, 0.150, 0.060]),
        22 => (D65, [0.630, 0.340, 0.295, 0.605, 0.155, 0.077]),
        _ => return None,
    };
    Some([white[0], white[1], rx, ry, gx, gy, bx, by])
}

fn curve_of(code: u8) -> Option<Curve> {
    Some(match code {
        // Recordings from BT.709, BT.601 or BT.2020 cameras are intended for a display gamma of 2.4 (BT.1886).
        1 | 6 | 11 | 14 | 15 => Curve::Power(2.4),
        4 => Curve::Power(2.2),
        5 => Curve::Power(2.8),
        7 => Curve::Smpte240,
        8 => Curve::Power(1.0),
        13 => Curve::Srgb,
        16 => Curve::Pq,
        17 => Curve::Smpte428,
        18 => Curve::Hlg,
        _ => return None,
    })
}

impl Curve {
    /// The light of a sample from 0 to 1. The result 1 is white; for HLG it is the brightest light of the scene.
    fn light(self, value: f64) -> f64 {
        match self {
            Self::Srgb if value <= 0.040_45 => value / 12.92,
            Self::Srgb => ((value + 0.055) / 1.055).powf(2.4),
            Self::Power(exponent) => value.powf(exponent),
            Self::Smpte240 if value < 0.0913 => value / 4.0,
            Self::Smpte240 => ((value + 0.1115) / 1.1115).powf(1.0 / 0.45),
            Self::Smpte428 => value.powf(2.6) * 52.37 / 48.0,
            Self::Pq => pq(value) / f64::from(WHITE),
            Self::Hlg => hlg(value),
        }
    }
}

/// The light of a PQ sample in candelas per square metre (BT.2100, table 4).
fn pq(value: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16_384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (
        3424.0 / 4096.0,
        2413.0 / 4096.0 * 32.0,
        2392.0 / 4096.0 * 32.0,
    );
    let power = value.powf(1.0 / m2);
    10_000.0 * ((power - c1).max(0.0) / (c2 - c3 * power)).powf(1.0 / m1)
}

/// The scene light of an HLG sample (BT.2100, table 5).
fn hlg(value: f64) -> f64 {
    let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
    if value <= 0.5 {
        value * value / 3.0
    } else {
        (((value - c) / a).exp() + b) / 12.0
    }
}

/// HDR reference white, in candelas per square metre (ITU-R BT.2408).
const WHITE: f32 = 203.0;
/// The assumed peak of a file that does not name one, in candelas per square metre: that of common HDR screens.
const PEAK: f32 = 1000.0;

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
        let way = match colours {
            // Numbers describe light; no format uses them for ink.
            Colours::Described(_) if space == Space::Cmyk => return None,
            Colours::Described(described) => {
                let curve = described.curve;
                let light = |value| curve.light(value);
                let range = curve.range(described.peak);
                Way::Light(Light::new(
                    light,
                    &described.matrix,
                    range,
                    depth,
                    described.is_narrow,
                ))
            }
            Colours::Profile(profile) => way_of_profile(profile, space, depth)?,
        };
        let to_srgb = Self { way, space };
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
        match &self.way {
            Way::Profile(transform) => transform.transform(samples, &mut rgb).ok()?,
            Way::DeepProfile(_) => return None,
            Way::Light(light) if self.space == Space::Grey => {
                for (rgb, grey) in pixels.iter_mut().zip(samples) {
                    *rgb = [light.grey(usize::from(*grey)); 3];
                }
            }
            Way::Light(light) => {
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
        match (&self.way, self.space) {
            (Way::Profile(_), _) | (_, Space::Cmyk) => return false,
            (Way::DeepProfile(transform), space) => {
                let n_pixels = samples.len() / if space == Space::Grey { 1 } else { 3 };
                let mut rgb = vec![0; 3 * n_pixels];
                if transform.transform(samples, &mut rgb).is_err() {
                    return false;
                }
                let step = if space == Space::Grey { 3 } else { 1 };
                to.extend(rgb.iter().step_by(step).map(|value| narrow(*value)));
            }
            (Way::Light(light), Space::Grey) => {
                to.extend(samples.iter().map(|grey| light.grey(usize::from(*grey))));
            }
            (Way::Light(light), Space::Rgb) => {
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    Eight,
    Sixteen,
}

impl Curve {
    fn range(self, peak: Option<f32>) -> Option<Range> {
        let is_hlg = self == Self::Hlg;
        (is_hlg || self == Self::Pq).then(|| Range {
            // The nominal HLG display has 1000 candelas per square metre.
            peak: peak.filter(|_| !is_hlg).unwrap_or(PEAK) / WHITE,
            is_hlg,
        })
    }
}

/// The conversion that a profile describes.
fn way_of_profile(profile: &[u8], space: Space, depth: Depth) -> Option<Way> {
    let options = ParsingOptions {
        // The bound is exclusive.
        max_profile_size: MAX_PROFILE_BYTES + 1,
        ..ParsingOptions::default()
    };
    let source = ColorProfile::new_from_slice_with_options(profile, options).ok()?;
    let (expected, layout) = match space {
        Space::Grey => (DataColorSpace::Gray, Layout::Gray),
        Space::Rgb => (DataColorSpace::Rgb, Layout::Rgb),
        // moxcms uses one layout for all four-channel samples.
        Space::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba),
    };
    if source.color_space != expected {
        return None;
    }
    let light = high_range(&source, space, depth)
        .or_else(|| lightness(&source, depth))
        .or_else(|| curves_and_matrix(&source, space, depth));
    if let Some(light) = light {
        return Some(Way::Light(light));
    }
    // A profile with tables may have them for only one intent.
    [
        RenderingIntent::RelativeColorimetric,
        RenderingIntent::Perceptual,
    ]
    .into_iter()
    .find_map(|rendering_intent| {
        let options = TransformOptions {
            rendering_intent,
            // Its 13 bits are too coarse for dark colours in 16.
            prefer_fixed_point: depth == Depth::Eight,
            ..TransformOptions::default()
        };
        let srgb = ColorProfile::new_srgb();
        match depth {
            Depth::Eight => source
                .create_transform_8bit(layout, &srgb, Layout::Rgb, options)
                .ok()
                .map(Way::Profile),
            Depth::Sixteen => source
                .create_transform_16bit(layout, &srgb, Layout::Rgb, options)
                .ok()
                .map(Way::DeepProfile),
        }
    })
}

/// PQ or HLG in a profile, recognised by its cicp tag or by the shape of its curve. Such a profile maps 10,000 candelas
/// to white, so without tone mapping pictures come out nearly black.
fn high_range(source: &ColorProfile, space: Space, depth: Depth) -> Option<Light> {
    let trc = match space {
        Space::Grey => &source.gray_trc,
        Space::Rgb => &source.red_trc,
        Space::Cmyk => return None,
    };
    let cicp = source.cicp.as_ref();
    let curve = match cicp.map(|cicp| cicp.transfer_characteristics) {
        Some(TransferCharacteristics::Smpte2084) => Curve::Pq,
        Some(TransferCharacteristics::Hlg) => Curve::Hlg,
        _ => {
            let trc = curve_of_profile(trc.as_ref()?)?;
            let is_like = |curve: fn(f64) -> f64| {
                [0.25, 0.5, 0.625, 0.75, 0.875].into_iter().all(|value| {
                    let expected = curve(value);
                    (trc(value) - expected).abs() <= 0.05 * expected + 0.000_1
                })
            };
            if is_like(|value| pq(value) / 10_000.0) {
                Curve::Pq
            } else if is_like(hlg)
                // With the OOTF of a 1000-candela display, and with a raised black level (β), as moxcms writes it.
                || is_like(|value| hlg(value).powf(1.2))
                || is_like(|value| hlg(0.96 * value + 0.04))
            {
                Curve::Hlg
            } else {
                return None;
            }
        }
    };
    let of_colorants = || {
        let matrix = source.transform_matrix(&ColorProfile::new_srgb()).v;
        let is_usable = matrix.iter().flatten().all(|value| value.is_finite())
            && matrix.iter().flatten().any(|value| *value != 0.0);
        is_usable.then_some(matrix)
    };
    let of_cicp = || between(primaries_of(cicp?.color_primaries as u8)?);
    let matrix = match space {
        Space::Grey => matrix::IDENTITY,
        _ if has_colorants(source) => of_colorants().or_else(of_cicp)?,
        _ => of_cicp()?,
    };
    #[allow(clippy::cast_possible_truncation)]
    let luminance = source
        .luminance
        .map(|xyz| xyz.y as f32)
        .filter(|nits| *nits >= WHITE);
    let range = curve.range(luminance);
    Some(Light::new(
        |value| curve.light(value),
        &matrix,
        range,
        depth,
        false,
    ))
}

/// Whether a profile has colorants; one with only lookup tables has none.
fn has_colorants(profile: &ColorProfile) -> bool {
    [
        profile.red_colorant,
        profile.green_colorant,
        profile.blue_colorant,
    ]
    .iter()
    .all(|colorant| colorant.y > 0.0)
}

/// A grey profile whose curve gives lightness (PCS Lab) instead of light. moxcms ignores the difference.
fn lightness(source: &ColorProfile, depth: Depth) -> Option<Light> {
    if source.color_space != DataColorSpace::Gray || source.pcs != DataColorSpace::Lab {
        return None;
    }
    let curve = curve_of_profile(source.gray_trc.as_ref()?)?;
    let light = |value| {
        let lightness = 100.0 * curve(value);
        if lightness > 8.0 {
            ((lightness + 16.0) / 116.0).powi(3)
        } else {
            lightness * 27.0 / 24_389.0
        }
    };
    Some(Light::new(light, &matrix::IDENTITY, None, depth, false))
}

/// A profile with three curves and a matrix, for 16 bits. moxcms computes linear light in 13 bits, which is too coarse
/// for dark colours.
fn curves_and_matrix(source: &ColorProfile, space: Space, depth: Depth) -> Option<Light> {
    let has_tables =
        source.lut_a_to_b_colorimetric.is_some() || source.lut_a_to_b_perceptual.is_some();
    if depth == Depth::Eight || space != Space::Rgb || has_tables || !has_colorants(source) {
        return None;
    }
    let matrix = source.transform_matrix(&ColorProfile::new_srgb()).v;
    let [r, g, b] = [&source.red_trc, &source.green_trc, &source.blue_trc].map(|curve| {
        let curve = curve_of_profile(curve.as_ref()?)?;
        Some(Light::new(curve, &matrix, None, depth, false))
    });
    let (mut light, [_, green, _], [_, _, blue]) = (r?, g?.tables, b?.tables);
    light.tables[1] = green;
    light.tables[2] = blue;
    Some(light)
}

#[allow(clippy::cast_possible_truncation)]
fn curve_of_profile(curve: &ToneReprCurve) -> Option<impl Fn(f64) -> f64 + use<>> {
    let curve = curve.make_linear_evaluator().ok()?;
    Some(move |value: f64| f64::from(curve.evaluate_value(value as f32)))
}

impl Light {
    #[allow(clippy::cast_possible_truncation)]
    fn new(
        light: impl Fn(f64) -> f64,
        matrix: &Matrix,
        range: Option<Range>,
        depth: Depth,
        is_narrow: bool,
    ) -> Self {
        let (max, black, white): (u16, f64, f64) = match depth {
            Depth::Eight => (255, 16.0, 235.0),
            Depth::Sixteen => (65_535, 4096.0, 60_160.0),
        };
        let table: Arc<[f32]> = (0..=max)
            .map(|sample| {
                let sample = f64::from(sample);
                let value = if is_narrow {
                    ((sample - black) / (white - black)).clamp(0.0, 1.0)
                } else {
                    sample / f64::from(max)
                };
                light(value) as f32
            })
            .collect();
        Self {
            tables: [0; 3].map(|_| Arc::clone(&table)),
            matrix: matrix.map(|row| row.map(|value| value as f32)),
            range,
        }
    }

    fn grey(&self, sample: usize) -> u8 {
        let light = self.tables[0][sample];
        let light = self.range.map_or(light, |range| range.shown([light; 3])[0]);
        encode(light)
    }

    fn colour(&self, samples: [usize; 3]) -> [u8; 3] {
        let light = std::array::from_fn(|idx| self.tables[idx][samples[idx]]);
        let [r, g, b] = self.range.map_or(light, |range| range.shown(light));
        self.matrix
            .map(|[of_r, of_g, of_b]| encode(of_r * r + of_g * g + of_b * b))
    }
}

impl Range {
    /// Tone-maps as Chromium does, with the reference white tone mapping of SMPTE ST 2094-50. It is linear up to
    /// reference white, which becomes half of the screen's light. Above that, a quadratic curve brings the peak to
    /// white. One factor for all three channels preserves the hue.
    fn shown(self, mut light: [f32; 3]) -> [f32; 3] {
        if self.is_hlg {
            // The OOTF of a 1000-candela display has a gamma of 1.2 (BT.2100, table 5).
            let [r, g, b] = light;
            let scene = 0.2627 * r + 0.678 * g + 0.0593 * b;
            let gain = PEAK / WHITE * scene.powf(0.2);
            light = light.map(|value| gain * value);
        }
        let brightest = light.into_iter().fold(0.0, f32::max);
        if self.peak <= 1.0 || brightest <= 0.0 {
            return light;
        }
        // Pictures whose peak is below that of common screens are darkened less.
        let white = 1.0 - 0.5 * (self.peak.log2() / (PEAK / WHITE).log2()).min(1.0);
        let shown = if brightest <= 1.0 {
            white * brightest
        } else if brightest >= self.peak {
            1.0
        } else {
            // A Bézier curve from reference white to the peak; its middle point continues the line.
            let middle = (0.35 + 0.65 / white, 0.35 * white + 0.65);
            let (a, b) = (1.0 - 2.0 * middle.0 + self.peak, middle.0 - 1.0);
            let c = 1.0 - brightest;
            // The root between 0 and 1, in the form that stays exact if a is small.
            let t = -c / (b + (b * b - a * c).max(0.0).sqrt());
            let rest = 1.0 - t;
            rest * rest * white + 2.0 * t * rest * middle.1 + t * t
        };
        light.map(|value| value * (shown / brightest))
    }
}

/// An sRGB sample.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn encode(light: f32) -> u8 {
    /// One step is at most a fifth of an sRGB step, near black.
    const STEPS: u16 = 16_384;
    static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let samples = (0..=STEPS).map(|step| {
            let light = f64::from(step) / f64::from(STEPS);
            let value = if light <= 0.003_130_8 {
                12.92 * light
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            };
            (255.0 * value).round() as u8
        });
        samples.collect()
    });
    // Clamped; NaN becomes 0.
    let step = (light.clamp(0.0, 1.0) * f32::from(STEPS) + 0.5) as usize;
    TABLE[step.min(usize::from(STEPS))]
}
