//! Plain English: counts six habits that make a text hard to search and to read at first sight.
//!
//! The count is per 10,000 words, in comments and in Markdown. Comments must also keep their number of words: a habit
//! is rewritten, not deleted.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use fancy_regex::Regex;

use crate::command::output_of;

/// rustls, axum, imgproxy, aws-jwt-verify and ripgrep have at most 5 in their comments.
const MAX_HITS_PER_10_000: f64 = 10.0;
const MIN_WORDS_IN_COMMENTS: usize = 30_000;
/// How much of a line is shown.
const MAX_SHOWN: usize = 110;

const HABITS: [(&str, &str); 6] = [
    (
        "a who-clause or what-clause as the subject",
        r"(?:^|[.:;] )(?:Who|What) (?!(?:if|happens|does|is it|are|this|the)\b)[a-z]+\b",
    ),
    (
        "an indefinite relative with -ever",
        r"\b(?:who|what|which|whom)ever\b",
    ),
    (
        "\"is no\" for \"is not a\"",
        r"\b(?:is|are|was|were|be) (?:no|none)\b(?! (?:longer|more|way|need|such|other))",
    ),
    (
        "a verb of posture for \"is\"",
        r"\b(?:stands?|stood|lies|lie|lay)\b",
    ),
    (
        "a possessive after \"of\"",
        r"\b(?:of (?:ours|our own|yours|theirs|one's own))\b",
    ),
    (
        "an archaic adverb",
        r"\b(?:in vain|for ever|all the same|in the midst|altogether)\b",
    ),
];

/// A line of prose.
#[derive(Debug, PartialEq)]
struct Line {
    file: String,
    number: usize,
    text: String,
}

/// Counts the habits in every file that Git tracks, prints each hit, and fails above the limit.
pub(super) fn check() -> anyhow::Result<()> {
    let names = output_of("git", &["ls-files"]).context("git ls-files failed")?;
    let (comments, markdown) = collect(names.lines())?;
    let comments = Count::of(&comments)?;
    let markdown = Count::of(&markdown)?;
    print!(
        "{}{}",
        comments.report("comments"),
        markdown.report("Markdown")
    );
    for (kind, count) in [("comments", &comments), ("Markdown", &markdown)] {
        ensure!(
            count.rate() <= MAX_HITS_PER_10_000,
            "{kind} have more than {MAX_HITS_PER_10_000} hits per 10,000 words; rewrite the lines above in plain English"
        );
    }
    ensure!(
        comments.n_words >= MIN_WORDS_IN_COMMENTS,
        "comments have fewer than {MIN_WORDS_IN_COMMENTS} words; rewrite them, and do not delete them"
    );
    Ok(())
}

/// The hits in one kind of text.
struct Count {
    n_words: usize,
    /// The habit and its line.
    hits: Vec<(&'static str, String)>,
}

impl Count {
    fn of(lines: &[Line]) -> anyhow::Result<Self> {
        let word = Regex::new("[A-Za-z']+")?;
        let mut n_words = 0;
        for line in lines {
            n_words += word.find_iter(&line.text).count();
        }
        let mut hits = Vec::new();
        for (habit, pattern) in HABITS {
            let pattern = Regex::new(pattern)?;
            for line in lines {
                let shown: String = line.text.trim().chars().take(MAX_SHOWN).collect();
                for _ in pattern.find_iter(&line.text) {
                    hits.push((habit, format!("{}:{}: {shown}", line.file, line.number)));
                }
            }
        }
        Ok(Self { n_words, hits })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "there are fewer than 2^52 words"
    )]
    fn rate(&self) -> f64 {
        self.hits.len() as f64 * 10_000.0 / self.n_words.max(1) as f64
    }

    fn report(&self, kind: &str) -> String {
        let mut report = String::new();
        for (habit, place) in &self.hits {
            // Writing to a string cannot fail.
            let _ = writeln!(report, "{place}  [{habit}]");
        }
        let _ = writeln!(
            report,
            "{kind}: {:.1} per 10,000 words ({} in {})",
            self.rate(),
            self.hits.len(),
            self.n_words
        );
        report
    }
}

/// How a kind of file marks its prose.
#[derive(Clone, Copy)]
enum Marks {
    /// `//` on each line, or a block between `/*` and `*/`.
    Slashes,
    /// `#` on each line.
    Hash,
    /// Every line is prose.
    None,
}

impl Marks {
    fn of(extension: &str) -> Option<Self> {
        match extension {
            "rs" | "ts" | "mjs" | "js" | "css" => Some(Self::Slashes),
            "tf" | "py" | "hcl" | "toml" => Some(Self::Hash),
            "md" => Some(Self::None),
            _ => None,
        }
    }
}

