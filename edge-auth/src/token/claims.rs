//! Claims: which ones the configuration asks for, and reading just those from a token's JSON.
//!
//! A [`ClaimPlan`] lists every claim path that a rule or an issuer block names. A [`ClaimSet`] holds one token's values
//! for that list; all other members are skipped. A repeated member is refused in every object on a planned path,
//! because parsers disagree on which of two `sub`s counts (RFC 8725bis).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use crate::config::{ClaimRequirement, ClaimValue};

/// The largest integer that every JSON parser reads alike (RFC 8259 §6).
pub(crate) const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Where a claim is: the names of the members that lead to it from the top.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClaimPath {
    members: Vec<String>,
}

/// The index of a claim in its plan, and in every set that was read with the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ClaimId(usize);

/// The claims that are read from a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClaimPlan {
    entries: Vec<PlanEntry>,
    tree: Vec<Node>,
}

#[derive(Clone, Debug)]
struct PlanEntry {
    /// The canonical form of the path: sessions use it as a member's name.
    name: String,
    is_retained: bool,
}

/// A member that is read, or an object on the way to one.
#[derive(Clone, Debug)]
struct Node {
    name: String,
    id: Option<ClaimId>,
    children: Vec<Node>,
}

/// The claims of one token, by their index in the plan.
#[derive(Clone, PartialEq)]
pub(crate) struct ClaimSet(Vec<Slot>);

/// Whether a claim is present, and its value.
#[derive(Clone, Debug, Default, PartialEq)]
enum Slot {
    #[default]
    Absent,
    /// The session was made before the configuration required this claim.
    NotRetained,
    Present(Value),
}

/// A session does not say whether its token had this claim.
#[derive(Debug, PartialEq)]
pub(crate) struct NotRetained;

impl ClaimPath {
    /// Reads a path as a configuration spells it: a JSON Pointer (RFC 6901) if it begins with a slash, otherwise the name
    /// of a top-level claim. The error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a claim's name is empty".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{text:?} contains a control character"));
        }
        let Some(pointer) = text.strip_prefix('/') else {
            return Ok(Self {
                members: vec![text.to_owned()],
            });
        };
        let mut members = Vec::new();
        for token in pointer.split('/') {
            let mut member = String::with_capacity(token.len());
            let mut rest = token.chars();
            while let Some(c) = rest.next() {
                member.push(match c {
                    '~' => match rest.next() {
                        Some('0') => '~',
                        Some('1') => '/',
                        _ => {
                            return Err(format!(
                                "{text:?} is not a JSON Pointer: write ~ as ~0, and / within a name as ~1"
                            ));
                        }
                    },
                    c => c,
                });
            }
            members.push(member);
        }
        Ok(Self { members })
    }

    /// The path of a top-level claim.
    pub(crate) fn top_level(name: &str) -> Self {
        Self {
            members: vec![name.to_owned()],
        }
    }

    /// The name of the claim itself.
    pub(crate) fn last_member(&self) -> &str {
        self.members.last().map_or("", String::as_str)
    }

    /// The canonical form of the path: the bare name where a pointer has one member and the name cannot be read as
    /// another pointer.
    pub(crate) fn name(&self) -> String {
        match self.members.as_slice() {
            [name] if !name.is_empty() && !name.starts_with('/') => name.clone(),
            members => members
                .iter()
                .flat_map(|member| ["/".to_owned(), member.replace('~', "~0").replace('/', "~1")])
                .collect(),
        }
    }
}

impl ClaimPlan {
    /// Adds a claim that only verification uses.
    pub(crate) fn read(&mut self, name: &str) -> ClaimId {
        self.add(&ClaimPath::top_level(name))
    }

    /// Adds a claim that rules or issuer blocks use: sessions retain it.
    pub(crate) fn retain(&mut self, path: &ClaimPath) -> ClaimId {
        let id = self.add(path);
        self.entries[id.0].is_retained = true;
        id
    }

    fn add(&mut self, path: &ClaimPath) -> ClaimId {
        let mut nodes = &mut self.tree;
        let Some((last, parents)) = path.members.split_last() else {
            unreachable!("a path has at least one member");
        };
        for parent in parents {
            nodes = &mut Node::named(nodes, parent).children;
        }
        let next = ClaimId(self.entries.len());
        let id = *Node::named(nodes, last).id.get_or_insert(next);
        if id == next {
            self.entries.push(PlanEntry {
                name: path.name(),
                is_retained: false,
            });
        }
        id
    }

