//! The recorded appearance of every fixture's renditions: size, bytes, and the mean colour of each of sixteen tiles.
//! `GATEPOST_GOLDEN=write cargo test -p thumbnailer golden` records it again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use image::Rgba;
use thumbnailer::inspect::Declared;
use thumbnailer::settings::{Effort, OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::samples::*;

const ACROSS: u32 = 4;

/// The appearance of a rendition.
#[derive(Debug, PartialEq)]
struct Look {
    bytes: usize,
    /// Red, green, blue and opacity of each tile, row by row.
    tiles: Vec<[u8; 4]>,
}

impl Look {
    fn of(file: &[u8]) -> Self {
        let picture = image::load_from_memory(file).unwrap().to_rgba8();
        let (width, height) = picture.dimensions();
        let tile = |at: u32| {
            let (x, y) = (at % ACROSS, at / ACROSS);
            let (left, right) = (x * width / ACROSS, (x + 1) * width / ACROSS);
            let (top, bottom) = (y * height / ACROSS, (y + 1) * height / ACROSS);
            let mut sums = [0; 4];
            for (x, y) in (left..right).flat_map(|x| (top..bottom).map(move |y| (x, y))) {
                let Rgba([colours @ .., alpha]) = *picture.get_pixel(x, y);
                // Colours are weighted by their opacity.
                for (sum, colour) in sums.iter_mut().zip(colours) {
                    *sum += u32::from(colour) * u32::from(alpha) / 255;
                }
                sums[3] += u32::from(alpha);
            }
            sums.map(|sum| (sum / ((right - left) * (bottom - top))) as u8)
        };
        Self {
            bytes: file.len(),
            tiles: (0..ACROSS * ACROSS).map(tile).collect(),
        }
    }

    fn parse(text: &str) -> Self {
        let (bytes, tiles) = text.split_once(' ').unwrap();
        let tiles = tiles.split(' ').map(|tile| {
            let tile = u32::from_str_radix(tile, 16).unwrap();
            tile.to_be_bytes()
        });
        Self {
            bytes: bytes.parse().unwrap(),
            tiles: tiles.collect(),
        }
    }

    fn print(&self) -> String {
        let mut text = self.bytes.to_string();
        for tile in &self.tiles {
            write!(text, " {:08x}", u32::from_be_bytes(*tile)).unwrap();
        }
        text
    }

    /// Whether they are equal, up to the rounding of another processor's vector instructions.
    fn is_like(&self, other: &Self) -> bool {
        self.bytes.abs_diff(other.bytes) * 50 <= self.bytes
            && std::iter::zip(self.tiles.as_flattened(), other.tiles.as_flattened())
                .all(|(a, b)| a.abs_diff(*b) <= 2)
    }
}

#[test]
fn golden() {
    let mut looks = BTreeMap::new();
    for (name, file) in accepted() {
        for effort in [Effort::Fast, Effort::Balanced] {
            let settings = Settings {
                widths: vec![40, 20],
                formats: vec![OutputFormat::WebP, OutputFormat::Jpeg],
                effort,
                ..Settings::default()
            };
            let made = thumbnail(&file, &Declared::default(), &settings, None).unwrap();
            for rendition in made.renditions {
                let (width, height) = (rendition.width, rendition.height);
                let name = format!("{name} > {} {width}×{height}", rendition.file_name);
                let look = Look::of(&rendition.data);
                // Most are the same at either effort.
                if looks.get(&name) != Some(&look) {
                    let effort = if effort == Effort::Fast {
                        ""
                    } else {
                        ", balanced"
                    };
                    looks.insert(format!("{name}{effort}"), look);
                }
            }
        }
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden.txt");
    if std::env::var("GATEPOST_GOLDEN").is_ok_and(|what| what == "write") {
        let mut text = String::new();
        for (name, look) in &looks {
            writeln!(text, "{name}: {}", look.print()).unwrap();
        }
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let golden: BTreeMap<_, _> = text
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    assert!(
        golden.keys().eq(looks.keys()),
        "renditions differ from golden.txt: {:?}",
        looks.keys()
    );
    for (name, look) in &looks {
        let expected = Look::parse(golden[name.as_str()]);
        assert!(
            look.is_like(&expected),
            "{name}: {look:?}, not {expected:?}"
        );
    }
}
