//! The processor's settings: the resolved `[uploads]` and `[renditions]` of `gatepost.toml`.
//!
//! The configuration's owner parses the file, fills a [`Settings`] and reports [`Settings::faults`] together with all
//! other faults. `gatepost package` bakes the result into the bootstrap's zip as JSON. Sizes here are plain numbers;
//! "25 MiB" and "50 MP" are the file's notation. This module does not read files or the environment.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest side that a WebP file can have (14 bits in its header).
pub const MAX_SIDE: u32 = 16_383;

/// The accepted uploads, and their renditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The allow-list. Bytes of any other type are refused before they are parsed.
    pub types: Vec<ImageType>,
    /// The largest upload, in bytes.
    pub max_bytes: u64,
    /// The handling of animated pictures.
    #[serde(default)]
    pub animated: Animated,
    /// The largest picture, in pixels (width × height). It determines the memory: see [`Settings::max_memory`].
    pub max_pixels: u64,
    /// The widths of the renditions, in pixels, in any order. A rendition is never wider than its source.
    pub widths: Vec<u32>,
    /// The formats of each width.
    pub formats: Vec<OutputFormat>,
    /// The encoder's quality, 1 to 100.
    pub quality: u8,
    /// The effort for WebP renditions.
    #[serde(default)]
    pub effort: Effort,
}

/// A supported image type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImageType {
    /// `image/jpeg`
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// `image/png`
    #[serde(rename = "image/png")]
    Png,
    /// `image/webp`
    #[serde(rename = "image/webp")]
    WebP,
    /// `image/gif`
    #[serde(rename = "image/gif")]
    Gif,
}

/// The handling of animated pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Animated {
    /// They are refused: a thumbnail of the first frame would misrepresent them.
    #[default]
    Reject,
    /// Only their first frame is shown.
    FirstFrame,
}

/// The effort for WebP renditions. JPEG takes the same at each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// A JPEG's planes are encoded as they are. Large renditions are slightly worse at equal bytes.
    Fast,
    /// A JPEG's chroma is decoded at full size and averaged by its light.
    #[default]
    Balanced,
}

/// An image format for renditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OutputFormat {
    /// Lossy WebP.
    #[serde(rename = "webp")]
    WebP,
    /// Baseline JPEG, for programs that do not support WebP. Transparent pixels become white.
    #[serde(rename = "jpeg")]
    Jpeg,
}

/// An invalid setting, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The field's name in [`Settings`], which is its name in `gatepost.toml`.
    pub key: &'static str,
    /// The fault and the expected value.
    pub message: String,
}

impl Settings {
    /// All faults of these settings, not only the first.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |key, message: String| faults.push(ConfigFault { key, message });

        if self.types.is_empty() {
            fault("types", "is empty: nothing could be uploaded".into());
        }
        if let Some(twice) = duplicate(&self.types) {
            fault("types", format!("lists {twice} twice"));
        }
        if !(1..=MOST_BYTES).contains(&self.max_bytes) {
            fault(
                "max_bytes",
                format!(
                    "is {}, expected 1 to {MOST_BYTES} (5 GiB is S3's limit for one POST)",
                    self.max_bytes
                ),
            );
        }
        if !(1..=MOST_PIXELS).contains(&self.max_pixels) {
            fault(
                "max_pixels",
                format!("is {}, expected 1 to {MOST_PIXELS}", self.max_pixels),
            );
        }
        if self.widths.is_empty() {
            fault("widths", "is empty: no rendition would be made".into());
        }
        if self.widths.len() > MOST_WIDTHS {
            fault(
                "widths",
                format!("lists {}, at most {MOST_WIDTHS} allowed", self.widths.len()),
            );
        }
        for width in &self.widths {
            if !(1..=MAX_SIDE).contains(width) {
                fault("widths", format!("lists {width}, expected 1 to {MAX_SIDE}"));
            }
        }
        if let Some(twice) = duplicate(&self.widths) {
            fault("widths", format!("lists {twice} twice"));
        }
        if self.formats.is_empty() {
            fault("formats", "is empty: no rendition would be made".into());
        }
        if let Some(twice) = duplicate(&self.formats) {
            fault("formats", format!("lists {twice} twice"));
        }
        if !(1..=100).contains(&self.quality) {
            fault("quality", format!("is {}, expected 1 to 100", self.quality));
        }
        faults
    }

    /// The maximum memory, in bytes, that one image may take, excluding the upload itself.
    ///
    /// Sixteen bytes per pixel suffice for nearly every picture of [`max_pixels`](Self::max_pixels), in any encoding;
    /// most take 3 to 8. A Lambda's memory can thus be sized once. The bytes include the upload's copy without metadata
    /// that decoders get.
    pub fn max_memory(&self) -> u64 {
        self.max_pixels
            .saturating_mul(16)
            .saturating_add(self.max_bytes)
    }
}

