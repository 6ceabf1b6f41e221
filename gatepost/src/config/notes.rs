//! Collects the faults of a document, each with its line, in the order of the document.
//!
//! [`Section`](super::document::Section) notes what it cannot read; faults that the crates find later are noted by their
//! key, which is placed where the document has it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::terminal::printable::printable;

/// The faults of one document, and the position of each key.
pub(crate) struct Notes<'a> {
    text: &'a str,
    faults: RefCell<Vec<(usize, String)>>,
    keys: RefCell<Vec<String>>,
    pub(super) spans: RefCell<BTreeMap<String, Range<usize>>>,
    /// Lists with left-out items: the indexes in the document of the items that were kept.
    pub(super) kept: RefCell<BTreeMap<String, Vec<usize>>>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: RefCell::default(),
            keys: RefCell::default(),
            spans: RefCell::default(),
            kept: RefCell::default(),
        }
    }

    /// Notes a fault of the text itself.
    pub(crate) fn syntax(&self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let named = self.text.get(span.clone()).unwrap_or_default();
        if error.message() == "duplicate key" && !named.is_empty() {
            let message = format!("{named}: duplicate key; remove one of the two");
            return self.note(span.start, &message);
        }
        self.note(span.start, error.message());
    }

    /// Notes a fault that was found later, by its key; it is placed at the nearest key that the document has.
    pub(crate) fn fault(&self, key: &str, message: &str) {
        self.keys.borrow_mut().push(key.to_owned());
        self.note(self.place(key), &format!("{key}: {message}"));
    }

    /// The position of a key, or of the nearest one that the document has.
    fn place(&self, key: &str) -> usize {
        let spans = self.spans.borrow();
        let mut nearest = key;
        loop {
            if let Some(span) = spans.get(nearest) {
                return span.start;
            }
            match nearest.rfind(['.', '[']) {
                Some(end) => nearest = &nearest[..end],
                None => return 0,
            }
        }
    }

    fn line_at(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// The line of a key, or of the nearest one that the document has.
    pub(crate) fn line(&self, key: &str) -> usize {
        self.line_at(self.place(key))
    }

    /// The keys of all faults so far.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.borrow().clone()
    }

    /// Whether something is wrong with a key, or with anything in it.
    pub(crate) fn is_faulty(&self, key: &str) -> bool {
        let keys = self.keys.borrow();
        keys.iter().any(|faulty| is_within(faulty, key))
    }

    /// The key as in the document: its indexes count the items that were left out.
    pub(crate) fn written(&self, key: &str) -> String {
        let kept = self.kept.borrow();
        let mut written = String::with_capacity(key.len());
        let mut rest = key;
        while let Some((before, after)) = rest.split_once('[') {
            let (idx, after) = after.split_once(']').unwrap_or((after, ""));
            written.push_str(before);
            let place = idx.parse::<usize>().ok().and_then(|idx| {
                let places = kept.get(&written)?;
                places.get(idx).copied()
            });
            let place = place.map_or_else(|| idx.to_owned(), |place| place.to_string());
            written.extend(["[", &place, "]"]);
            rest = after;
        }
        written.push_str(rest);
        written
    }

    /// All faults, each with its line, in the order of the document.
    pub(crate) fn into_faults(self) -> Vec<(usize, String)> {
        let faults = self.faults.take();
        let mut faults: Vec<_> = faults
            .into_iter()
            .map(|(at, message)| (self.line_at(at), message))
            .collect();
        faults.sort_by_key(|(line, _)| *line);
        faults
    }

    pub(super) fn note(&self, at: usize, message: &str) {
        let message = printable(message).into_owned();
        self.faults.borrow_mut().push((at, message));
    }
}

/// Whether a key equals another one, or is in it.
pub(super) fn is_within(key: &str, other: &str) -> bool {
    let rest = key.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
