//! The part of a plane that a rendition shows: decoder and `render` must agree on it.

/// The part of a plane that a resized one shows, in samples. It may extend beyond the plane, whose outermost samples
/// are then repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) across: Span,
    pub(crate) down: Span,
}

/// One dimension of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) length: f64,
}

impl Window {
    pub(crate) fn of((across, down): (f64, f64)) -> Self {
        Self {
            across: Span::of(across),
            down: Span::of(down),
        }
    }

    /// The visible part of the chroma planes for a rendition of this size, if a plane covers the picture with `extent`.
    ///
    /// Two pixels share a chroma sample, so with an odd side the samples cover one pixel more than the picture. That
    /// pixel is at the right and at the bottom of the upright picture; in a mirrored direction it is before the first
    /// one. Without it the colours would be squeezed into the picture, displaced by up to a pixel.
    pub(crate) fn of_colour(
        extent: (f64, f64),
        (width, height): (u32, u32),
        (across, down): (bool, bool),
    ) -> Self {
        let span = |extent: f64, side: u32, mirrored: bool| {
            let length = extent * f64::from(side.next_multiple_of(2)) / f64::from(side);
            Span {
                from: if mirrored { extent - length } else { 0.0 },
                length,
            }
        };
        Self {
            across: span(extent.0, width, across),
            down: span(extent.1, height, down),
        }
    }
}

impl Span {
    /// The whole side.
    pub(crate) fn of(length: f64) -> Self {
        Self { from: 0.0, length }
    }

    /// How many samples must be added before and after a plane's `side`, and the span including them.
    pub(crate) fn within(self, side: u32) -> ([usize; 2], Self) {
        let side = f64::from(side);
        let end = self.from + self.length;
        // A rounding error in the last bit must not add a sample.
        let samples = |beyond: f64| (beyond - 1e-6).ceil().max(0.0);
        let (before, behind) = (samples(-self.from), samples(end - side));
        let from = (self.from + before).max(0.0);
        let length = self.length.min(before + side + behind - from);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a plane's side"
        )]
        ([before as usize, behind as usize], Self { from, length })
    }
}

/// Lanczos' filter with three lobes, sinc(d) × sinc(d / 3).
///
/// The first factor has the sine of three times the second's angle: sin 3a = 3 sin a − 4 sin³ a.
pub(crate) fn lanczos(distance: f64) -> f64 {
    let angle = std::f64::consts::PI / 3.0 * distance;
    if distance.abs() >= 3.0 {
        0.0
    } else if distance.abs() < 1e-9 {
        1.0
    } else {
        let sine = sine(angle);
        sine * sine * (3.0 - 4.0 * sine * sine) / (3.0 * angle * angle)
    }
}

/// The sine of an angle between −π and π, from its series; the error is below 3e-8. The C library's took 3 % of the
/// time; this one is faster, and the same on every machine.
fn sine(angle: f64) -> f64 {
    let square = angle * angle;
    let factors =
        [272.0, 210.0, 156.0, 110.0, 72.0, 42.0, 20.0, 6.0].map(|factor: f64| 1.0 / factor);
    let series = factors
        .iter()
        .fold(1.0, |series, factor| 1.0 - square * factor * series);
    angle * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_lanczos() {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
            }
        };
        for at in -350..=350 {
            let distance = f64::from(at) / 100.0;
            let expected = if distance.abs() < 3.0 {
                sinc(distance) * sinc(distance / 3.0)
            } else {
                0.0
            };
            assert!((lanczos(distance) - expected).abs() < 1e-6, "{distance}");
        }
    }
}