/// The defaults of `gatepost.toml`.
impl Default for Settings {
    fn default() -> Self {
        Self {
            types: vec![ImageType::Jpeg, ImageType::Png, ImageType::WebP],
            max_bytes: 25 * 1024 * 1024,
            animated: Animated::default(),
            max_pixels: 50_000_000,
            widths: vec![320, 640, 1280, 1920],
            formats: vec![OutputFormat::WebP],
            quality: 80,
            effort: Effort::default(),
        }
    }
}

impl ImageType {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// The common name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
        }
    }
}

impl fmt::Display for ImageType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.content_type())
    }
}

impl OutputFormat {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// The file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::WebP => "webp",
            Self::Jpeg => "jpg",
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.extension())
    }
}

fn duplicate<T: PartialEq>(list: &[T]) -> Option<&T> {
    list.iter()
        .enumerate()
        .find_map(|(position, item)| list[..position].contains(item).then_some(item))
}

const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;
const MOST_PIXELS: u64 = 1_000_000_000;
const MOST_WIDTHS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_faults() {
        assert_eq!(Settings::default().faults(), []);
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let settings = Settings {
            types: vec![ImageType::Png, ImageType::Png],
            max_bytes: 0,
            animated: Animated::Reject,
            max_pixels: 0,
            widths: vec![320, 0, 320, 20_000],
            formats: vec![],
            quality: 0,
            effort: Effort::Fast,
        };
        let faults: Vec<_> = settings
            .faults()
            .into_iter()
            .map(|fault| format!("{} {}", fault.key, fault.message))
            .collect();
        assert_eq!(
            faults,
            [
                "types lists image/png twice",
                "max_bytes is 0, expected 1 to 5368709120 (5 GiB is S3's limit for one POST)",
                "max_pixels is 0, expected 1 to 1000000000",
                "widths lists 0, expected 1 to 16383",
                "widths lists 20000, expected 1 to 16383",
                "widths lists 320 twice",
                "formats is empty: no rendition would be made",
                "quality is 0, expected 1 to 100",
            ]
        );
    }

    #[test]
    fn the_json_form_is_stable() {
        let json = r#"{"types":["image/jpeg","image/png","image/webp"],"max_bytes":26214400,"animated":"reject","max_pixels":50000000,"widths":[320,640,1280,1920],"formats":["webp"],"quality":80,"effort":"balanced"}"#;
        assert_eq!(serde_json::to_string(&Settings::default()).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<Settings>(json).unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn settings_packed_without_effort_are_balanced() {
        let with = |effort: &str| {
            let json = format!(
                r#"{{"types":["image/png"],"max_bytes":1,"max_pixels":1,"widths":[1],"formats":["webp"],"quality":80{effort}}}"#
            );
            serde_json::from_str::<Settings>(&json).map(|settings| settings.effort)
        };
        assert_eq!(with("").unwrap(), Effort::Balanced);
        assert_eq!(with(r#","effort":"balanced""#).unwrap(), Effort::Balanced);
        assert_eq!(with(r#","effort":"fast""#).unwrap(), Effort::Fast);
        assert!(with(r#","effort":"best""#).is_err());
    }
}