/// The comment lines of source files, and the lines of Markdown files.
fn collect<'a>(names: impl Iterator<Item = &'a str>) -> anyhow::Result<(Vec<Line>, Vec<Line>)> {
    let (mut comments, mut markdown) = (Vec::new(), Vec::new());
    for name in names.filter(|name| !is_lock_file(name) && Path::new(name).is_file()) {
        let extension = Path::new(name).extension().unwrap_or_default();
        let Some(marks) = Marks::of(extension.to_str().unwrap_or_default()) else {
            continue;
        };
        let bytes = std::fs::read(name).with_context(|| name.to_owned())?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = prose_of(&text, marks).into_iter();
        let lines = lines.map(|(index, text)| Line {
            file: name.to_owned(),
            number: index + 1,
            text: text.to_owned(),
        });
        match marks {
            Marks::None => markdown.extend(lines),
            Marks::Slashes | Marks::Hash => comments.extend(lines),
        }
    }
    Ok((comments, markdown))
}

/// Whether a file was written by a package manager and not by people.
fn is_lock_file(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    matches!(
        name,
        "Cargo.lock" | "package-lock.json" | ".terraform.lock.hcl"
    )
}

/// The lines of prose without their marks, each with its index. A comment behind code is left out.
fn prose_of(text: &str, marks: Marks) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_in_block = false;
    for (index, line) in text.split('\n').enumerate() {
        let start = line.trim_start();
        let prose = match marks {
            Marks::None => Some(line),
            Marks::Hash => start.strip_prefix('#'),
            Marks::Slashes if is_in_block || start.starts_with("/*") => {
                let (inside, end) = start.split_once("*/").unzip();
                is_in_block = end.is_none();
                let inside = inside.unwrap_or(start).trim_start_matches('/');
                Some(inside.trim_start_matches('*'))
            }
            Marks::Slashes => {
                let prose = start.strip_prefix("//");
                prose.map(|prose| prose.strip_prefix(['/', '!']).unwrap_or(prose))
            }
        };
        found.extend(prose.map(|prose| (index, prose.strip_prefix(' ').unwrap_or(prose))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of hits of a text.
    fn hits(text: &str) -> usize {
        let line = Line {
            file: "a.md".to_owned(),
            number: 1,
            text: text.to_owned(),
        };
        Count::of(&[line]).unwrap().hits.len()
    }

    #[test]
    fn each_habit_is_counted_and_plain_english_is_not() {
        for (text, expected) in [
            ("Who asks twice waits. What is left goes.", 2),
            ("What happens then? Who if not this?", 0),
            ("It takes whatever comes, from whoever.", 2),
            ("There is no key. There is no longer a key.", 1),
            ("The key lies where it stood.", 2),
            ("A file of ours, and one of theirs", 2),
            ("It waits in vain for ever.", 2),
            ("A caller that asks twice waits.", 0),
        ] {
            assert_eq!(hits(text), expected, "{text}");
        }
    }

    #[test]
    fn only_comments_of_source_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = [
            write(
                "block.rs",
                "//! One.\nfn f() {} // not this\n    /// Two.\n",
            ),
            write(
                "page.ts",
                "/** Three. */\nf()\n/*\n * Four.\n */\n// Five.\n/* Six. */ f()\n",
            ),
            write("page.css", "  /* Seven.\n     Eight. */\na { b: c }\n"),
            write("a.toml", "# Nine.\na = 1 # not this\n"),
            write("a.tftest.hcl", "# Ten.\n"),
            write("a.md", "Eleven.\n"),
            write(".terraform.lock.hcl", "# Not this.\n"),
            write("a.png", "# not this\n"),
        ];
        let names = files.iter().map(|path| path.to_str().unwrap());
        let (comments, markdown) = collect(names).unwrap();
        let shown = |lines: &[Line]| -> Vec<_> {
            let lines = lines.iter().filter(|line| !line.text.is_empty());
            let shown = lines.map(|line| (line.number, line.text.trim().to_owned()));
            shown.collect()
        };
        let expected = [
            (1, "One."),
            (3, "Two."),
            (1, "Three."),
            (4, "Four."),
            (6, "Five."),
            (7, "Six."),
            (1, "Seven."),
            (2, "Eight."),
            (1, "Nine."),
            (1, "Ten."),
        ];
        assert_eq!(
            shown(&comments),
            expected.map(|(number, text)| (number, text.to_owned()))
        );
        assert_eq!(shown(&markdown), [(1, "Eleven.".to_owned())]);
    }
}
