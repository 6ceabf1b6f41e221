//! Walking a TOML document and noting every fault with its line.
//!
//! `serde` stops at the first mistake; somebody who repairs a configuration wants all of them. So the document is
//! walked by hand: a [`Section`] gives typed values by key, notes what does not fit and goes on. What nobody asked for
//! by the end is an unknown key.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use edge_auth::config::{ClaimRequirement, ClaimValue, RequiredClaims};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Everything wrong with one document, and where each key of it stands.
pub(crate) struct Notes<'a> {
    text: &'a str,
    faults: RefCell<Vec<(usize, String)>>,
    keys: RefCell<Vec<String>>,
    spans: RefCell<BTreeMap<String, Range<usize>>>,
}

/// A table of the document.
pub(crate) struct Section<'a> {
    notes: &'a Notes<'a>,
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: RefCell::default(),
            keys: RefCell::default(),
            spans: RefCell::default(),
        }
    }

    /// Notes a fault of the text itself.
    pub(crate) fn syntax(&self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.note(at, error.message().to_owned());
    }

    /// Notes a fault that was found later, by its key; it is placed at the nearest key that the document has.
    pub(crate) fn fault(&self, key: &str, message: &str) {
        self.keys.borrow_mut().push(key.to_owned());
        self.note(self.place(key), format!("{key}: {message}"));
    }

    /// Where a key is, or the nearest one that the document has.
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

    fn note(&self, at: usize, message: String) {
        self.faults.borrow_mut().push((at, message));
    }
}

impl<'a> Section<'a> {
    /// The document's root.
    pub(crate) fn root(notes: &'a Notes<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(notes, String::new(), 0..0, table.get_ref())
    }

    fn new(notes: &'a Notes<'a>, path: String, span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        Self {
            notes,
            path,
            span,
            table,
            asked: RefCell::default(),
        }
    }

    /// The full name of a key of this section.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Notes a fault of one key.
    pub(crate) fn fault(&self, name: &str, message: &str) {
        self.notes.fault(&self.key(name), message);
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, name: &'a str) -> bool {
        // A key that is looked for is known, whether or not it is read.
        self.asked.borrow_mut().insert(name);
        self.table.contains_key(name)
    }

    /// Whether the key is there and holds a text.
    pub(crate) fn is_text(&self, name: &str) -> bool {
        self.table
            .get(name)
            .is_some_and(|value| value.get_ref().is_str())
    }

    fn get(&self, name: &'a str) -> Option<&'a DeValue<'a>> {
        self.asked.borrow_mut().insert(name);
        let value = self.table.get(name)?;
        self.notes
            .spans
            .borrow_mut()
            .insert(self.key(name), value.span());
        Some(value.get_ref())
    }

