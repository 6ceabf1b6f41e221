//! Resizes pictures: Lanczos3 over gamma-encoded values with premultiplied alpha, planes as planes.
//!
//! `render` asks for each planned size. A picture from the source is also oriented and gets its colours converted, after
//! it is small: fewer pixels take less time. Nothing is encoded here.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{Filter, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;

use crate::colour::ToSrgb;
use crate::decode::Decoded;
use crate::exif::{mirrored, upright};
use crate::raster::{Coding, FullPlanes, Pixels, Plane, Raster, YCbCr, halved};
use crate::window::{Span, Window, lanczos};

use super::convert::rgb_of_planes;
use super::orient::{turn, turn_pixels};

/// A picture of a rendition's size, upright and in sRGB.
pub(super) enum ResizedPixels {
    Pixels(Pixels),
    YCbCr(YCbCr),
}

impl ResizedPixels {
    pub(super) fn width(&self) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels.width,
            Self::YCbCr(planes) => planes.width,
        }
    }

    pub(super) fn height(&self) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels.height,
            Self::YCbCr(planes) => planes.height,
        }
    }
}

/// Resizes, and reuses its buffers.
pub(super) struct Scaler(Resizer);

impl Scaler {
    pub(super) fn new() -> Self {
        Self(Resizer::new())
    }

    pub(super) fn resize(&mut self, from: &ResizedPixels, size: (u32, u32)) -> ResizedPixels {
        match from {
            ResizedPixels::Pixels(pixels) => {
                ResizedPixels::Pixels(self.resize_pixels(pixels, size))
            }
            ResizedPixels::YCbCr(from) => {
                let half = halved(size);
                let luma = (from.width, from.height);
                let window = Window::of_colour(from.colour_extent(), size, (false, false));
                let mut colour = |plane| self.run_window(plane, from.chroma_size(), window, half);
                let (cb, cr) = (colour(&from.cb), colour(&from.cr));
                ResizedPixels::YCbCr(YCbCr {
                    width: size.0,
                    height: size.1,
                    y: self.run(&from.y, luma, size, PixelType::U8),
                    cb,
                    cr,
                })
            }
        }
    }

    /// Resizes the source, then orients the result and converts its colours: fewer pixels take less time.
    pub(super) fn resize_source(
        &mut self,
        decoded: &mut Decoded,
        (width, height): (u32, u32),
    ) -> ResizedPixels {
        let size = upright((width, height), decoded.orientation);
        let planes = match &mut decoded.raster {
            Raster::Pixels(pixels) => {
                let mut pixels = self.resize_pixels(pixels, size);
                if let Some(to_srgb) = &decoded.to_srgb {
                    to_srgb.convert(&mut pixels);
                }
                return ResizedPixels::Pixels(turn_pixels(pixels, decoded.orientation));
            }
            Raster::Full(whole) => {
                return self.resize_whole(
                    whole,
                    decoded.to_srgb.as_ref(),
                    decoded.orientation,
                    size,
                );
            }
            Raster::Narrowed(planes) => planes,
        };
        // The decoder was given the same sizes. Each plane is freed once it is small.
        let narrowed = planes
            .narrowed
            .iter()
            .position(|narrowed| narrowed.size == size);
        let samples: Vec<Vec<u8>> = narrowed
            .map(|idx| planes.narrowed.swap_remove(idx).planes)
            .into_iter()
            .flatten()
            .map(|plane| self.shorten(&plane))
            .collect();
        if planes.halved {
            let half = halved(size);
            let mut samples = samples.into_iter();
            let mut plane = |size: (u32, u32)| match samples.next() {
                Some(plane) => turn(plane, size, decoded.orientation),
                // Grey has no chroma.
                None => vec![128; size.0 as usize * size.1 as usize],
            };
            return ResizedPixels::YCbCr(YCbCr {
                width,
                height,
                y: plane(size),
                cb: plane(half),
                cr: plane(half),
            });
        }
        let mut pixels = rgb_of_planes(planes.coding, &samples, size, decoded.to_srgb.as_ref());
        if let (Some(to_srgb), Coding::YCbCr | Coding::Rgb) = (&decoded.to_srgb, planes.coding) {
            to_srgb.convert(&mut pixels);
        }
        ResizedPixels::Pixels(turn_pixels(pixels, decoded.orientation))
    }

