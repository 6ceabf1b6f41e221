//! Runs the processor's pipeline on one image repeatedly; `cargo xtask bench images` times it.
//!
//!     thumbnails SOURCE webp|jpeg fast|balanced QUALITY OUT REPEAT WIDTH…

use std::error::Error;

use thumbnailer::inspect::Declared;
use thumbnailer::settings::{Effort, OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, format, effort, quality, out, repeat, widths @ ..] = &arguments[..] else {
        return Err("SOURCE webp|jpeg fast|balanced QUALITY OUT REPEAT WIDTH…".into());
    };
    let settings = Settings {
        widths: widths
            .iter()
            .map(|width| width.parse())
            .collect::<Result<_, _>>()?,
        formats: vec![match format.as_str() {
            "jpeg" => OutputFormat::Jpeg,
            _ => OutputFormat::WebP,
        }],
        effort: match effort.as_str() {
            "fast" => Effort::Fast,
            _ => Effort::Balanced,
        },
        quality: quality.parse()?,
        ..Settings::default()
    };
    for _ in 0..repeat.parse()? {
        let bytes = std::fs::read(source)?;
        let made = thumbnail(&bytes, &Declared::default(), &settings, None)
            .map_err(|rejection| rejection.message())?;
        for rendition in made.renditions {
            std::fs::write(format!("{out}-{}", rendition.file_name), rendition.data)?;
        }
    }
    Ok(())
}
