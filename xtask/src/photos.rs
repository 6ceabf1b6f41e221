//! Real photos for tests and benches: npm packages that contain some, unpacked below `target/photos`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::run;

/// MIT; photos of documents taken with phones, up to 16 megapixels. 24 MB.
pub(crate) const PHONE: &str = "jscanify@1.4.3";
/// MIT; four pictures of other kinds at screen size. 12 MB.
pub(crate) const SCREEN: &str = "startbootstrap-clean-blog@6.0.9";

/// A photo of 16 megapixels from [`PHONE`].
pub(crate) const REHEARSED: &str = "target/photos/jscanify/package/docs/images/test/test3.jpg";

pub(crate) const FOLDER: &str = "target/photos";

/// Downloads a package to `target/photos/NAME/package`, unless it exists.
pub(crate) fn fetch(package: &str) -> anyhow::Result<()> {
    let (name, version) = package.split_once('@').unwrap_or((package, "latest"));
    let folder = format!("{FOLDER}/{name}");
    if Path::new(&folder).exists() {
        return Ok(());
    }
    std::fs::create_dir_all(FOLDER)?;
    run(Command::new("npm")
        .args(["pack", package, "--silent", "--pack-destination", FOLDER])
        .stdout(Stdio::null()))?;
    // Renamed when complete, so that a truncated folder is never used.
    let unpacked = format!("{folder}.new");
    std::fs::create_dir_all(&unpacked)?;
    let archive = format!("{FOLDER}/{name}-{version}.tgz");
    run(Command::new("tar").args(["-xzf", &archive, "-C", &unpacked]))?;
    std::fs::rename(unpacked, folder)?;
    std::fs::remove_file(archive)?;
    Ok(())
}