    /// A text, if the key is there.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        let value = self.get(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.fault(name, &format!("a text is wanted, not {}", described(value)));
        }
        text.map(str::to_owned)
    }

    /// A text that must be there. After a fault it is empty.
    pub(crate) fn required_text(&self, name: &'static str) -> String {
        if !self.has(name) {
            self.asked.borrow_mut().insert(name);
            self.fault(name, "it is missing");
        }
        self.text(name).unwrap_or_default()
    }

    /// A list of texts, if the key is there.
    pub(crate) fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        self.list(name, "text", |value| value.as_str().map(str::to_owned))
    }

    /// A list of whole numbers, if the key is there.
    pub(crate) fn numbers(&self, name: &'static str) -> Option<Vec<u32>> {
        self.list(name, "whole number", whole_number)
    }

    /// A text, or a date as TOML has it, as text.
    pub(crate) fn text_or_date(&self, name: &'static str) -> Option<String> {
        match self.get(name)? {
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => self.text(name),
        }
    }

    /// Every key of the section as a claim's path, with what the claim must say: a value, a list of which one is enough,
    /// `{ all = […] }` or `{ keys = […] }`.
    pub(crate) fn claim_requirements(&self) -> RequiredClaims {
        const WANTED: &str = "text, number or truth value";
        let mut claims = RequiredClaims::new();
        if self.table.is_empty() {
            // Whoever writes it means to ask for something, and nothing would be asked.
            self.notes.fault(
                &self.path,
                "names no claim; name one, or leave the section out",
            );
        }
        for name in self.table.keys() {
            let name = name.get_ref().as_ref();
            let value = self.get(name);
            let requirement = if let Some(value) = value.and_then(claim_value) {
                Some(ClaimRequirement::Any(vec![value]))
            } else if let Some(table) = value.and_then(DeValue::as_table) {
                let span = self.table.get(name).map_or(0..0, Spanned::span);
                let form = Section::new(self.notes, self.key(name), span, table);
                let all = form
                    .list("all", WANTED, claim_value)
                    .map(ClaimRequirement::All);
                let keys = form.texts("keys").map(ClaimRequirement::Keys);
                let is_other = !form.has("all") && !form.has("keys");
                if is_other || table.len() != 1 {
                    let member = table.keys().next().map_or("member", |key| key.get_ref());
                    let message = format!(
                        "a value, a list, {{ all = [...] }} or {{ keys = [...] }} is wanted; for a member within a claim quote its path: \"/{name}/{member}\""
                    );
                    self.fault_at(name, &message);
                }
                all.or(keys)
            } else {
                self.list(name, WANTED, claim_value)
                    .map(ClaimRequirement::Any)
            };
            // After a fault nothing more is to be found in it.
            let fallback = || ClaimRequirement::Any(vec![ClaimValue::Bool(true)]);
            claims.insert(name.to_owned(), requirement.unwrap_or_else(fallback));
        }
        claims
    }

    fn fault_at(&self, name: &str, message: &str) {
        self.notes.fault(&self.key(name), message);
    }

    /// The items of a list, each with its full name, whose place is remembered.
    fn items<'b>(
        &'b self,
        name: &'b str,
        array: &'a DeArray<'a>,
    ) -> impl Iterator<Item = (String, &'a Spanned<DeValue<'a>>)> + use<'a, 'b> {
        array.iter().enumerate().map(move |(idx, item)| {
            let key = format!("{}[{idx}]", self.key(name));
            let mut spans = self.notes.spans.borrow_mut();
            spans.insert(key.clone(), item.span());
            (key, item)
        })
    }

    fn list<T>(
        &self,
        name: &'a str,
        wanted: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.get(name)?;
        let Some(array) = value.as_array() else {
            let message = format!("a list of {wanted}s is wanted, not {}", described(value));
            self.fault(name, &message);
            return None;
        };
        let mut items = Vec::with_capacity(array.len());
        for (key, item) in self.items(name, array) {
            match read(item.get_ref()) {
                Some(read) => items.push(read),
                None => self.notes.fault(
                    &key,
                    &format!("a {wanted} is wanted, not {}", described(item.get_ref())),
                ),
            }
        }
        Some(items)
    }

    /// `true` or `false`, if the key is there.
    pub(crate) fn truth(&self, name: &'static str) -> Option<bool> {
        let value = self.get(name)?;
        let truth = value.as_bool();
        if truth.is_none() {
            let message = format!("true or false is wanted, not {}", described(value));
            self.fault(name, &message);
        }
        truth
    }

    /// A whole number, if the key is there.
    pub(crate) fn number(&self, name: &'static str) -> Option<u32> {
        let value = self.get(name)?;
        let number = whole_number(value);
        if number.is_none() {
            self.fault(
                name,
                &format!(
                    "a whole number from 0 on is wanted, not {}",
                    described(value)
                ),
            );
        }
        number
    }

    /// A text that `parse` understands, if the key is there; `parse` says what is wrong with one it does not.
    pub(crate) fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name)?;
        parse(&text)
            .map_err(|message| self.fault(name, &message))
            .ok()
    }

    /// A table, if the key is there.
    pub(crate) fn section(&self, name: &'static str) -> Option<Section<'a>> {
        let value = self.get(name)?;
        let Some(table) = value.as_table() else {
            self.fault(
                name,
                &format!("a table is wanted, not {}", described(value)),
            );
            return None;
        };
        let span = self.table.get(name).map_or(0..0, Spanned::span);
        Some(Section::new(self.notes, self.key(name), span, table))
    }

    /// A list of tables; none if the key is not there.
    pub(crate) fn sections(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let key = self.key(name);
        let message = if self.path.is_empty() {
            format!("write [[{name}]] before each of them")
        } else {
            format!("a list of tables is wanted: {name} = [{{ … }}], or [[{key}]] before each")
        };
        let Some(array) = value.as_array() else {
            self.fault(name, &message);
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(array.len());
        for (key, item) in self.items(name, array) {
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(self.notes, key, item.span(), table)),
                None => self.notes.fault(&key, &message),
            }
        }
        sections
    }

    /// Notes every key that nobody asked for.
    pub(crate) fn finish(self) {
        let asked = self.asked.borrow();
        for name in self.table.keys() {
            if asked.contains(name.get_ref().as_ref()) {
                continue;
            }
            let known: Vec<_> = asked.iter().copied().collect();
            let key = self.key(name.get_ref());
            let at = name.span().start.max(self.span.start);
            self.notes.note(
                at,
                format!(
                    "{key}: there is no such key; known here are {}",
                    known.join(", ")
                ),
            );
        }
    }
}

fn claim_value(value: &DeValue<'_>) -> Option<ClaimValue> {
    match value {
        DeValue::String(text) => Some(ClaimValue::Text(text.to_string())),
        DeValue::Boolean(truth) => Some(ClaimValue::Bool(*truth)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(ClaimValue::Integer),
        _ => None,
    }
}

fn whole_number(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(truth) => format!("{truth}"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
