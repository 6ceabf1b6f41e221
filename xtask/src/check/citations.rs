//! Citations of tests: where Markdown names a test as the proof of a claim, the test must exist.
//!
//! A citation is `place::name` in backticks, with a name of at least three words. A place with a slash is the beginning
//! of a file's path, so `edge-auth/src::an_expired_token_is_refused` must be below that folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use fancy_regex::Regex;

use crate::command::output_of;

/// Rust functions, and the runs of Terraform's tests.
const TEST: &str = r#"(?m)\bfn ([a-z0-9_]+)|^run "([a-z0-9_]+)""#;
const CITATION: &str = r"`([A-Za-z0-9_./:-]+)::([a-z0-9]+(?:_[a-z0-9]+){2,})`";

/// Each name of a test with the files that define it.
type Tests = BTreeMap<String, Vec<String>>;

/// Checks every citation in the files that Git tracks.
pub(super) fn check() -> anyhow::Result<()> {
    let names = output_of("git", &["ls-files"]).context("git ls-files failed")?;
    let (mut tests, mut texts) = (Tests::new(), Vec::new());
    for name in names.lines() {
        let extension = Path::new(name).extension().unwrap_or_default();
        let is_text = match extension.to_str() {
            Some("md") => true,
            Some("rs" | "hcl") => false,
            _ => continue,
        };
        // A file that was moved without telling Git has no text.
        let Ok(text) = std::fs::read_to_string(name) else {
            continue;
        };
        if is_text {
            texts.push((name, text));
        } else {
            collect(name, &text, &mut tests)?;
        }
    }
    let (mut n_citations, mut faults) = (0, Vec::new());
    for (name, text) in texts {
        for (index, line) in text.lines().enumerate() {
            for (place, test) in citations(line)? {
                n_citations += 1;
                if !is_defined(&place, &test, &tests) {
                    faults.push(format!(
                        "{name}:{}: there is no test {place}::{test}",
                        index + 1
                    ));
                }
            }
        }
    }
    println!("{n_citations} citations of tests");
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn collect(file: &str, text: &str, tests: &mut Tests) -> anyhow::Result<()> {
    for found in Regex::new(TEST)?.captures_iter(text) {
        let found = found?;
        if let Some(name) = found.get(1).or_else(|| found.get(2)) {
            let files = tests.entry(name.as_str().to_owned()).or_default();
            files.push(file.to_owned());
        }
    }
    Ok(())
}

fn citations(line: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut citations = Vec::new();
    for found in Regex::new(CITATION)?.captures_iter(line) {
        let found = found?;
        citations.push((found[1].to_owned(), found[2].to_owned()));
    }
    Ok(citations)
}

fn is_defined(place: &str, test: &str, tests: &Tests) -> bool {
    let files = tests.get(test).map(Vec::as_slice).unwrap_or_default();
    let is_there = |file: &String| !place.contains('/') || file.starts_with(place);
    files.iter().any(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_needs_its_test_below_its_place() {
        let mut tests = Tests::new();
        let text = "#[test]\nfn an_expired_token_is_refused() {}\n";
        collect("edge-auth/src/token.rs", text, &mut tests).unwrap();
        collect(
            "infra/tests/a.tftest.hcl",
            "run \"nothing_is_public\" {",
            &mut tests,
        )
        .unwrap();
        let line = "| `edge-auth/src::an_expired_token_is_refused`, `token::an_expired_token_is_refused`, \
                    `infra/tests::nothing_is_public`, `gatepost/tests::nothing_is_public`, `a::made_up_name` |";
        let citations = citations(line).unwrap();
        let found = citations
            .iter()
            .map(|(place, test)| is_defined(place, test, &tests));
        assert_eq!(found.collect::<Vec<_>>(), [true, true, true, false, false]);
    }
}
