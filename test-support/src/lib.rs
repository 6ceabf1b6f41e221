//! Helpers that the tests of several crates share. Only dev-dependencies name this crate.

/// Deterministic pseudo-random numbers: the same seed gives the same test in every run.
#[derive(Clone, Debug)]
pub struct SeededRng(fastrand::Rng);

impl SeededRng {
    /// A generator that depends on nothing but the seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.0.u8(..)
    }

    /// A number from 0 to `end`, without `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// True with a probability of 1 in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A copy of one of the items, of which there must be at least one.
    pub fn choose<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::SeededRng;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let mut rng = SeededRng::new(seed);
            [(); 8].map(|()| rng.next_u64())
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn every_item_is_chosen_eventually() {
        let mut rng = SeededRng::new(1);
        let mut found = [false; 5];
        for _ in 0..200 {
            found[rng.choose(&[0, 1, 2, 3, 4])] = true;
        }
        assert_eq!(found, [true; 5]);
    }
}
