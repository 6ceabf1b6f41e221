//! Citations of tests: where Markdown names a test as the proof of a claim, the test must exist.
//!
//! A citation in backticks is `place::name` for a test in Rust or Terraform, and `place::"name"` for one in JavaScript.
//! A place with a slash is the beginning of a file's path, so `edge-auth/src::an_expired_token_is_refused` must be below
//! that folder. Any other place is a file with tests or one of its folders, as in `token::an_expired_token_is_refused`.
//! Other names in Rust's notation, such as `Policy::below`, are not citations.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use fancy_regex::Regex;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn};

use crate::command::output_of;

/// The runs of Terraform's tests.
const TERRAFORM: &str = r#"(?m)^run "([a-z0-9_]+)""#;
/// The tests of `node:test`.
const JAVASCRIPT: &str =
    r#"(?m)(?<![\w.])(?:test|it)\(\s*(?:'([^'\n]+)'|"([^"\n]+)"|`([^`$\n]+)`)"#;
const CITATION: &str = r#"`([A-Za-z0-9_./:-]+)::(?:"([^"`]+)"|([a-z0-9]+(?:_[a-z0-9]+)*))`"#;
/// A name of so many words is a citation at any place.
const MIN_WORDS: usize = 3;

/// Checks every citation in the files that Git tracks.
pub(super) fn check() -> anyhow::Result<()> {
    let names = output_of("git", &["ls-files"]).context("git ls-files failed")?;
    let (mut tests, mut texts) = (Tests::default(), Vec::new());
    for name in names.lines() {
        let extension = Path::new(name).extension().unwrap_or_default();
        let extension = extension.to_str().unwrap_or_default();
        if !matches!(extension, "md" | "rs" | "hcl" | "mjs") {
            continue;
        }
        // A file that was moved without telling Git has no text.
        let Ok(text) = std::fs::read_to_string(name) else {
            continue;
        };
        if extension == "md" {
            texts.push((name, text));
        } else {
            tests.collect(name, &text).context(name.to_owned())?;
        }
    }
    let pattern = Regex::new(CITATION)?;
    let (mut n_citations, mut faults) = (0, Vec::new());
    for (name, text) in texts {
        for (index, line) in text.lines().enumerate() {
            for citation in citations(line, &pattern, &tests)? {
                n_citations += 1;
                if !citation.is_defined(&tests) {
                    let Citation { place, test, .. } = citation;
                    let number = index + 1;
                    faults.push(format!("{name}:{number}: there is no test {place}::{test}"));
                }
            }
        }
    }
    println!("{n_citations} citations of tests");
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Each name of a test with the files that define it.
#[derive(Default)]
struct Tests(BTreeMap<String, Vec<String>>);

impl Tests {
    /// Adds the tests of a file.
    fn collect(&mut self, file: &str, text: &str) -> anyhow::Result<()> {
        let names = match Path::new(file).extension().and_then(|it| it.to_str()) {
            Some("rs") => RustTests::of(text)?,
            Some("hcl") => names_of(TERRAFORM, text)?,
            _ => names_of(JAVASCRIPT, text)?,
        };
        for name in names {
            self.0.entry(name).or_default().push(file.to_owned());
        }
        Ok(())
    }

    /// Whether a file with tests has this name, or is in a folder of this name.
    fn know(&self, place: &str) -> bool {
        self.0.values().flatten().any(|file| is_at(file, place))
    }
}

/// The functions of a file that the test harness runs. No macro of this repository makes tests.
#[derive(Default)]
struct RustTests(Vec<String>);

impl RustTests {
    fn of(text: &str) -> syn::Result<Vec<String>> {
        let mut tests = Self::default();
        tests.visit_file(&syn::parse_file(text)?);
        Ok(tests.0)
    }
}

impl<'ast> Visit<'ast> for RustTests {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        // `#[test]`, `#[tokio::test]`
        let is_test = |attribute: &Attribute| {
            let last = attribute.path().segments.last();
            last.is_some_and(|last| last.ident == "test")
        };
        if item.attrs.iter().any(is_test) {
            self.0.push(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }
}

/// The citation of a test in a document.
#[derive(Debug)]
struct Citation {
    place: String,
    test: String,
}

impl Citation {
    /// Whether the test is at its place, or is a file of tests there.
    fn is_defined(&self, tests: &Tests) -> bool {
        let is_there = |file: &&String| is_at(file, &self.place);
        if let Some(files) = tests.0.get(&self.test) {
            return files.iter().any(|file| is_there(&file));
        }
        let mut files = tests.0.values().flatten().filter(is_there);
        files.any(|file| {
            Path::new(file)
                .file_stem()
                .is_some_and(|stem| *stem == *self.test)
        })
    }
}

fn citations(line: &str, pattern: &Regex, tests: &Tests) -> anyhow::Result<Vec<Citation>> {
    let mut citations = Vec::new();
    for found in pattern.captures_iter(line) {
        let found = found?;
        let place = found[1].to_owned();
        let is_quoted = found.get(2).is_some();
        let test = found.get(2).or_else(|| found.get(3));
        let test = test.map_or("", |test| test.as_str()).to_owned();
        let is_long = test.split('_').count() >= MIN_WORDS;
        if is_quoted || is_long || place.contains('/') || tests.know(&place) {
            citations.push(Citation { place, test });
        }
    }
    Ok(citations)
}

fn names_of(pattern: &str, text: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for found in Regex::new(pattern)?.captures_iter(text) {
        let found = found?;
        let name = found.iter().skip(1).flatten().next();
        names.extend(name.map(|name| name.as_str().to_owned()));
    }
    Ok(names)
}

/// Whether a file is at a place: below a path, or with the last name of a place such as `config::providers`.
fn is_at(file: &str, place: &str) -> bool {
    if place.contains('/') {
        return Path::new(file).starts_with(place) || file.strip_suffix(".rs") == Some(place);
    }
    // The tests beside the code are in a module `tests` of their file.
    let place = place.strip_suffix("::tests").unwrap_or(place);
    let name = place.rsplit("::").next().unwrap_or(place);
    let mut parts = file
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part));
    parts.any(|part| part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Tests {
        let mut tests = Tests::default();
        for (file, text) in [
            (
                "edge-auth/src/token.rs",
                "#[test]\nfn an_expired_token_is_refused() {}\nfn a_helper_of_tests() {}\n\
                 mod inner { #[tokio::test(start_paused = true)]\n#[ignore = \"slow\"]\nasync fn keys() {} }",
            ),
            (
                "infra/tests/a.tftest.hcl",
                "run \"nothing_is_public\" {\n  command = plan\n}\n",
            ),
            (
                "web/test/session.test.mjs",
                "describe('a page', () => {\n  it('signs in', async () => {})\n})\n\
                 test(\n  \"two lines\", () => {})\ncontest('nothing')\nexpression.test('other')\n",
            ),
        ] {
            tests.collect(file, text).unwrap();
        }
        tests
    }

    /// Whether the test of each citation in a line exists.
    fn outcomes(line: &str) -> Vec<bool> {
        let tests = known();
        let pattern = Regex::new(CITATION).unwrap();
        let citations = citations(line, &pattern, &tests).unwrap();
        let outcomes = citations.iter().map(|citation| citation.is_defined(&tests));
        outcomes.collect()
    }

    #[test]
    fn a_citation_needs_its_test_at_its_place() {
        for (citation, expected) in [
            ("edge-auth/src::an_expired_token_is_refused", true),
            ("edge-auth/src/token::an_expired_token_is_refused", true),
            ("edge-auth/sr::an_expired_token_is_refused", false),
            ("token::an_expired_token_is_refused", true),
            ("edge_auth::token::tests::an_expired_token_is_refused", true),
            ("keys::an_expired_token_is_refused", false),
            ("infra/tests::nothing_is_public", true),
            ("gatepost/tests::nothing_is_public", false),
            ("a::made_up_name", false),
        ] {
            assert_eq!(
                outcomes(&format!("| `{citation}`, |")),
                [expected],
                "{citation}"
            );
        }
    }

    #[test]
    fn a_test_of_javascript_is_cited_in_quotes() {
        for (citation, expected) in [
            ("web/test::\"signs in\"", true),
            ("session::\"two lines\"", true),
            ("web/e2e::\"signs in\"", false),
            ("web/test::\"a page\"", false),
            ("web/test::\"nothing\"", false),
            ("web/test::\"other\"", false),
        ] {
            assert_eq!(outcomes(&format!("`{citation}`")), [expected], "{citation}");
        }
    }

    #[test]
    fn a_short_name_counts_at_a_path_or_at_a_file_with_tests() {
        assert_eq!(
            outcomes("`edge-auth/src::keys`, `token::keys`"),
            [true, true]
        );
        assert_eq!(
            outcomes("`edge-auth/src::ke_ys`, `token::ke_ys`"),
            [false, false]
        );
        assert_eq!(outcomes("`Policy::below`, `std::fs`").len(), 0);
    }

    #[test]
    fn a_file_of_tests_may_be_cited() {
        assert_eq!(outcomes("`src::token`, `src::key`"), [true, false]);
    }

    #[test]
    fn a_function_without_the_attribute_is_not_a_test() {
        assert_eq!(outcomes("`token::a_helper_of_tests`"), [false]);
    }
}
