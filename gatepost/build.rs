//! Builds the page in `web/` with npm and embeds it, so that the binary is the whole system.
//!
//! Cargo runs it. Without Node or its packages the build still succeeds; the binary then serves a page that names what
//! is missing, and the next `cargo run` tries again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let web = manifest_dir.join("../web");
    for input in [
        "index.html",
        "sign-in.html",
        "src",
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "vite.config.ts",
    ] {
        println!("cargo:rerun-if-changed={}", web.join(input).display());
    }
    println!("cargo:rerun-if-env-changed=PATH");
    let built = out_dir.join("web");
    let missing = build_page(&web, &built).err();
    if let Some(reason) = &missing {
        println!("cargo:warning=the page is not built: {reason}");
        // A file that does not exist makes Cargo run this again.
        println!(
            "cargo:rerun-if-changed={}",
            out_dir.join("try-again").display()
        );
    }
    let table = match &missing {
        None => table_of(&built),
        Some(reason) => Ok(table_without_page(reason)),
    };
    let table = table.unwrap_or_else(|error| panic!("the built page cannot be read: {error}"));
    if let Err(error) = fs::write(out_dir.join("web_assets.rs"), table) {
        panic!("the table of the page's files cannot be written: {error}");
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"))
}

/// Runs npm; the error is a sentence for the developer.
fn build_page(web: &Path, built: &Path) -> Result<(), String> {
    let has_node = Command::new("node").arg("--version").output().is_ok();
    if !has_node {
        return Err(
            "Node.js was not found; install Node 20 or newer and run this again".to_owned(),
        );
    }
    // `npm ci` empties node_modules; it is only needed when what it installed is not what the lock file says.
    let installed = fs::read(web.join("node_modules/.gatepost-lock")).ok();
    let locked = fs::read(web.join("package-lock.json"))
        .map_err(|error| format!("web/package-lock.json: {error}"))?;
    if installed.as_ref() != Some(&locked) {
        npm(web, &["ci", "--no-audit", "--no-fund", "--ignore-scripts"])?;
        // Without the marker the next build only installs again.
        let _ = fs::write(web.join("node_modules/.gatepost-lock"), &locked);
    }
    let out_dir = built
        .to_str()
        .ok_or("the build directory's path is not UTF-8")?;
    npm(
        web,
        &[
            "run",
            "--silent",
            "build",
            "--",
            "--outDir",
            out_dir,
            "--emptyOutDir",
        ],
    )
}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .output()
        .map_err(|error| format!("npm cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&text);
    let reason = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason was given");
    Err(format!("npm {} failed: {reason}", arguments[0]))
}

/// The Rust source of a table of every file below the folder: URL path and content.
fn table_of(built: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(built, &mut files)?;
    files.sort();
    let mut table = String::from("pub(super) const MISSING: Option<&str> = None;\n");
    table.push_str("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name = file
            .strip_prefix(built)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        let path = file.to_string_lossy();
        let _ = writeln!(
            table,
            "    ({:?}, include_bytes!({path:?})),",
            format!("/{name}")
        );
    }
    table.push_str("];\n");
    Ok(table)
}

fn table_without_page(reason: &str) -> String {
    format!(
        "pub(super) const MISSING: Option<&str> = Some({reason:?});\npub(super) static FILES: &[(&str, &[u8])] = &[];\n"
    )
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
