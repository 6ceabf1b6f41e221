//! Any bytes end as renditions or as a rejection: no panic, no memory beyond the budget, and no rendition larger than
//! its source.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use thumbnailer::inspect::Declared;
use thumbnailer::settings::{OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    max_bytes: 1 << 20,
    // Small enough for thousands of pictures per second, large enough for every path.
    max_pixels: 100_000,
    widths: vec![64, 24],
    formats: vec![OutputFormat::WebP, OutputFormat::Jpeg],
    ..Settings::default()
});

fuzz_target!(|data: &[u8]| {
    let Ok(made) = thumbnail(data, &Declared::default(), &SETTINGS, None) else {
        return;
    };
    let source = made.source;
    assert!(u64::from(source.width) * u64::from(source.height) <= SETTINGS.max_pixels);
    assert!(!made.renditions.is_empty() && !made.placeholder.is_empty());
    for rendition in made.renditions {
        assert!(rendition.width <= source.width.max(1));
        assert!(!rendition.data.is_empty());
    }
});
