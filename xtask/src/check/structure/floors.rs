//! The floors of the house: crates, and the rooms of `edge-auth`. An arrow may only point to a lower floor.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Package};

use super::uses::Uses;

/// The crates of the workspace that each crate depends on, except for its tests.
pub(super) type Arrows = BTreeMap<String, Vec<String>>;

/// Crates, the lowest floor first. A crate must not use one of its own floor, so `local-aws` and `dev-idp` know none of
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

/// The folders and files of a crate's `src`, the lowest floor first. Other files may be used from any floor.
const ROOMS: &[(&str, &[&[&str]])] = &[(
    "edge-auth",
    &[
        &["http"],
        &["keys", "token"],
        &["rules"],
        &["authorizer"],
        &["lambda_edge"],
    ],
)];

/// Arrows between crates that do not point to a lower floor.
pub(super) fn check_crates(arrows: &Arrows) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, used) in arrows {
        let Some(floor) = floor_of(CRATES, name) else {
            faults.push(format!(
                "{name} has no floor; add it to CRATES in xtask/src/check/structure/floors.rs"
            ));
            continue;
        };
        for other in used {
            if floor_of(CRATES, other).is_some_and(|lower| lower >= floor) {
                faults.push(format!(
                    "{name} must not depend on {other}: it is not below"
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

/// Uses between the rooms of a crate that do not point to a lower floor. A detour through other files counts too.
pub(super) fn check_files(
    package: &str,
    uses: &Uses,
    shown: &impl Fn(usize) -> String,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (_, floors) in ROOMS.iter().filter(|(name, _)| *name == package) {
        let mut after: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in uses.between.keys() {
            after.entry(*from).or_default().push(*to);
        }
        for from in after.keys() {
            let Some(floor) = room_floor(floors, &shown(*from)) else {
                continue;
            };
            for to in reachable(*from, &after) {
                if room_floor(floors, &shown(to)).is_some_and(|upper| upper > floor) {
                    faults.push(format!(
                        "{package}: {} must not use {}: it is above",
                        shown(*from),
                        shown(to)
                    ));
                }
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

fn floor_of(floors: &[&[&str]], name: &str) -> Option<usize> {
    floors.iter().position(|floor| floor.contains(&name))
}

/// The floor of a file such as `src/http/path.rs` or `src/authorizer.rs`.
fn room_floor(floors: &[&[&str]], file: &str) -> Option<usize> {
    let room = file.strip_prefix("src/")?.split('/').next()?;
    floor_of(floors, room.trim_end_matches(".rs"))
}

fn reachable(start: usize, after: &BTreeMap<usize, Vec<usize>>) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        for next in after.get(&file).into_iter().flatten() {
            if seen.insert(*next) {
                open.push(*next);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(list: &[(&str, &str)]) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, to) in list {
            let used = arrows.entry((*from).to_owned()).or_default();
            used.push((*to).to_owned());
        }
        arrows
    }

    #[test]
    fn a_crate_depends_on_lower_floors_only() {
        let right = arrows(&[("gatepost", "edge-auth"), ("media-store", "media-contract")]);
        assert!(check_crates(&right).is_empty());
        let wrong = arrows(&[("edge-auth", "gatepost"), ("local-aws", "edge-auth")]);
        assert_eq!(
            check_crates(&wrong),
            [
                "edge-auth must not depend on gatepost: it is not below",
                "local-aws must not depend on edge-auth: it is not below"
            ]
        );
        let unknown = arrows(&[("newcomer", "edge-auth")]);
        assert!(check_crates(&unknown)[0].starts_with("newcomer has no floor; "));
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
    fn a_room_uses_lower_floors_only_and_no_detour_helps() {
        let files = [
            "src/http/path.rs",
            "src/config.rs",
            "src/rules/mod.rs",
            "src/authorizer.rs",
        ];
        let shown = |file: usize| files[file].to_owned();
        let uses = |list: &[(usize, usize)]| Uses {
            between: list.iter().map(|arrow| (*arrow, BTreeSet::new())).collect(),
        };
        let right = uses(&[(3, 2), (2, 0), (0, 1), (3, 0)]);
        assert!(check_files("edge-auth", &right, &shown).is_empty());
        let wrong = uses(&[(0, 1), (1, 2)]);
        assert_eq!(
            check_files("edge-auth", &wrong, &shown),
            ["edge-auth: src/http/path.rs must not use src/rules/mod.rs: it is above"]
        );
        assert!(check_files("url-signing", &wrong, &shown).is_empty());
    }
}
