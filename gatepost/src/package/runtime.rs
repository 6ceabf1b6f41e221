//! The Lambda runtimes of the packages and their deprecation dates: for the manifest, and for the warnings of
//! `gatepost package`.

use jiff::civil::{Date, date};

/// A Lambda runtime.
#[derive(Clone, Copy)]
pub(super) struct Runtime {
    pub(super) name: &'static str,
    deprecated: Date,
}

/// The runtimes of the packages, and their dates of deprecation: AWS, "Lambda runtimes", as of November 2026.
pub(super) const EDGE_RUNTIMES: [Runtime; 2] = [
    Runtime {
        name: "nodejs22.x",
        deprecated: date(2027, 4, 30),
    },
    Runtime {
        name: "nodejs24.x",
        deprecated: date(2028, 4, 30),
    },
];
pub(super) const PROVIDED: [Runtime; 1] = [Runtime {
    name: "provided.al2023",
    deprecated: date(2029, 6, 30),
}];
/// The days before the deprecation in which there is a warning.
const NOTICE_DAYS: i32 = 90;

/// Warnings about runtimes that AWS is about to deprecate.
pub(super) fn ending(today: Date, packages: &[&[Runtime]]) -> Vec<String> {
    let runtimes = packages.iter().copied().flatten();
    let ending = runtimes.filter(|runtime| {
        let left = today.until(runtime.deprecated);
        left.is_ok_and(|left| left.get_days() < NOTICE_DAYS)
    });
    let warnings = ending.map(|Runtime { name, deprecated }| {
        format!(
            "AWS deprecates {name} on {deprecated} and then refuses new functions on it; see whether there is a newer Gatepost"
        )
    });
    warnings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_near_its_deprecation_is_a_warning() {
        let told = |today| ending(today, &[&EDGE_RUNTIMES, &PROVIDED]).len();
        assert_eq!(told(date(2026, 11, 25)), 0);
        assert_eq!(told(date(2027, 1, 30)), 0);
        assert_eq!(told(date(2027, 1, 31)), 1);
        assert_eq!(told(date(2028, 5, 1)), 2);
        assert_eq!(told(date(2030, 1, 1)), 3);
        let [warning] = &ending(date(2027, 3, 1), &[&EDGE_RUNTIMES])[..] else {
            panic!("one of them ends");
        };
        assert!(warning.contains("nodejs22.x on 2027-04-30"), "{warning}");
    }
}
