//! `cargo xtask check`: what a contributor runs before each commit.
//!
//! The steps need no tool but Cargo and Git. `cargo xtask test` runs them too.

mod citations;
mod dependencies;
mod licenses;
mod modules;
mod paths;
mod prose;
mod structure;

use crate::command::cargo;
use crate::steps::Step;

/// Every step of the command.
pub(crate) fn steps() -> Vec<Step> {
    [STATIC, UNIT_TESTS].concat()
}

/// The steps that run no test.
pub(crate) const STATIC: &[Step] = &[
    Step {
        name: "format",
        title: "rustfmt",
        needs: &[],
        run: || cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "clippy",
        title: "lints",
        needs: &[],
        run: clippy,
    },
    Step {
        name: "prose",
        title: "plain English in comments and Markdown",
        needs: &[],
        run: prose::check,
    },
    Step {
        name: "citations",
        title: "the tests that Markdown names exist",
        needs: &[],
        run: citations::check,
    },
    Step {
        name: "structure",
        title: "crates and files depend downward, without cycles",
        needs: &[],
        run: structure::check,
    },
    Step {
        name: "licenses",
        title: "licenses, banned crates and sources, as in deny.toml",
        needs: &[],
        run: licenses::check,
    },
    Step {
        name: "dependencies",
        title: "every dependency is used",
        needs: &[],
        run: dependencies::check,
    },
];

const UNIT_TESTS: &[Step] = &[Step {
    name: "unit-tests",
    title: "the tests beside the code",
    needs: &[],
    run: || cargo(&["test", "--workspace", "--lib", "--bins", "--locked"]),
}];

fn clippy() -> anyhow::Result<()> {
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
}