    /// The canonical form of a claim's path.
    pub(crate) fn name(&self, id: ClaimId) -> &str {
        &self.entries[id.0].name
    }

    /// Reads the planned claims from an object.
    pub(crate) fn parse(&self, json: &[u8]) -> serde_json::Result<ClaimSet> {
        // From `str`: serde does not check skipped bytes for UTF-8.
        let text = std::str::from_utf8(json).map_err(Error::custom)?;
        let mut set = ClaimSet(vec![Slot::Absent; self.entries.len()]);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = Object {
            nodes: &self.tree,
            set: &mut set,
        };
        deserializer.deserialize_map(object)?;
        deserializer.end()?;
        Ok(set)
    }

    /// The claims that a session retains of a token: every planned claim, with `null` for one that the token lacks. A
    /// claim that was absent can then be distinguished from one that the session did not retain.
    #[cfg(any(test, feature = "signing"))]
    pub(crate) fn retained(&self, set: &ClaimSet) -> Map<String, Value> {
        self.entries
            .iter()
            .zip(&set.0)
            .filter(|(entry, _)| entry.is_retained)
            .map(|(entry, slot)| {
                let value = match slot {
                    Slot::Present(value) => reduced(value),
                    Slot::Absent | Slot::NotRetained => Value::Null,
                };
                (entry.name.clone(), value)
            })
            .collect()
    }

    /// The claims that a session retained.
    pub(crate) fn restore(&self, mut retained: Map<String, Value>) -> ClaimSet {
        let slots = self
            .entries
            .iter()
            .map(|entry| match retained.remove(&entry.name) {
                None if entry.is_retained => Slot::NotRetained,
                None | Some(Value::Null) => Slot::Absent,
                Some(value) => Slot::Present(value),
            });
        ClaimSet(slots.collect())
    }
}

impl ClaimSet {
    /// The claim's value, if the token has it.
    pub(crate) fn get(&self, id: ClaimId) -> Option<&Value> {
        match &self.0[id.0] {
            Slot::Present(value) => Some(value),
            Slot::Absent | Slot::NotRetained => None,
        }
    }

    /// Whether the set says if the token has the claim.
    pub(crate) fn is_known(&self, id: ClaimId) -> bool {
        self.known(id).is_ok()
    }

    /// Takes a claim's value out of the set.
    pub(crate) fn take(&mut self, id: ClaimId) -> Option<Value> {
        match std::mem::take(&mut self.0[id.0]) {
            Slot::Present(value) => Some(value),
            Slot::Absent | Slot::NotRetained => None,
        }
    }

    /// Whether a claim meets its requirement.
    pub(crate) fn meets(
        &self,
        id: ClaimId,
        requirement: &ClaimRequirement,
    ) -> Result<bool, NotRetained> {
        let claim = self.known(id)?;
        Ok(match requirement {
            ClaimRequirement::Any(values) => values.iter().any(|value| has_value(claim, value)),
            ClaimRequirement::All(values) => values.iter().all(|value| has_value(claim, value)),
            ClaimRequirement::Keys(keys) => {
                let object = claim.and_then(Value::as_object);
                object.is_some_and(|object| {
                    keys.iter().any(|key| object.get(key).is_some_and(is_set))
                })
            }
        })
    }

    /// Whether a claim contains the value that a path segment names.
    pub(crate) fn names(&self, id: ClaimId, segment: &str) -> Result<bool, NotRetained> {
        let claim = self.known(id)?;
        let is = |value: &Value| match value {
            Value::String(text) => {
                text == segment
                    // A group with its full path, as Keycloak sends it.
                    || text.strip_prefix('/') == Some(segment)
            }
            Value::Number(number) => {
                integer(number).is_some_and(|integer| integer.to_string() == segment)
            }
            _ => false,
        };
        Ok(any_value(claim, is))
    }

