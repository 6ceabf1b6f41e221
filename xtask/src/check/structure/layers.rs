//! The layers: of the crates, and of the files of `edge-auth`. A dependency may only be on a lower layer.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Package};

use super::uses::Uses;

/// The crates of the workspace that each crate depends on, except for its tests.
pub(super) type Dependencies = BTreeMap<String, Vec<String>>;

/// Crates, the lowest layer first. A crate must not use one of its own layer, so `local-aws` and `dev-idp` know none of
/// the products. Every member of the workspace has a place here.
const CRATES: &[&[&str]] = &[
    &[
        "dev-idp",
        "edge-auth",
        "local-aws",
        "media-contract",
        "test-support",
        "url-signing",
        "webp-encoder",
    ],
    &[
        "aws-call",
        "edge-auth-function",
        "edge-auth-host",
        "edge-auth-node",
        "media-store",
        "thumbnailer",
    ],
    &["signing-api", "upload-processor"],
    &["gatepost", "xtask"],
];

/// Crates without I/O, which must not name a client or a runtime of such.
const PURE: &[&str] = &[
    "edge-auth",
    "edge-auth-node",
    "media-contract",
    "thumbnailer",
    "url-signing",
    "webp-encoder",
];
/// Crates that a pure crate must not depend on. A `*` at the end matches any rest of the name.
const IMPURE: &[&str] = &[
    "aws-config",
    "aws-sdk-*",
    "aws-smithy-*",
    "hyper",
    "lambda_*",
    "reqwest",
    "tokio",
];

/// The folders and files of a crate's `src`, the lowest layer first. A folder must not use another of its own layer, and
/// every file has a place here. `ARCHITECTURE.md` has the same table.
const FILES: &[(&str, &[&[&str]])] = &[(
    "edge-auth",
    &[
        &["config"],
        &["http"],
        &["keys", "refusal"],
        &["cors", "token"],
        &["identity"],
        &["decision", "session"],
        &["issuers"],
        &["rules", "verify"],
        &["sign_in"],
        &["authorizer"],
        &["folders", "lambda_edge", "policy"],
        &["lib"],
    ],
)];

/// Dependencies between crates that are not on a lower layer.
pub(super) fn check_crates(dependencies: &Dependencies) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, used) in dependencies {
        let Some(layer) = layer_of(CRATES, name) else {
            faults.push(format!(
                "{name} has no layer; add it to CRATES in xtask/src/check/structure/layers.rs"
            ));
            continue;
        };
        for other in used {
            if layer_of(CRATES, other).is_some_and(|lower| lower >= layer) {
                faults.push(format!(
                    "{name} must not depend on {other}: it is not on a lower layer"
                ));
            }
        }
    }
    faults
}

/// Dependencies that a crate without I/O must not have, its tests excepted.
pub(super) fn check_purity(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        if !PURE.contains(&&**package.name) {
            continue;
        }
        for dependency in &package.dependencies {
            if dependency.kind != DependencyKind::Development && is_impure(&dependency.name) {
                faults.push(format!(
                    "{} must not depend on {}: it does no I/O",
                    package.name, dependency.name
                ));
            }
        }
    }
    faults
}

/// Files of a crate with layers that have none, or that use a file which is not on a lower one.
pub(super) fn check_files(package: &str, files: &[String], uses: &Uses) -> Vec<String> {
    let mut faults = Vec::new();
    for (_, layers) in FILES.iter().filter(|(name, _)| *name == package) {
        for file in files {
            if layer_of(layers, module_of(file)).is_none() {
                faults.push(format!(
                    "{package}: {file} has no layer; add it to FILES in xtask/src/check/structure/layers.rs"
                ));
            }
        }
        for (from, to) in uses.between.keys() {
            let [from, to] = [&files[*from], &files[*to]];
            if module_of(from) == module_of(to) {
                continue;
            }
            let layers = [from, to].map(|file| layer_of(layers, module_of(file)));
            if let [Some(layer), Some(used)] = layers
                && used >= layer
            {
                faults.push(format!(
                    "{package}: {from} must not use {to}: it is not on a lower layer"
                ));
            }
        }
    }
    faults
}

fn is_impure(name: &str) -> bool {
    IMPURE
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *pattern,
        })
}

fn layer_of(layers: &[&[&str]], name: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&name))
}

/// The module at the top of the crate that has a file such as `src/http/path.rs` or `src/authorizer.rs`.
fn module_of(file: &str) -> &str {
    let file = file.strip_prefix("src/").unwrap_or(file);
    let first = file.split('/').next().unwrap_or(file);
    first.trim_end_matches(".rs")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn dependencies(list: &[(&str, &str)]) -> Dependencies {
        let mut dependencies = Dependencies::new();
        for (from, to) in list {
            let used = dependencies.entry((*from).to_owned()).or_default();
            used.push((*to).to_owned());
        }
        dependencies
    }

    #[test]
    fn a_crate_depends_on_lower_layers_only() {
        let right = dependencies(&[("gatepost", "edge-auth"), ("media-store", "media-contract")]);
        assert!(check_crates(&right).is_empty());
        let wrong = dependencies(&[("edge-auth", "gatepost"), ("local-aws", "edge-auth")]);
        assert_eq!(
            check_crates(&wrong),
            [
                "edge-auth must not depend on gatepost: it is not on a lower layer",
                "local-aws must not depend on edge-auth: it is not on a lower layer"
            ]
        );
        let unknown = dependencies(&[("newcomer", "edge-auth")]);
        assert!(check_crates(&unknown)[0].starts_with("newcomer has no layer; "));
    }

    #[test]
    fn clients_of_aws_are_impure() {
        for (name, expected) in [
            ("aws-sdk-s3", true),
            ("tokio", true),
            ("lambda_http", true),
            ("aws-lc-rs", false),
            ("tokio-util", false),
        ] {
            assert_eq!(is_impure(name), expected, "{name}");
        }
    }

    #[test]
    fn a_file_uses_lower_layers_only() {
        let files = [
            "src/http/path.rs",
            "src/config/mod.rs",
            "src/rules/mod.rs",
            "src/authorizer.rs",
            "src/verify/mod.rs",
            "src/http/request.rs",
        ]
        .map(str::to_owned);
        let uses = |list: &[(usize, usize)]| Uses {
            between: list.iter().map(|pair| (*pair, BTreeSet::new())).collect(),
        };
        let right = uses(&[(3, 2), (2, 0), (0, 1), (3, 0), (0, 5)]);
        assert!(check_files("edge-auth", &files, &right).is_empty());
        let wrong = uses(&[(0, 1), (1, 2), (2, 4)]);
        assert_eq!(
            check_files("edge-auth", &files, &wrong),
            [
                "edge-auth: src/config/mod.rs must not use src/rules/mod.rs: it is not on a lower layer",
                "edge-auth: src/rules/mod.rs must not use src/verify/mod.rs: it is not on a lower layer",
            ]
        );
        assert!(check_files("url-signing", &files, &wrong).is_empty());
    }

    #[test]
    fn every_file_has_a_layer() {
        let files = ["src/lib.rs", "src/newcomer/mod.rs"].map(str::to_owned);
        let faults = check_files("edge-auth", &files, &Uses::default());
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("edge-auth: src/newcomer/mod.rs has no layer; "));
    }
}
