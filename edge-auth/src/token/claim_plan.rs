//! Which claims of a token are read: every claim path that a rule or an issuer block names.
//!
//! A [`ClaimPlan`] lists the paths, and a [`ClaimSet`] holds one token's values for that list. A plan also decides what
//! a session retains of its token.

use serde_json::{Map, Value};

use crate::token::claim_path::ClaimPath;
use crate::token::claim_reader::{self, Node};
#[cfg(any(test, feature = "signing"))]
use crate::token::claims::reduced;
use crate::token::claims::{ClaimId, ClaimSet, Slot};

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
        let mut set = ClaimSet(vec![Slot::Absent; self.entries.len()]);
        claim_reader::read(json, &self.tree, &mut set)?;
        Ok(set)
    }

    /// The claims that a session retains of a token: every planned claim, with `null` for one that the token lacks. A
    /// claim that was absent can then be distinguished from one that the session did not retain.
    #[cfg(any(test, feature = "signing"))]
    pub(crate) fn retained_claims(&self, set: &ClaimSet) -> Map<String, Value> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{ClaimRequirement, ClaimValue};
    use crate::token::claims::NotRetained;

    fn plan(paths: &[&str]) -> (ClaimPlan, Vec<ClaimId>) {
        let mut plan = ClaimPlan::default();
        let ids = paths
            .iter()
            .map(|path| plan.retain(&ClaimPath::parse(path).unwrap()))
            .collect();
        (plan, ids)
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
            let restored = plan.restore(plan.retained_claims(&set));
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
        let retained = before.retained_claims(&set);
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