    /// Whether a claim grants a scope: one space-separated string (RFC 8693 §4.2), or an array.
    pub(crate) fn grants(&self, id: ClaimId, scope: &str) -> Result<bool, NotRetained> {
        Ok(match self.known(id)? {
            Some(Value::String(scopes)) => scopes.split(' ').any(|granted| granted == scope),
            Some(Value::Array(scopes)) => {
                scopes.iter().any(|granted| granted.as_str() == Some(scope))
            }
            _ => false,
        })
    }

    fn known(&self, id: ClaimId) -> Result<Option<&Value>, NotRetained> {
        match &self.0[id.0] {
            Slot::Present(value) => Ok(Some(value)),
            Slot::Absent => Ok(None),
            Slot::NotRetained => Err(NotRetained),
        }
    }
}

/// Whether a claim is this value, or an array with it among its items.
fn has_value(claim: Option<&Value>, wanted: &ClaimValue) -> bool {
    any_value(claim, |found| match (wanted, found) {
        (ClaimValue::Bool(wanted), Value::Bool(found)) => wanted == found,
        (ClaimValue::Integer(wanted), Value::Number(found)) => integer(found) == Some(*wanted),
        (ClaimValue::Text(wanted), Value::String(found)) => wanted == found,
        _ => false,
    })
}

fn any_value(claim: Option<&Value>, is: impl Fn(&Value) -> bool) -> bool {
    match claim {
        Some(Value::Array(items)) => items.iter().any(is),
        Some(claim) => is(claim),
        None => false,
    }
}

/// A number that every parser reads as an integer. JavaScript has no numbers but these, and writes `42.0` for its `42`.
fn integer(number: &Number) -> Option<i64> {
    let integer = if let Some(integer) = number.as_i64() {
        integer
    } else {
        let float = number.as_f64()?;
        if float.fract() != 0.0 || float.abs() > 9.1e15 {
            return None;
        }
        // Within that range the cast is lossless.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was just checked"
        )]
        let integer = float as i64;
        integer
    };
    (-MAX_INTEGER..=MAX_INTEGER)
        .contains(&integer)
        .then_some(integer)
}

/// Whether a member of an object counts: Zitadel's roles are members, and a provider may switch one off by its value.
fn is_set(member: &Value) -> bool {
    match member {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The part of a value that a requirement can match: the values of an array, the member names of an object.
#[cfg(any(test, feature = "signing"))]
fn reduced(value: &Value) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .filter(|item| matches!(item, Value::String(_) | Value::Bool(_) | Value::Number(_)))
            .cloned()
            .collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| is_set(member))
            .map(|(name, _)| (name.clone(), Value::Bool(true)))
            .collect(),
        other => other.clone(),
    }
}

impl Node {
    /// The node of this name, added where it is missing.
    fn named<'a>(nodes: &'a mut Vec<Self>, name: &str) -> &'a mut Self {
        let idx = nodes
            .iter()
            .position(|node| node.name == name)
            .unwrap_or(nodes.len());
        if idx == nodes.len() {
            nodes.push(Self {
                name: name.to_owned(),
                id: None,
                children: Vec::new(),
            });
        }
        &mut nodes[idx]
    }

    /// Takes the planned claims from a value that was parsed as a whole.
    fn collect(&self, value: &mut Value, set: &mut ClaimSet) {
        for child in &self.children {
            if let Some(member) = value.get_mut(&child.name) {
                child.collect(member, set);
            }
        }
        if let Some(id) = self.id {
            set.0[id.0] = Slot::Present(value.clone());
        }
    }
}

/// An object on a planned path.
struct Object<'p, 's> {
    nodes: &'p [Node],
    set: &'s mut ClaimSet,
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut names = Vec::with_capacity(16);
        while let Some(Name(name)) = object.next_key()? {
            match self.nodes.iter().find(|node| node.name == name) {
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
                Some(node) => object.next_value_seed(Member {
                    node,
                    set: &mut *self.set,
                })?,
            }
            names.push(name);
        }
        check_unique(names)
    }
}

/// A planned member, or an object on the way to one.
struct Member<'p, 's> {
    node: &'p Node,
    set: &'s mut ClaimSet,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node.id {
            Some(id) if self.node.children.is_empty() => {
                self.set.0[id.0] = Slot::Present(deserializer.deserialize_any(Whole)?);
                Ok(())
            }
            Some(_) => {
                let mut value = deserializer.deserialize_any(Whole)?;
                self.node.collect(&mut value, self.set);
                Ok(())
            }
            None => deserializer.deserialize_any(OnTheWay(Object {
                nodes: &self.node.children,
                set: self.set,
            })),
        }
    }
}

