//! Unused dependencies: every dependency of a crate must be named in the sources that it is for.
//!
//! A crate is named by a path that begins with it, or by `use` or `extern crate`. Code that only tests compile does not
//! count for `[dependencies]`, and only `build.rs` counts for `[build-dependencies]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use cargo_metadata::{Dependency, DependencyKind, Package};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use walkdir::WalkDir;

use super::modules::Modules;
use super::paths::is_test_only;
use crate::workspace;

/// Dependencies that are read as files: minipng's package holds `PngSuite`.
const READ_AS_FILES: [(&str, &str); 1] = [("gatepost", "minipng")];
/// Workspaces besides the root's.
const OTHER_WORKSPACES: [&str; 2] = ["fuzz/Cargo.toml", "bench/images/score/Cargo.toml"];

/// Checks every crate of every workspace.
pub(super) fn check() -> anyhow::Result<()> {
    let all = workspace::all_packages()?;
    // A library's name in code may differ from its package's: md-5 is `md5`.
    let libraries = all.iter().filter_map(|package| {
        let library = package.targets.iter().find(|target| target.is_lib())?;
        Some((package.name.to_string(), library.name.clone()))
    });
    let libraries: BTreeMap<_, _> = libraries.collect();
    let mut packages = workspace::members_of("Cargo.toml")?.packages;
    for manifest in OTHER_WORKSPACES {
        packages.extend(workspace::members_of(manifest)?.packages);
    }
    let folders: Vec<_> = packages.iter().map(folder_of).collect();
    let (mut faults, mut n_dependencies) = (Vec::new(), 0);
    for package in &packages {
        let named = Named::of(package, &folders)?;
        for dependency in &package.dependencies {
            n_dependencies += 1;
            if READ_AS_FILES.contains(&(&package.name, &dependency.name)) {
                continue;
            }
            let name = code_name(dependency, &libraries);
            if let Some(fault) = named.fault(dependency.kind, &name) {
                faults.push(format!("{}: {} {fault}", package.name, dependency.name));
            }
        }
    }
    println!("{n_dependencies} dependencies of {} crates", packages.len());
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// The crates that a package's sources name.
#[derive(Debug, Default)]
struct Named {
    /// Without what only tests compile.
    product: BTreeSet<String>,
    /// With tests, examples, benches, and the code blocks of documentation.
    anywhere: BTreeSet<String>,
    build: BTreeSet<String>,
}

impl Named {
    fn of(package: &Package, folders: &[PathBuf]) -> anyhow::Result<Self> {
        let mut named = Self::default();
        let mut build_scripts = Vec::new();
        for target in &package.targets {
            let root = target.src_path.as_std_path();
            if target.is_custom_build() {
                build_scripts.push(root.to_owned());
                read(root, &mut named.build)?;
            } else if target.is_lib() || target.is_cdylib() || target.is_bin() {
                for file in Modules::load(root)?.files {
                    read_product(&file, &mut named.product)?;
                }
            }
        }
        let own = folder_of(package);
        let is_foreign = |path: &Path| {
            let is_other_crate = folders
                .iter()
                .any(|folder| *folder != own && folder == path);
            is_other_crate || path.ends_with("target") || path.ends_with("node_modules")
        };
        let entries = WalkDir::new(&own).into_iter();
        for entry in entries.filter_entry(|entry| !is_foreign(entry.path())) {
            let path = entry?.into_path();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            if is_rust && !build_scripts.contains(&path) {
                read(&path, &mut named.anywhere)?;
            } else if path.extension().is_some_and(|extension| extension == "md") {
                read_documentation(&std::fs::read_to_string(path)?, &mut named.anywhere);
            }
        }
        Ok(named)
    }

    fn fault(&self, kind: DependencyKind, name: &str) -> Option<&'static str> {
        let is_named = match kind {
            DependencyKind::Build => self.build.contains(name),
            DependencyKind::Development => self.anywhere.contains(name),
            _ => self.product.contains(name),
        };
        if is_named {
            None
        } else if self.anywhere.contains(name) {
            Some("is only used by tests; move it to [dev-dependencies]")
        } else {
            Some("is not used; remove it")
        }
    }
}