    /// The same for planes of full size; `size` is the stored one.
    fn resize_whole(
        &mut self,
        whole: &FullPlanes,
        to_srgb: Option<&ToSrgb>,
        orientation: Orientation,
        size: (u32, u32),
    ) -> ResizedPixels {
        let full = (whole.width, whole.height);
        let extent = (f64::from(full.0) / 2.0, f64::from(full.1) / 2.0);
        // For the first plane and for the others: their size, the visible part, and the size that they get.
        let all = Window::of((f64::from(full.0), f64::from(full.1)));
        let (colour, colour_size) = match to_srgb {
            None => (
                Window::of_colour(extent, size, mirrored(orientation)),
                halved(size),
            ),
            Some(_) => (Window::of(extent), size),
        };
        let mut planes = whole.planes.iter().enumerate().map(|(idx, plane)| {
            if idx == 0 {
                self.run_window(plane, full, all, size)
            } else {
                self.run_window(plane, halved(full), colour, colour_size)
            }
        });
        let (width, height) = upright(size, orientation);
        if to_srgb.is_none() {
            let mut plane = |size: (u32, u32)| match planes.next() {
                Some(plane) => turn(plane, size, orientation),
                // Grey has no chroma.
                None => vec![128; size.0 as usize * size.1 as usize],
            };
            return ResizedPixels::YCbCr(YCbCr {
                width,
                height,
                y: plane(size),
                cb: plane(colour_size),
                cr: plane(colour_size),
            });
        }
        let samples: Vec<_> = planes.collect();
        let mut pixels = rgb_of_planes(whole.coding, &samples, size, to_srgb);
        if let (Some(to_srgb), Coding::YCbCr) = (to_srgb, whole.coding) {
            to_srgb.convert(&mut pixels);
        }
        ResizedPixels::Pixels(turn_pixels(pixels, orientation))
    }

    /// Reduces a plane to its wanted height.
    fn shorten(&mut self, plane: &Plane) -> Vec<u8> {
        let window = Window {
            across: Span::of(plane.width.into()),
            down: plane.down,
        };
        let from = (plane.width, plane.rows);
        self.run_window(&plane.samples, from, window, (plane.width, plane.height))
    }

    pub(super) fn resize_pixels(&mut self, from: &Pixels, size: (u32, u32)) -> Pixels {
        let pixel_type = if from.alpha {
            PixelType::U8x4
        } else {
            PixelType::U8x3
        };
        Pixels {
            width: size.0,
            height: size.1,
            alpha: from.alpha,
            grey: from.grey,
            data: self.run(&from.data, (from.width, from.height), size, pixel_type),
        }
    }

    /// Resizes rows without gaps.
    pub(super) fn run(
        &mut self,
        from: &[u8],
        from_size: (u32, u32),
        size: (u32, u32),
        pixel_type: PixelType,
    ) -> Vec<u8> {
        if from_size == size {
            return from.to_vec();
        }
        self.convolve(from, from_size, None, size, pixel_type)
    }

