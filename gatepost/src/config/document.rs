//! Reads a TOML document and notes every fault.
//!
//! `serde` stops at the first mistake, but a person who repairs a configuration wants all of them. So the document is
//! read by hand: a [`Section`] returns typed values by key, notes what does not fit and continues. Its known keys are
//! given when it is opened, before any value is read.

use edge_auth::config::{ClaimRequirement, ClaimValue, RequiredClaims};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::notes::Notes;

/// A table of the document.
pub(crate) struct Section<'a> {
    notes: &'a Notes<'a>,
    path: String,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The document's root, which may have these keys.
    pub(crate) fn root(
        notes: &'a Notes<'a>,
        table: &'a Spanned<DeTable<'a>>,
        known: &[&str],
    ) -> Self {
        Self::new(notes, String::new(), 0, table.get_ref(), known)
    }

    /// A table that begins at `start` and may have the keys `known`; every other is noted.
    fn new(
        notes: &'a Notes<'a>,
        path: String,
        start: usize,
        table: &'a DeTable<'a>,
        known: &[&str],
    ) -> Self {
        let section = Self { notes, path, table };
        let unknown = table
            .keys()
            .filter(|name| !known.contains(&name.get_ref().as_ref()));
        for name in unknown {
            let key = section.key(name.get_ref());
            let message = format!(
                "{key}: unknown key; the known keys are {}",
                known.join(", ")
            );
            notes.note(name.span().start.max(start), &message);
        }
        section
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
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether something is wrong with a key, or with anything in it.
    pub(crate) fn is_faulty(&self, name: &str) -> bool {
        self.notes.is_faulty(&self.key(name))
    }

    /// Whether the key is there and holds a text.
    pub(crate) fn is_text(&self, name: &str) -> bool {
        self.table
            .get(name)
            .is_some_and(|value| value.get_ref().is_str())
    }

    fn get(&self, name: &str) -> Option<&'a DeValue<'a>> {
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
            self.fault(
                name,
                &format!("expected a string, found {}", described(value)),
            );
        }
        text.map(str::to_owned)
    }

    /// A text that must be there, with the advice for a missing one. After a fault it is empty.
    pub(crate) fn required_text(&self, name: &'static str, advice: &str) -> String {
        if !self.has(name) {
            self.fault(name, &format!("is missing; {advice}"));
        }
        self.text(name).unwrap_or_default()
    }

    /// A list of texts, if the key is there.
    pub(crate) fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        self.list(name, "string", |value| {
            value.as_str().map(str::to_owned).ok_or(None)
        })
    }

    /// A list of names that `parse` knows, if the key is there. `valid` lists them for the message.
    pub(crate) fn names<T>(
        &self,
        name: &'static str,
        valid: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.list(name, "string", |value| {
            let text = value.as_str().ok_or(None)?;
            parse(text).ok_or_else(|| Some(format!("{text:?} is not supported; write {valid}")))
        })
    }

    /// A list of whole numbers, if the key is there.
    pub(crate) fn numbers(&self, name: &'static str) -> Option<Vec<u32>> {
        self.list(name, "whole number", |value| {
            whole_number(value).ok_or(None)
        })
    }

    /// A text, or a date as TOML has it, as text.
    pub(crate) fn text_or_date(&self, name: &'static str) -> Option<String> {
        match self.get(name)? {
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => self.text(name),
        }
    }

    /// Every key of the section as a claim's path, with the claim's requirement: a value, a list of alternatives,
    /// `{ all = […] }` or `{ keys = […] }`.
    fn claim_requirements(&self) -> RequiredClaims {
        const WANTED: &str = "string, number or boolean";
        let mut claims = RequiredClaims::new();
        if self.table.is_empty() {
            // An empty section looks like a requirement and would require nothing.
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
                // Other members are reported below, with the likely intention.
                let form = Section {
                    notes: self.notes,
                    path: self.key(name),
                    table,
                };
                let all = form
                    .list("all", WANTED, |value| claim_value(value).ok_or(None))
                    .map(ClaimRequirement::All);
                let keys = form.texts("keys").map(ClaimRequirement::Keys);
                let is_other = !form.has("all") && !form.has("keys");
                if is_other || table.len() != 1 {
                    let member = table.keys().next().map_or("member", |key| key.get_ref());
                    let message = format!(
                        "expected a value, a list, {{ all = [...] }} or {{ keys = [...] }}; to name a member of a claim, quote its path: \"/{name}/{member}\""
                    );
                    self.fault_at(name, &message);
                }
                all.or(keys)
            } else {
                self.list(name, WANTED, |value| claim_value(value).ok_or(None))
                    .map(ClaimRequirement::Any)
            };
            // After a fault the value is not checked any further.
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

    /// A list, if the key is there. `read` returns the fault of an item, or `None` if it has another type. Unreadable items
    /// are left out, and the places of the others are remembered.
    fn list<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Option<String>>,
    ) -> Option<Vec<T>> {
        let value = self.get(name)?;
        let Some(array) = value.as_array() else {
            let message = format!("expected a list of {wanted}s, found {}", described(value));
            self.fault(name, &message);
            return None;
        };
        let (mut items, mut places) = (Vec::with_capacity(array.len()), Vec::new());
        for (place, (key, item)) in self.items(name, array).enumerate() {
            match read(item.get_ref()) {
                Ok(read) => {
                    items.push(read);
                    places.push(place);
                }
                Err(message) => {
                    let other =
                        || format!("expected a {wanted}, found {}", described(item.get_ref()));
                    self.notes.fault(&key, &message.unwrap_or_else(other));
                }
            }
        }
        self.keep(name, array.len(), places);
        Some(items)
    }

    /// Remembers which of a list's items were kept, unless all were.
    fn keep(&self, name: &str, n_items: usize, places: Vec<usize>) {
        if places.len() < n_items {
            let mut kept = self.notes.kept.borrow_mut();
            kept.insert(self.key(name), places);
        }
    }

    /// `true` or `false`, if the key is there.
    pub(crate) fn truth(&self, name: &'static str) -> Option<bool> {
        let value = self.get(name)?;
        let truth = value.as_bool();
        if truth.is_none() {
            let message = format!("expected true or false, found {}", described(value));
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
                &format!("expected a whole number, found {}", described(value)),
            );
        }
        number
    }

    /// A text that `parse` accepts, if the key is there; its error becomes the fault.
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

    /// A table that may have these keys, if the key is there.
    pub(crate) fn section(&self, name: &'static str, known: &[&str]) -> Option<Section<'a>> {
        let (table, start) = self.table(name)?;
        Some(Section::new(
            self.notes,
            self.key(name),
            start,
            table,
            known,
        ))
    }

    /// A table whose keys are claims, if the key is there.
    pub(crate) fn claims(&self, name: &'static str) -> Option<RequiredClaims> {
        let (table, _) = self.table(name)?;
        let section = Section {
            notes: self.notes,
            path: self.key(name),
            table,
        };
        Some(section.claim_requirements())
    }

    /// A table and where it begins.
    fn table(&self, name: &str) -> Option<(&'a DeTable<'a>, usize)> {
        let value = self.get(name)?;
        let Some(table) = value.as_table() else {
            self.fault(
                name,
                &format!("expected a table, found {}", described(value)),
            );
            return None;
        };
        let start = self.table.get(name).map_or(0, |value| value.span().start);
        Some((table, start))
    }

    /// A list of tables that may have these keys; none if the key is not there.
    pub(crate) fn sections(&self, name: &'static str, known: &[&str]) -> Vec<Section<'a>> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let key = self.key(name);
        let message = if self.path.is_empty() {
            format!("write [[{name}]] before each entry")
        } else {
            format!("expected a list of tables: write {name} = [{{ … }}], or [[{key}]] before each")
        };
        let Some(array) = value.as_array() else {
            self.fault(name, &message);
            return Vec::new();
        };
        let (mut sections, mut places) = (Vec::with_capacity(array.len()), Vec::new());
        for (place, (key, item)) in self.items(name, array).enumerate() {
            match item.get_ref().as_table() {
                Some(table) => {
                    let start = item.span().start;
                    sections.push(Section::new(self.notes, key, start, table, known));
                    places.push(place);
                }
                None => self.notes.fault(&key, &message),
            }
        }
        self.keep(name, array.len(), places);
        sections
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
        DeValue::String(_) => "a string".to_owned(),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["list", "names", "tables"];

    #[test]
    fn an_unknown_key_is_a_fault_even_if_its_section_is_not_read() {
        let text = "list = []\nlisst = []\n[[tables]]\na = 1\nb = 2";
        let document = DeTable::parse(text).unwrap();
        let notes = Notes::new(text);
        Section::root(&notes, &document, &KNOWN).sections("tables", &["a"]);
        let faults = notes.into_faults();
        assert_eq!(
            faults,
            [
                (
                    2,
                    "lisst: unknown key; the known keys are list, names, tables".to_owned()
                ),
                (
                    5,
                    "tables[0].b: unknown key; the known keys are a".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_left_out_item_does_not_move_the_others() {
        let text = "list = [1, \"a\", 2, \"b\"]\nnames = [\"x\", \"y\"]\n\
                    tables = [0, { list = [0, \"c\"] }]";
        let document = DeTable::parse(text).unwrap();
        let notes = Notes::new(text);
        let root = Section::root(&notes, &document, &KNOWN);
        assert_eq!(root.texts("list").unwrap(), ["a", "b"]);
        let is_y = |name: &str| (name == "y").then_some(());
        assert_eq!(root.names("names", "y", is_y).unwrap().len(), 1);
        let tables = root.sections("tables", &["list"]);
        assert_eq!(tables[0].texts("list").unwrap(), ["c"]);
        for (read, written) in [
            ("list[0]", "list[1]"),
            ("list[1].more", "list[3].more"),
            ("names[0]", "names[1]"),
            ("tables[0]", "tables[1]"),
            ("tables[0].list[0]", "tables[1].list[1]"),
            ("other[0].list", "other[0].list"),
            ("list", "list"),
        ] {
            assert_eq!(notes.written(read), written);
        }
        assert!(notes.is_faulty("list") && notes.is_faulty("list[0]"));
        assert!(!notes.is_faulty("list[1]") && !notes.is_faulty("lis"));
    }
}
