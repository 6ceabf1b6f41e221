//! SSIMULACRA2 scores of thumbnails against a reference.
//!
//!     gatepost-score ORIGINAL THUMBNAIL...
//!
//! The reference is the original (upright, decoded by zune-jpeg) at the thumbnail's size, resized in 32-bit floats with
//! Lanczos3. There are two references, over linear light and over gamma-encoded values, because resizers differ in
//! which one they aim for. The output is one JSON object per thumbnail:
//! `{"file","width","height","bytes","linear","gamma"}`.
//! two they mean. One JSON object a thumbnail: `{"file","width","height","bytes","linear","gamma"}`.

use std::collections::HashMap;
use std::error::Error;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use image::{DynamicImage, ImageDecoder, ImageReader};

type Size = (u32, u32);

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = std::env::args().skip(1);
    let original = upright(&files.next().ok_or("which original?")?)?;
    let encoded: Vec<f32> = original.to_rgb8().iter().map(|value| f32::from(*value) / 255.0).collect();
    let light: Vec<f32> = encoded.iter().map(|value| to_light(*value)).collect();
    let size = (original.width(), original.height());
    let mut references: HashMap<Size, [Vec<u8>; 2]> = HashMap::new();
    for file in files {
        let bytes = std::fs::metadata(&file)?.len();
        let thumbnail = upright(&file)?.to_rgb8();
        let wanted = thumbnail.dimensions();
        if !references.contains_key(&wanted) {
            let linear = resize(&light, size, wanted)?;
            let linear: Vec<f32> = linear.into_iter().map(from_light).collect();
            let gamma = resize(&encoded, size, wanted)?;
            references.insert(wanted, [linear, gamma].map(|values| rounded(&values)));
        }
        let mut scores = references[&wanted].iter().map(|reference| score(reference, &thumbnail, wanted));
        let (linear, gamma) = (scores.next(), scores.next());
        let line = serde_json::json!({
            "file": file,
            "width": wanted.0,
            "height": wanted.1,
            "bytes": bytes,
            "linear": linear.transpose()?,
            "gamma": gamma.transpose()?,
        });
        println!("{line}");
    }
    Ok(())
}

fn upright(file: &str) -> Result<DynamicImage, Box<dyn Error>> {
    let mut decoder = ImageReader::open(file)?.with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn resize(values: &[f32], size: Size, wanted: Size) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
    let source = ImageRef::new(size.0, size.1, &bytes, PixelType::F32x3)?;
    let mut target = Image::new(wanted.0, wanted.1, PixelType::F32x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut target, &options)?;
    let values = target.buffer().chunks_exact(4);
    Ok(values.map(|bytes| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}

fn score(reference: &[u8], found: &[u8], (width, height): Size) -> Result<f64, Box<dyn Error>> {
    let slice = |bytes| PixelSlice::new(bytes, width, height, 3 * width as usize, PixelDescriptor::RGB8_SRGB);
    Ok(compute_ssimulacra2(&slice(reference)?, &slice(found)?)?)
}

fn rounded(values: &[f32]) -> Vec<u8> {
    values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect()
}

/// sRGB's curve (IEC 61966-2-1).
fn to_light(value: f32) -> f32 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn from_light(value: f32) -> f32 {
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
}