    /// Resizes the part of a plane that the window shows.
    pub(super) fn run_window(
        &mut self,
        from: &[u8],
        (from_width, from_height): (u32, u32),
        window: Window,
        size: (u32, u32),
    ) -> Vec<u8> {
        let ([left, right], across) = window.across.within(from_width);
        let ([top, bottom], down) = window.down.within(from_height);
        let padded;
        let (from, from_size) = if [left, right, top, bottom] == [0; 4] {
            (from, (from_width, from_height))
        } else {
            let n_rows = from_height as usize;
            let n_columns = left + from_width as usize + right;
            let mut rows = Vec::with_capacity(n_columns * (top + n_rows + bottom));
            for y in 0..top + n_rows + bottom {
                let y = y.saturating_sub(top).min(n_rows - 1);
                let row = &from[y * from_width as usize..][..from_width as usize];
                rows.extend(std::iter::repeat_n(row[0], left));
                rows.extend_from_slice(row);
                rows.extend(std::iter::repeat_n(row[row.len() - 1], right));
            }
            padded = rows;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a few samples more than the side of a plane"
            )]
            let [more, higher] = [left + right, top + bottom].map(|count| count as u32);
            (&padded[..], (from_width + more, from_height + higher))
        };
        let crop = Some(Window { across, down });
        self.convolve(from, from_size, crop, size, PixelType::U8)
    }

    fn convolve(
        &mut self,
        from: &[u8],
        (from_width, from_height): (u32, u32),
        crop: Option<Window>,
        (width, height): (u32, u32),
        pixel_type: PixelType,
    ) -> Vec<u8> {
        // The same as the resizer's own filter, which calls the C library's sine.
        let filter =
            Filter::new("Lanczos3", lanczos, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
        let mut options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter))
            .use_alpha(true);
        if let Some(Window { across, down }) = crop {
            options = options.crop(across.from, down.from, across.length, down.length);
        }
        let mut to = Image::new(width, height, pixel_type);
        // Neither call can fail: the buffer has the size that its owner promises, the crop is within it, and both
        // images have the same type. If one did, the panic would be caught like a decoder's.
        #[expect(
            clippy::expect_used,
            reason = "both images have one type, and buffer and crop fit"
        )]
        {
            let view = ImageRef::new(from_width, from_height, from, pixel_type)
                .expect("rows without gaps");
            self.0
                .resize(&view, &mut to, &options)
                .expect("two images of one pixel type");
        }
        to.into_vec()
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "test pictures are computed with small numbers"
)]
mod tests {
    use super::*;
    use crate::plan::plan;

    /// A wave of colour and brightness with level ends, so that every orientation shows the same one.
    fn wave((x, y): (f64, f64), (width, height): (f64, f64)) -> f64 {
        let waves = |at: f64, side: f64| (std::f64::consts::TAU * 4.0 * at / side).cos();
        128.0 + 50.0 * (waves(x, width) + waves(y, height))
    }

    fn assert_wave(plane: &[u8], pixels: f64, columns: u32, size: (u32, u32), what: &str) {
        let size = (f64::from(size.0), f64::from(size.1));
        for (at, found) in (0..).zip(plane) {
            let (x, y) = (f64::from(at % columns), f64::from(at / columns));
            let centre = ((x + 0.5) * pixels, (y + 0.5) * pixels);
            let expected = wave(centre, size);
            // A tenth of a pixel changes the steepest places by 3.
            assert!(
                (f64::from(*found) - expected).abs() < 3.0,
                "{what}, sample {x}, {y}: {found}, expected {expected:.1}"
            );
        }
    }

    #[test]
    fn chroma_stays_aligned_with_luma_at_every_size() {
        for source in [(480, 360), (479, 361), (478, 359), (401, 400)] {
            let plane = |(width, height): (u32, u32), pixels: f64| {
                let size = (f64::from(source.0), f64::from(source.1));
                let sample = |at: u32| {
                    let (x, y) = (f64::from(at % width) + 0.5, f64::from(at / width) + 0.5);
                    wave((x * pixels, y * pixels), size).round() as u8
                };
                (0..width * height).map(sample).collect::<Vec<u8>>()
            };
            let mut small = ResizedPixels::YCbCr(YCbCr {
                width: source.0,
                height: source.1,
                y: plane(source, 1.0),
                cb: plane(halved(source), 2.0),
                cr: plane(halved(source), 2.0),
            });
            for size in plan(source, &[239, 120, 101]) {
                small = Scaler::new().resize(&small, size);
                let ResizedPixels::YCbCr(made) = &small else {
                    panic!("pixels")
                };
                let what = format!("{source:?} to {size:?}");
                assert_wave(&made.y, 1.0, size.0, size, &format!("{what}, brightness"));
                for plane in [&made.cb, &made.cr] {
                    assert_wave(plane, 2.0, halved(size).0, size, &format!("{what}, colour"));
                }
            }
        }
    }
}
