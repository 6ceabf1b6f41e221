//! The structure of the code: which crates depend on which, and which files of a crate use which.
//!
//! A dependency must be on a lower layer ([`layers`]), and files must not use each other in a cycle. Tests are left out.
//!
//! A file depends on another if it names something that the other defines. A call of a method names nothing: a file that
//! calls `decision.status()` on a value that it received depends on no file by that call, as types are not inferred.

mod layers;
mod uses;

use anyhow::ensure;
use cargo_metadata::{DependencyKind, Package};
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::modules::Modules;
use crate::workspace;
use layers::Dependencies;
use uses::Uses;

/// Checks every crate and every file of the workspace, and prints the graph of the crates.
pub(super) fn check() -> anyhow::Result<()> {
    let packages = workspace::members_of("Cargo.toml")?.packages;
    let dependencies = dependencies_between(&packages);
    print!("{}", draw(&dependencies));
    let mut faults = layers::check_crates(&dependencies);
    faults.extend(layers::check_purity(&packages));
    let mut n_files = 0;
    for package in &packages {
        let mut found = Vec::new();
        for target in &package.targets {
            let is_product = target.is_lib() || target.is_cdylib() || target.is_bin();
            if !is_product {
                continue;
            }
            let modules = Modules::load(target.src_path.as_std_path())?;
            n_files += modules.files.len();
            let uses = Uses::of(&modules);
            let root = package.manifest_path.with_file_name("");
            let files = modules.files.iter().map(|path| {
                let path = path.strip_prefix(&root).unwrap_or(path);
                path.display().to_string()
            });
            let files: Vec<_> = files.collect();
            for cycle in cycles(&uses) {
                found.push(describe(&package.name, &cycle, &uses, &files));
            }
            found.extend(layers::check_files(&package.name, &files, &uses));
        }
        faults.extend(found);
    }
    println!("{} crates, {n_files} files", packages.len());
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("no cycles, and every dependency is on a lower layer");
    Ok(())
}

fn dependencies_between(packages: &[Package]) -> Dependencies {
    let names: Vec<_> = packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let dependencies = packages.iter().map(|package| {
        let mut used: Vec<_> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.clone())
            .filter(|name| names.contains(name))
            .collect();
        used.sort();
        used.dedup();
        (package.name.to_string(), used)
    });
    dependencies.collect()
}

fn draw(dependencies: &Dependencies) -> String {
    let width = dependencies.keys().map(String::len).max().unwrap_or(0);
    let line = |(name, used): (&String, &Vec<String>)| {
        let used = if used.is_empty() {
            "-".to_owned()
        } else {
            used.join(", ")
        };
        format!("{name:width$} → {used}\n")
    };
    dependencies.iter().map(line).collect()
}

/// Groups of files that use each other.
fn cycles(uses: &Uses) -> Vec<Vec<usize>> {
    let graph: DiGraphMap<usize, ()> = uses.between.keys().copied().collect();
    let mut cycles = tarjan_scc(&graph);
    cycles.retain(|files| files.len() > 1);
    for files in &mut cycles {
        files.sort_unstable();
    }
    cycles
}

/// Every dependency of a cycle, with the names that make it.
fn describe(package: &str, cycle: &[usize], uses: &Uses, files: &[String]) -> String {
    let mut lines = vec![format!("{package}: {} files form a cycle:", cycle.len())];
    for ((from, to), names) in &uses.between {
        if cycle.contains(from) && cycle.contains(to) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            lines.push(format!(
                "    {} → {}: {}",
                files[*from],
                files[*to],
                names.join(", ")
            ));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses_of(files: &[(&str, &str)]) -> (Vec<String>, Uses) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let modules = Modules::load(&folder.path().join("lib.rs")).unwrap();
        let names = modules.files.iter().map(|file| {
            let name = file.strip_prefix(folder.path()).unwrap();
            name.display().to_string()
        });
        (names.collect(), Uses::of(&modules))
    }

    /// The dependencies, as `from to names`.
    fn dependencies(files: &[(&str, &str)]) -> Vec<String> {
        let (names, uses) = uses_of(files);
        let shown = |((from, to), used): (&(usize, usize), &std::collections::BTreeSet<String>)| {
            let used: Vec<_> = used.iter().map(String::as_str).collect();
            format!("{} {} {}", names[*from], names[*to], used.join(" "))
        };
        let mut found: Vec<_> = uses.between.iter().map(shown).collect();
        found.sort();
        found
    }

    #[test]
    fn a_cycle_is_told_with_the_names_that_tie_it() {
        let (names, uses) = uses_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            (
                "a.rs",
                "use crate::b::B; pub struct A; fn f() -> crate::c::C {}",
            ),
            ("b.rs", "pub struct B; fn f() { crate::a::A; }"),
            ("c.rs", "pub struct C;"),
        ]);
        let cycles = cycles(&uses);
        assert_eq!(cycles.len(), 1);
        assert_eq!(
            describe("x", &cycles[0], &uses, &names),
            "x: 2 files form a cycle:\n    a.rs → b.rs: B\n    b.rs → a.rs: A"
        );
    }

    #[test]
    fn a_name_counts_where_it_is_defined_and_not_where_it_is_exported() {
        let found = dependencies(&[
            ("lib.rs", "mod room; mod user; pub use room::Table;"),
            (
                "room/mod.rs",
                "mod chair; mod table; pub use table::*; pub(crate) use chair::Chair;",
            ),
            ("room/chair.rs", "use super::Table; pub struct Chair;"),
            ("room/table.rs", "pub struct Table;"),
            (
                "user.rs",
                "use crate::room::{self, Chair as Seat}; fn f(seat: Seat) { room::Table; crate::Table }",
            ),
        ]);
        assert_eq!(
            found,
            [
                "room/chair.rs room/table.rs Table",
                "user.rs room/chair.rs Chair",
                "user.rs room/table.rs Table"
            ]
        );
    }

    #[test]
    fn a_parent_that_uses_what_it_exports_depends_on_it() {
        let found = dependencies(&[
            (
                "lib.rs",
                "mod child; pub use child::Child; pub const N: u8 = 1; fn f(child: Child) { child::run() }",
            ),
            (
                "child.rs",
                "pub struct Child; pub fn run() { let n = super::N; }",
            ),
        ]);
        assert_eq!(found, ["child.rs lib.rs N", "lib.rs child.rs Child run"]);
    }

    #[test]
    fn tests_and_visibilities_are_left_out_and_macros_are_read() {
        let found = dependencies(&[
            ("lib.rs", "mod a; mod b; pub struct Root;"),
            (
                "a.rs",
                "pub(super) fn f() { println!(\"{}\", crate::b::g()) }\n\
                 #[cfg(test)] mod tests { use crate::Root; }\n\
                 #[test] fn t() { crate::Root; }\n\
                 #[derive(Deserialize)] struct S { #[serde(with = \"crate::b\")] f: u8 }\n\
                 #[serde(default = \"crate::b::h\")] struct T;",
            ),
            (
                "b.rs",
                "pub fn g() {} pub fn h() {} pub(in crate::b) struct R;",
            ),
        ]);
        assert_eq!(found, ["a.rs b.rs g h"]);
    }
}