fn folder_of(package: &Package) -> PathBuf {
    package.manifest_path.with_file_name("").into_std_path_buf()
}

fn code_name(dependency: &Dependency, libraries: &BTreeMap<String, String>) -> String {
    let name = match &dependency.rename {
        Some(name) => name,
        None => libraries.get(&dependency.name).unwrap_or(&dependency.name),
    };
    name.replace('-', "_")
}

fn read_product(path: &Path, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let file = syn::parse_file(&text).with_context(shown)?;
    for item in file.items.iter().filter(|item| !is_test_only(item)) {
        read_tokens(item.to_token_stream(), names);
    }
    Ok(())
}

/// Reads a whole file, with its comments' code blocks.
fn read(path: &Path, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    read_tokens(tokens, names);
    let documentation = text.lines().map(str::trim_start);
    let documentation = documentation.filter(|line| line.starts_with("//"));
    read_documentation(&documentation.collect::<Vec<_>>().join("\n"), names);
    Ok(())
}

/// Crates at the head of a path.
fn read_tokens(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is_colon = |index: usize| matches!(tokens.get(index), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    let is_keyword = |index: usize| matches!(tokens.get(index), Some(TokenTree::Ident(word)) if word == "use" || word == "crate");
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => read_tokens(group.stream(), names),
            TokenTree::Ident(name) => {
                let is_head = index < 2 || !is_colon(index - 1) || !is_colon(index - 2);
                let has_path = is_colon(index + 1) && is_colon(index + 2);
                let is_whole = index > 0 && is_keyword(index - 1);
                // `::bytes::Bytes` begins with colons.
                let is_absolute = !is_head
                    && !matches!(
                        index.checked_sub(3).map(|before| &tokens[before]),
                        Some(TokenTree::Ident(_))
                    );
                if has_path && (is_head || is_absolute) || is_whole {
                    names.insert(name.to_string());
                }
            }
            _ => {}
        }
    }
}

/// Every word before `::`: code blocks are not parsed.
fn read_documentation(text: &str, names: &mut BTreeSet<String>) {
    let parts: Vec<_> = text.split("::").collect();
    for part in parts.iter().rev().skip(1) {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let word = part.rsplit(|letter| !is_word(letter)).next();
        names.extend(word.filter(|word| !word.is_empty()).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(code: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        read_tokens(code.parse().unwrap(), &mut names);
        names.into_iter().collect()
    }

    #[test]
    fn a_crate_is_named_at_the_head_of_a_path() {
        for (code, expected) in [
            ("use serde::Deserialize;", &["serde"][..]),
            ("use anyhow as a;", &["anyhow"]),
            ("extern crate core;", &["core"]),
            (
                "fn f() -> ::bytes::Bytes { http::get(x) }",
                &["bytes", "http"],
            ),
            ("use crate::http::Path;", &["crate"]),
            ("#[tokio::main] async fn main() {}", &["tokio"]),
            ("fn f(http: u8) { let serde = http; }", &[]),
        ] {
            assert_eq!(names_in(code), expected, "{code}");
        }
    }

    #[test]
    fn a_dependency_must_be_used_where_it_is_declared() {
        let name = |text: &str| BTreeSet::from([text.to_owned()]);
        let named = Named {
            product: name("serde"),
            anywhere: BTreeSet::from(["serde".to_owned(), "tempfile".to_owned()]),
            build: name("cc"),
        };
        for (kind, name, expected) in [
            (DependencyKind::Normal, "serde", None),
            (
                DependencyKind::Normal,
                "tempfile",
                Some("is only used by tests; move it to [dev-dependencies]"),
            ),
            (DependencyKind::Development, "tempfile", None),
            (DependencyKind::Build, "cc", None),
            (DependencyKind::Normal, "cc", Some("is not used; remove it")),
        ] {
            assert_eq!(named.fault(kind, name), expected, "{name}");
        }
    }

    #[test]
    fn documentation_names_crates_in_its_code() {
        let mut names = BTreeSet::new();
        read_documentation(
            "    let x = serde_json::json!({}); edge_auth::f()",
            &mut names,
        );
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["edge_auth", "serde_json"]
        );
    }
}