/// A value that matters only if it is an object.
struct OnTheWay<'p, 's>(Object<'p, 's>);

impl<'de> Visitor<'de> for OnTheWay<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.0.visit_map(object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A whole value in which no object repeats a member.
struct Whole;

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(Name(name)) = object.next_key()? {
            let value = object.next_value_seed(Self)?;
            if members.insert(name.into_owned(), value).is_some() {
                return Err(Error::custom(REPEATED));
            }
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

const REPEATED: &str = "a member is repeated";

fn check_unique<E: Error>(mut names: Vec<Cow<'_, str>>) -> Result<(), E> {
    names.sort_unstable();
    if names.is_sorted_by(|one, next| one != next) {
        Ok(())
    } else {
        Err(Error::custom(REPEATED))
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(paths: &[&str]) -> (ClaimPlan, Vec<ClaimId>) {
        let mut plan = ClaimPlan::default();
        let ids = paths
            .iter()
            .map(|path| plan.retain(&ClaimPath::parse(path).unwrap()))
            .collect();
        (plan, ids)
    }

    #[test]
    fn a_path_has_one_canonical_form() {
        for (text, name) in [
            ("groups", "groups"),
            ("/groups", "groups"),
            ("https://example.com/roles", "https://example.com/roles"),
            ("/https:~1~1example.com~1roles", "https://example.com/roles"),
            ("/realm_access/roles", "/realm_access/roles"),
            ("/a~1b/c~0d", "/a~1b/c~0d"),
            ("/~1a", "/~1a"),
            ("/", "/"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(ClaimPath::parse(text).unwrap().name(), name, "{text}");
        }
        for wrong in ["", "/a~", "/a~2b", "a\nb"] {
            assert!(ClaimPath::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn planned_claims_are_read_at_every_depth() {
        let (plan, ids) = plan(&[
            "a",
            "/o/x/y",
            "/o/x",
            "/p/q",
            "/list/0",
            "https://e.com/r",
            "missing",
        ]);
        let json = br#"{"a": 1, "o": {"x": {"y": ["z"]}, "rest": 2}, "p": "text", "list": ["i"],
            "\u0068ttps://e.com/r": true, "other": {"a": 2, "a": 3}}"#;
        let set = plan.parse(json).unwrap();
        let found: Vec<_> = ids.iter().map(|id| set.get(*id).cloned()).collect();
        assert_eq!(
            found,
            [
                Some(json!(1)),
                Some(json!(["z"])),
                Some(json!({"y": ["z"]})),
                None,
                None,
                Some(json!(true)),
                None,
            ]
        );
    }

    #[test]
    fn repeated_members_are_refused_wherever_a_path_passes() {
        let (plan, _) = plan(&["a", "/o/x", "whole"]);
        for json in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": 1, "a": 2, "x": 3}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"{"o": {"x": 1, "x": 2}}"#,
            r#"{"o": {"y": 1, "y": 2}}"#,
            r#"{"whole": [{"y": 1, "y": 2}]}"#,
            r#"{"a": 1} {}"#,
            r#"{"a": 1,}"#,
            r#"{"x": [1, }"#,
            r#"{"x": nul}"#,
            r#"["a"]"#,
            "",
        ] {
            assert!(plan.parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(plan.parse(b"{\"x\": \"\xff\"}").is_err());
        // Members outside every planned path are skipped, even malformed ones with repeated names.
        assert!(plan.parse(br#"{"other": {"y": 1, "y": 2}}"#).is_ok());
    }

    #[test]
    fn a_requirement_is_met_or_not() {
        use ClaimRequirement::{All, Any, Keys};
        let text = |text: &str| ClaimValue::Text(text.to_owned());
        let keys = |key: &str| Keys(vec![key.to_owned()]);
        for (claim, requirement, is_met) in [
            (json!("a"), Any(vec![text("b"), text("a")]), true),
            (json!(["a", "c"]), Any(vec![text("a")]), true),
            (json!(["ab"]), Any(vec![text("a")]), false),
            (
                json!(["a", "b", "c"]),
                All(vec![text("a"), text("b")]),
                true,
            ),
            (json!(["a"]), All(vec![text("a"), text("b")]), false),
            (json!("a"), All(vec![text("a")]), true),
            (json!(true), Any(vec![ClaimValue::Bool(true)]), true),
            (json!("true"), Any(vec![ClaimValue::Bool(true)]), false),
            (json!(42), Any(vec![ClaimValue::Integer(42)]), true),
            (json!(42.0), Any(vec![ClaimValue::Integer(42)]), true),
            (json!(42.5), Any(vec![ClaimValue::Integer(42)]), false),
            (json!("42"), Any(vec![ClaimValue::Integer(42)]), false),
            (
                json!(9_007_199_254_740_993_u64),
                Any(vec![ClaimValue::Integer(9_007_199_254_740_992)]),
                false,
            ),
            (json!({"a": "a"}), Any(vec![text("a")]), false),
            (json!({"a": {"1": "x"}}), keys("a"), true),
            (json!({"a": 0}), keys("a"), true),
            (json!({"a": false}), keys("a"), false),
            (json!({"a": null}), keys("a"), false),
            (json!({"a": {}}), keys("a"), false),
            (json!({"a": ""}), keys("a"), false),
            (json!({"b": true}), keys("a"), false),
            (json!(["a"]), keys("a"), false),
            (json!("a"), keys("a"), false),
        ] {
            let (plan, ids) = plan(&["c"]);
            let set = plan
                .parse(json!({"c": claim}).to_string().as_bytes())
                .unwrap();
            assert_eq!(
                set.meets(ids[0], &requirement),
                Ok(is_met),
                "{claim} {requirement:?}"
            );
            // The claims that a session retains give the same result.
            let restored = plan.restore(plan.retained(&set));
            assert_eq!(restored.meets(ids[0], &requirement), Ok(is_met), "{claim}");
        }
    }

    #[test]
    fn a_segment_is_named_by_a_text_a_full_group_path_or_an_integer() {
        for (claim, segment, is_named) in [
            (json!("red"), "red", true),
            (json!(["blue", "red"]), "red", true),
            (json!("/red"), "red", true),
            (json!("/red/team"), "team", false),
            (json!("/red/team"), "red", false),
            (json!("//red"), "red", false),
            (json!("/"), "", true),
            (json!(42), "42", true),
            (json!(-7), "-7", true),
            (json!(42.0), "42", true),
            (json!(1e2), "100", true),
            (json!(-0.0), "0", true),
            // Near the end of the range a careless number parser is off by one.
            (json!(7_309_194_161_461_711.0), "7309194161461711", true),
            (json!(7_309_194_161_461_711.0), "7309194161461710", false),
            (json!(42), "042", false),
            (json!(9_007_199_254_740_991_i64), "9007199254740991", true),
            (json!(9_007_199_254_740_992_i64), "9007199254740992", false),
            (json!(u64::MAX), "18446744073709551615", false),
            (json!(1.5), "1.5", false),
            (json!(true), "true", false),
            (json!({"red": true}), "red", false),
            (json!([["red"]]), "red", false),
        ] {
            let (plan, ids) = plan(&["c"]);
            let set = plan
                .parse(json!({"c": claim}).to_string().as_bytes())
                .unwrap();
            assert_eq!(
                set.names(ids[0], segment),
                Ok(is_named),
                "{claim} {segment}"
            );
        }
    }

    #[test]
    fn a_claim_that_was_not_retained_differs_from_an_absent_one() {
        let (before, _) = plan(&["groups", "team"]);
        let set = before.parse(br#"{"groups": ["red"], "sub": "a"}"#).unwrap();
        let retained = before.retained(&set);
        assert_eq!(
            Value::Object(retained.clone()),
            json!({"groups": ["red"], "team": null})
        );
        let (after, ids) = plan(&["team", "groups", "tier"]);
        let restored = after.restore(retained);
        let any = ClaimRequirement::Any(vec![ClaimValue::Text("red".to_owned())]);
        let found: Vec<_> = ids.iter().map(|id| restored.meets(*id, &any)).collect();
        assert_eq!(found, [Ok(false), Ok(true), Err(NotRetained)]);
    }
}
