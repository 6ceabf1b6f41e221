//! Where a claim is within a token: a JSON Pointer (RFC 6901) or the name of a top-level claim.

/// Where a claim is: the names of the members that lead to it from the top.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClaimPath {
    pub(super) members: Vec<String>,
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
