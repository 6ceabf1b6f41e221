//! Colours that a profile describes (ICC.1), with `moxcms` and some conversions of Gatepost's own.
//!
//! Gatepost's own conversions are for HDR, for grey to Lab and for 16 bits, which `moxcms` does not do or does too
//! coarsely. A malformed profile is ignored; it is never a reason to reject a picture.

use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, ParsingOptions, RenderingIntent, ToneReprCurve,
    TransferCharacteristics, TransformExecutor, TransformOptions,
};

use crate::raster::Space;

use super::light::{Depth, Light, WHITE};
use super::matrix::{self, between, primaries_of};
use super::transfer::{Curve, hlg, pq};

/// The maximum size of a profile that is parsed. The largest printing profiles have about two million bytes.
pub(crate) const MAX_PROFILE_BYTES: usize = 4 << 20;

/// How samples become sRGB.
#[derive(Clone)]
pub(super) enum Conversion {
    Profile(Arc<dyn TransformExecutor<u8> + Send + Sync>),
    DeepProfile(Arc<dyn TransformExecutor<u16> + Send + Sync>),
    Light(Light),
}

/// The conversion that a profile describes; `None` if it is malformed or describes other samples.
pub(super) fn conversion_of(profile: &[u8], space: Space, depth: Depth) -> Option<Conversion> {
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
        return Some(Conversion::Light(light));
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
                .map(Conversion::Profile),
            Depth::Sixteen => source
                .create_transform_16bit(layout, &srgb, Layout::Rgb, options)
                .ok()
                .map(Conversion::DeepProfile),
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
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float's precision is enough for a luminance"
    )]
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

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float's precision is enough for a sample"
)]
fn curve_of_profile(curve: &ToneReprCurve) -> Option<impl Fn(f64) -> f64 + use<>> {
    let curve = curve.make_linear_evaluator().ok()?;
    Some(move |value: f64| f64::from(curve.evaluate_value(value as f32)))
}
