//! Writes the output folder. A folder with a `manifest.json` is complete: the file is removed first and written last, as
//! the commit point.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{EDGE_FILE, GATE_FILE};
use crate::web::WebFile;

const MANIFEST: &str = "manifest.json";
/// The folder of the page.
const PAGE: &str = "web";
/// Zips contain the secrets that verify sessions and tokens.
const FOR_THE_OWNER: u32 = 0o600;
const FOR_ALL: u32 = 0o644;

/// Fails if the page would replace a folder that `gatepost package` did not write.
pub(super) fn check(out: &Path) -> anyhow::Result<()> {
    let page = out.join(PAGE);
    ensure!(
        !page.exists() || holds_package(out),
        "{} already exists, and `gatepost package` did not write it; choose another --out",
        page.display()
    );
    Ok(())
}

/// Replaces the packages of an earlier run, and removes those that this one has not, as after a change of the mode.
pub(super) fn write(
    out: &Path,
    files: &[(&str, Vec<u8>)],
    page: &[WebFile],
    manifest: &[u8],
) -> anyhow::Result<()> {
    // Minutes have passed since the first check.
    check(out)?;
    let failed = || format!("{} cannot be written", out.display());
    std::fs::create_dir_all(out).with_context(failed)?;
    let aside = tempfile::tempdir_in(out).with_context(failed)?;
    let new = aside.path();
    for file in page {
        write_file(&new.join(PAGE).join(file.path), &file.content, FOR_ALL)?;
    }
    for (name, content) in files {
        write_file(&new.join(name), content, FOR_THE_OWNER)?;
    }
    write_file(&new.join(MANIFEST), manifest, FOR_ALL)?;
    // The page is removed before the manifest that identifies it, and written just before the new one.
    unless_missing(std::fs::rename(out.join(PAGE), new.join("old"))).with_context(failed)?;
    unless_missing(std::fs::remove_file(out.join(MANIFEST))).with_context(failed)?;
    for name in [EDGE_FILE, GATE_FILE] {
        if !files.iter().any(|(written, _)| *written == name) {
            unless_missing(std::fs::remove_file(out.join(name))).with_context(failed)?;
        }
    }
    let files = files.iter().map(|(name, _)| *name);
    for name in files.chain([PAGE, MANIFEST]) {
        std::fs::rename(new.join(name), out.join(name)).with_context(failed)?;
    }
    Ok(())
}

/// Whether a package was written to the folder before.
fn holds_package(out: &Path) -> bool {
    let manifest = std::fs::read(out.join(MANIFEST)).unwrap_or_default();
    serde_json::from_slice(&manifest).is_ok_and(|manifest: Value| manifest["web"].is_array())
}

fn unless_missing(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn write_file(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).with_context(failed)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FOR_THE_OWNER);
    let mut file = options.open(path).with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(mode);
        file.set_permissions(mode).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fs;

    use super::*;

    const OURS: &[u8] = br#"{"web": []}"#;

    fn page(path: &'static str) -> [WebFile; 1] {
        [WebFile {
            path,
            content: Cow::Borrowed(b"page"),
            content_type: "text/plain",
            cache_control: "no-cache",
        }]
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_page_takes_the_place_of_a_page_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        fs::create_dir(out.join("web")).unwrap();
        fs::write(out.join("web/main.ts"), "source").unwrap();
        for manifest in [None, Some("no JSON"), Some("[]"), Some(r#"{"web": "app"}"#)] {
            if let Some(manifest) = manifest {
                fs::write(out.join(MANIFEST), manifest).unwrap();
            }
            let error = write(out, &[], &page("index.html"), OURS).unwrap_err();
            let said = "choose another --out";
            assert!(error.to_string().contains(said), "{manifest:?}: {error}");
            assert_eq!(names(&out.join("web")), ["main.ts"], "{manifest:?}");
        }
        fs::write(out.join(MANIFEST), OURS).unwrap();
        write(out, &[], &page("assets/new.js"), OURS).unwrap();
        assert_eq!(names(out), ["manifest.json", "web"]);
        assert_eq!(names(&out.join("web")), ["assets"]);
        assert_eq!(names(&out.join("web/assets")), ["new.js"]);
    }

    #[test]
    fn a_run_that_fails_leaves_no_manifest_and_may_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let zips = [("a.zip", b"new".to_vec()), ("b.zip", b"new".to_vec())];
        write(out, &[], &page("index.html"), OURS).unwrap();
        // Stands where a zip is to be written.
        fs::create_dir(out.join("b.zip")).unwrap();
        write(out, &zips, &page("index.html"), OURS).unwrap_err();
        assert_eq!(names(out), ["a.zip", "b.zip"]);
        fs::remove_dir(out.join("b.zip")).unwrap();
        write(out, &zips, &page("index.html"), OURS).unwrap();
        assert_eq!(names(out), ["a.zip", "b.zip", "manifest.json", "web"]);
    }

    #[test]
    #[cfg(unix)]
    fn what_holds_secrets_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        // As older versions wrote it.
        fs::write(out.join("a.zip"), "old").unwrap();
        fs::set_permissions(out.join("a.zip"), fs::Permissions::from_mode(0o644)).unwrap();
        let zips = [("a.zip", b"new".to_vec())];
        write(out, &zips, &page("index.html"), OURS).unwrap();
        for (name, mode) in [
            ("a.zip", 0o600),
            ("manifest.json", 0o644),
            ("web/index.html", 0o644),
        ] {
            let found = fs::metadata(out.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
    }
}
