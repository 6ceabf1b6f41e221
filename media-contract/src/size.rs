//! Sizes of files in texts for uploaders, as the page shows them.
//!
//! They are in the binary units of the configured limits, with at most one digit after the point: 1 MB is 1,048,576 bytes.

/// A file's size. It is rounded up, so that it differs from a [`limit`] that it exceeds.
pub fn of(bytes: u64) -> String {
    shown(bytes, u64::div_ceil)
}

/// The greatest size that is allowed. It is rounded down, so a file of the shown size is accepted.
pub fn limit(bytes: u64) -> String {
    shown(bytes, |bytes, unit| bytes / unit)
}

fn shown(bytes: u64, divide: impl Fn(u64, u64) -> u64) -> String {
    const KB: u64 = 1024;
    const MB: u64 = 1024 * KB;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let whole = divide(bytes, KB);
    if whole < 1000 {
        return format!("{} KB", whole.max(1));
    }
    let tenths = divide(bytes.saturating_mul(10), MB);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} MB"),
        (whole, tenth) => format!("{whole}.{tenth} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_up_and_a_limit_down() {
        const MIB: u64 = 1 << 20;
        for (bytes, size_shown, limit_shown) in [
            (0, "0 B", "0 B"),
            (999, "999 B", "999 B"),
            (1000, "1 KB", "1 KB"),
            (1025, "2 KB", "1 KB"),
            (1000 * 1024, "1 MB", "0.9 MB"),
            (MIB, "1 MB", "1 MB"),
            (MIB + 1, "1.1 MB", "1 MB"),
            (2_000_000, "2 MB", "1.9 MB"),
            (25 * MIB, "25 MB", "25 MB"),
            (u64::MAX, "1759218604441.6 MB", "1759218604441.5 MB"),
        ] {
            assert_eq!(of(bytes), size_shown, "{bytes}");
            assert_eq!(limit(bytes), limit_shown, "{bytes}");
        }
    }
}
