//! Licenses, banned crates and sources of everything that Cargo and npm download, against `deny.toml`.
//!
//! The file has cargo-deny's format, so cargo-deny reads it too. This check needs no further program and no network.
//! The fuzz targets and the scorer of the image benchmark have lock files for themselves, which are not read.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use cargo_metadata::Package;
use serde::Deserialize;
use spdx::{Expression, LicenseReq};

use crate::workspace;

const POLICY: &str = "deny.toml";
/// The lock files of npm, each with the packages that may have another license than the policy allows.
const NPM: &[(&str, &[(&str, &str)])] = &[
    (
        "web/package-lock.json",
        // Vite's CSS compiler runs while the page is built, and nothing of it is part of the page.
        &[("node_modules/lightningcss", "MPL-2.0")],
    ),
    ("bench/edge/package-lock.json", &[]),
    (
        "bench/images/package-lock.json",
        // sharp's libvips: only the benchmark runs it, and nothing of it is shipped.
        &[("node_modules/@img/sharp-", "LGPL-3.0-or-later")],
    ),
    ("bench/signing/package-lock.json", &[]),
];

/// The parts of `deny.toml` that are checked here. An unknown key is an error: it would be silently ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(rename = "graph")]
    _graph: Graph,
    /// Known vulnerabilities. The file says why they are not checked.
    #[serde(rename = "advisories")]
    _advisories: toml::Table,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Graph {
    #[serde(rename = "all-features")]
    _all_features: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bans {
    #[serde(rename = "multiple-versions")]
    _multiple_versions: Allow,
    #[serde(rename = "wildcards")]
    _wildcards: Deny,
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sources {
    #[serde(rename = "unknown-registry")]
    _unknown_registry: Deny,
    #[serde(rename = "unknown-git")]
    _unknown_git: Deny,
    #[serde(rename = "allow-registry")]
    allow_registry: Vec<String>,
}

/// The only value that this check implements.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Allow {
    Allow,
}

/// The only value that this check implements.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deny {
    Deny,
}

/// Checks every package of both worlds.
pub(super) fn check() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(POLICY).context(POLICY)?;
    let policy: Policy = toml::from_str(&text).context(POLICY)?;
    let packages = workspace::all_packages()?;
    let mut faults = Vec::new();
    let mut counts = BTreeMap::new();
    for package in &packages {
        faults.extend(faults_of(package, &policy));
        let license = package.license.clone().unwrap_or_default();
        *counts.entry(license).or_insert(0_u32) += 1;
    }
    for (license, count) in counts {
        println!("{count:5}  {license}");
    }
    let mut n_npm = 0;
    for (file, exceptions) in NPM {
        let text = std::fs::read_to_string(file).context(*file)?;
        let lock: NpmLock = serde_json::from_str(&text).context(*file)?;
        n_npm += lock.packages.len();
        let found = npm_faults(&lock, exceptions, &policy.licenses.allow);
        faults.extend(found.iter().map(|fault| format!("{file}: {fault}")));
    }
    println!("{} crates, {n_npm} npm packages", packages.len());
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn faults_of(package: &Package, policy: &Policy) -> Vec<String> {
    let shown = format!("{} {}", package.name, package.version);
    let mut faults = Vec::new();
    match &package.license {
        Some(license) if is_allowed(license, &policy.licenses.allow) => {}
        Some(license) => faults.push(format!("{shown}: {license} is not an allowed license")),
        None => faults.push(format!("{shown} states no license")),
    }
    for ban in &policy.bans.deny {
        if ban.name == *package.name {
            faults.push(format!("{shown} is banned: {}", ban.reason));
        }
    }
    if let Some(source) = &package.source {
        let registry = source.repr.strip_prefix("registry+").unwrap_or_default();
        if !policy
            .sources
            .allow_registry
            .iter()
            .any(|allowed| allowed == registry)
        {
            faults.push(format!("{shown} comes from {source}, which is not allowed"));
        }
    }
    if package.source.is_none() {
        let wild = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_none() && dependency.req.to_string() == "*");
        faults
            .extend(wild.map(|dependency| format!("{shown}: {} has no version", dependency.name)));
    }
    faults
}

/// Whether an SPDX expression can be fulfilled with allowed licenses alone. `MIT/Apache-2.0` is an older way to write
/// `OR`.
fn is_allowed(license: &str, allowed: &[String]) -> bool {
    let is_allowed = |requirement: &LicenseReq| {
        let requirement = requirement.to_string();
        allowed.contains(&requirement)
    };
    Expression::parse(&license.replace('/', " OR "))
        .is_ok_and(|expression| expression.evaluate(is_allowed))
}

#[derive(Debug, Deserialize)]
struct NpmLock {
    packages: BTreeMap<String, NpmPackage>,
}

#[derive(Debug, Deserialize)]
struct NpmPackage {
    license: Option<String>,
    /// Where it was downloaded; the project itself has none.
    resolved: Option<String>,
}

fn npm_faults(lock: &NpmLock, exceptions: &[(&str, &str)], allowed: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, package) in lock.packages.iter().filter(|(name, _)| !name.is_empty()) {
        let is_excepted = |license: &str| {
            let mut matching = exceptions
                .iter()
                .filter(|(start, _)| name.starts_with(start));
            matching.any(|(_, exception)| {
                is_allowed(license, &[allowed, &[(*exception).to_owned()]].concat())
            })
        };
        match &package.license {
            Some(license) if is_allowed(license, allowed) || is_excepted(license) => {}
            Some(license) => faults.push(format!("{name}: {license} is not an allowed license")),
            None => faults.push(format!("{name} states no license")),
        }
        let registry = "https://registry.npmjs.org/";
        if package
            .resolved
            .as_ref()
            .is_some_and(|address| !address.starts_with(registry))
        {
            faults.push(format!("{name} does not come from {registry}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Vec<String> {
        ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn an_expression_is_fulfilled_by_allowed_licenses_alone() {
        for (license, expected) in [
            ("MIT", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only", false),
            ("SEE LICENSE IN file", false),
        ] {
            assert_eq!(is_allowed(license, &allowed()), expected, "{license}");
        }
    }

    #[test]
    fn an_npm_package_needs_a_license_and_the_registry() {
        let lock = r#"{"packages": {
            "": {"name": "ours"},
            "node_modules/a": {"license": "MIT", "resolved": "https://registry.npmjs.org/a.tgz"},
            "node_modules/b": {"resolved": "https://registry.npmjs.org/b.tgz"},
            "node_modules/c": {"license": "LGPL-3.0-or-later", "resolved": "https://example.com/c.tgz"}
        }}"#;
        let lock: NpmLock = serde_json::from_str(lock).unwrap();
        assert_eq!(
            npm_faults(&lock, &[], &allowed()),
            [
                "node_modules/b states no license",
                "node_modules/c: LGPL-3.0-or-later is not an allowed license",
                "node_modules/c does not come from https://registry.npmjs.org/"
            ]
        );
        let exception = [("node_modules/c", "LGPL-3.0-or-later")];
        assert_eq!(npm_faults(&lock, &exception, &allowed()).len(), 2);
    }
}
