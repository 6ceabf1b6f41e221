//! Reads planned claims from JSON. All other members are skipped.
//!
//! A repeated member is refused in every object on a planned path, because parsers disagree on which of two `sub`s
//! counts (RFC 8725bis).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::token::claims::{ClaimId, ClaimSet, Slot};

/// A member that is read, or an object on the way to one.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) id: Option<ClaimId>,
    pub(super) children: Vec<Node>,
}

/// Reads the claims of a tree of nodes from an object into a set.
pub(super) fn read(json: &[u8], nodes: &[Node], set: &mut ClaimSet) -> serde_json::Result<()> {
    // From `str`: serde does not check skipped bytes for UTF-8.
    let text = std::str::from_utf8(json).map_err(Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Object { nodes, set })?;
    deserializer.end()
}

impl Node {
    /// The node of this name, added where it is missing.
    pub(super) fn named<'a>(nodes: &'a mut Vec<Self>, name: &str) -> &'a mut Self {
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
