//! Narrows rows during decoding, eight at a time.
//!
//! This is the first half of resizing with Lanczos' filter (three lobes); `render` does the second half. Here the
//! samples are still in the processor's cache, as floats in columns of eight, which the compiler vectorises. The planes
//! of full width are never in memory.

use crate::window::{Span, lanczos};

use super::idct::{Columns, add, sample};

/// The filter from rows of one width to rows of another.
pub(super) struct Narrow {
    /// For each output sample, the index of its first input sample.
    starts: Vec<usize>,
    /// The weights, a fixed number per output sample.
    weights: Vec<f32>,
    n_taps: usize,
    lanes: Vec<[u8; 8]>,
}

impl Narrow {
    /// Maps rows of `shown` samples, of which the span becomes `width` samples.
    pub(super) fn new(span: Span, shown: usize, width: usize) -> Self {
        let mut starts = Vec::with_capacity(width);
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(width);
        #[expect(clippy::cast_precision_loss, reason = "sides of planes")]
        let scale = span.length / width as f64;
        let stretch = scale.max(1.0);
        for x in 0..width {
            #[expect(clippy::cast_precision_loss, reason = "a side of a plane")]
            let centre = span.from + (x as f64 + 0.5) * scale;
            let (start, weights) = weights(centre, stretch, shown);
            starts.push(start);
            rows.push(weights);
        }
        let n_taps = rows.iter().map(Vec::len).max().unwrap_or(1);
        let mut weights = Vec::with_capacity(width * n_taps);
        for (start, row) in starts.iter_mut().zip(rows) {
            // All outputs read the same number of samples. At the end of the row the window moves back, with zeros in
            // front.
            let before = (*start + n_taps).saturating_sub(shown);
            *start -= before;
            weights.extend(std::iter::repeat_n(0.0, before));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "to the precision of a float"
            )]
            weights.extend(row.iter().map(|weight| *weight as f32));
            weights.resize(weights.len().next_multiple_of(n_taps), 0.0);
        }
        Self {
            starts,
            weights,
            n_taps,
            lanes: vec![[0; 8]; width],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.starts.len()
    }

    /// Fills rows, up to eight of them.
    pub(super) fn run(&mut self, columns: &Columns, rows: &mut [u8]) {
        let filters = self
            .starts
            .iter()
            .zip(self.weights.chunks_exact(self.n_taps));
        for (lane, (start, weights)) in self.lanes.iter_mut().zip(filters) {
            let mut sum = [0.0; 8];
            for (weight, column) in weights.iter().zip(&columns[*start..]) {
                add(&mut sum, *weight, column);
            }
            *lane = sum.map(sample);
        }
        for (y, row) in rows.chunks_exact_mut(self.starts.len()).enumerate() {
            for (value, lane) in row.iter_mut().zip(&self.lanes) {
                *value = lane[y & 7];
            }
        }
    }
}

/// The weights of an output sample around `centre`, and the index of its first input. Beyond the row's ends the
/// outermost samples are repeated.
fn weights(centre: f64, stretch: f64, shown: usize) -> (usize, Vec<f64>) {
    let reach = 3.0 * stretch;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within a few samples of a plane"
    )]
    let (first, last) = (
        (centre - reach).floor() as i64,
        (centre + reach).ceil() as i64,
    );
    let inside = |at: i64| {
        usize::try_from(at)
            .unwrap_or(0)
            .min(shown.saturating_sub(1))
    };
    let start = inside(first);
    let mut weights = vec![0.0; inside(last) - start + 1];
    for at in first..=last {
        #[expect(clippy::cast_precision_loss, reason = "a side of a plane")]
        let distance = (at as f64 + 0.5 - centre) / stretch;
        weights[inside(at) - start] += lanczos(distance);
    }
    let sum: f64 = weights.iter().sum();
    // Zeros at the ends need not be read; a plane that keeps its width has many.
    let is_some = |weight: &f64| (weight / sum).abs() > 1e-6;
    let zeros = weights.iter().take_while(|weight| !is_some(weight)).count();
    let end = weights.iter().rposition(is_some).map_or(zeros, |at| at + 1);
    let kept = weights[zeros..end]
        .iter()
        .map(|weight| weight / sum)
        .collect();
    (start + zeros, kept)
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers, and formulas with indexes"
)]
mod tests {
    use super::*;

    fn narrowed(samples: &[f32], span: Span, width: usize) -> Vec<u8> {
        let columns: Vec<_> = samples.iter().map(|value| [*value; 8]).collect();
        let mut rows = vec![0; 3 * width];
        Narrow::new(span, samples.len(), width).run(&columns, &mut rows);
        let (first, others) = rows.split_at(width);
        assert!(others.chunks(width).all(|row| row == first));
        first.to_vec()
    }

    #[test]
    fn rows_of_unchanged_width_keep_their_samples() {
        let samples = [0.0, 255.0, 7.0, 90.0, 91.0, 255.0, 0.0];
        assert_eq!(
            narrowed(&samples, Span::of(7.0), 7),
            samples.map(|value| value as u8)
        );
        assert_eq!(narrowed(&[9.0], Span::of(1.0), 1), [9]);
        // A window beyond both ends repeats the outermost samples.
        let window = Span {
            from: -2.0,
            length: 10.0,
        };
        assert_eq!(
            narrowed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], window, 10),
            [1, 1, 1, 2, 3, 4, 5, 6, 6, 6]
        );
    }

    #[test]
    fn flat_rows_stay_flat_and_ramps_stay_straight() {
        for (shown, width) in [(4032, 1600), (3024, 1601), (100, 1), (5, 3), (1, 7), (8, 9)] {
            let flat = narrowed(&vec![200.0; shown], Span::of(shown as f64), width);
            assert_eq!(flat, vec![200; width], "{shown} to {width}");
        }
        let ramp: Vec<f32> = (0..1000).map(|at| (at as f32 + 0.5) / 4.0).collect();
        let found = narrowed(&ramp, Span::of(1000.0), 250);
        // Away from the ends, where the outermost samples are repeated.
        for (at, value) in found.iter().enumerate().skip(4).take(242) {
            assert!(
                f64::from(*value) - (at as f64 + 0.5) <= 0.51,
                "{at}: {value}"
            );
            assert!(
                f64::from(*value) - (at as f64 + 0.5) >= -0.51,
                "{at}: {value}"
            );
        }
    }
}
