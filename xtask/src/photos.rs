//! Real photos for tests and benches: npm packages that happen to hold some, unpacked below `target/photos`.

use std::path::Path;
use std::process::Command;

/// MIT; photos of documents as phones took them, up to 16 megapixels. 24 MB.
pub(crate) const PHONE: &str = "jscanify@1.4.3";
/// MIT; four pictures of other kinds in the size of a screen. 12 MB.
pub(crate) const SCREEN: &str = "startbootstrap-clean-blog@6.0.9";

/// One of 16 megapixels out of [`PHONE`].
pub(crate) const REHEARSED: &str = "target/photos/jscanify/package/docs/images/test/test3.jpg";

pub(crate) const FOLDER: &str = "target/photos";

/// Downloads a package, unless it is there: to `target/photos/NAME/package`.
pub(crate) fn fetch(package: &str) -> anyhow::Result<()> {
    let (name, version) = package.split_once('@').unwrap_or((package, "latest"));
    let folder = format!("{FOLDER}/{name}");
    if Path::new(&folder).exists() {
        return Ok(());
    }
    std::fs::create_dir_all(FOLDER)?;
    crate::run(
        Command::new("npm")
            .args(["pack", package, "--silent", "--pack-destination", FOLDER])
            .stdout(std::process::Stdio::null()),
    )?;
    // Complete or not there.
    let unpacked = format!("{folder}.new");
    std::fs::create_dir_all(&unpacked)?;
    let archive = format!("{FOLDER}/{name}-{version}.tgz");
    crate::run(Command::new("tar").args(["-xzf", &archive, "-C", &unpacked]))?;
    std::fs::rename(unpacked, folder)?;
    std::fs::remove_file(archive)?;
    Ok(())
}
