//! The paths that an item's code mentions: in imports, expressions, types, bounds, macros and attributes.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, Meta, UseTree};

/// A path as it is written: `crate`, `token`, `verify`.
pub(super) type Segments = Vec<String>;

/// Collects paths. Visibilities such as `pub(in crate::a)` are not uses, and neither is what only tests compile.
#[derive(Default)]
pub(super) struct Mentions(Vec<Segments>);

impl Mentions {
    pub(super) fn of(item: &Item) -> Vec<Segments> {
        let mut mentions = Self::default();
        mentions.visit_item(item);
        mentions.0
    }

    /// Paths in the tokens of a macro: identifiers joined by `::`. A field's name follows a dot and is not a path.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let (mut n_colons, mut follows_dot) = (0, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if n_colons != 2 {
                        self.end(&mut path);
                    }
                    if !follows_dot {
                        path.push(ident.to_string());
                    }
                    n_colons = 0;
                    follows_dot = false;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => n_colons += 1,
                TokenTree::Punct(mark) => {
                    self.end(&mut path);
                    n_colons = 0;
                    follows_dot = mark.as_char() == '.';
                }
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    n_colons = 0;
                    follows_dot = false;
                    self.read_tokens(group.stream());
                }
                TokenTree::Literal(_) => self.end(&mut path),
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Segments) {
        if !path.is_empty() {
            self.0.push(std::mem::take(path));
        }
    }

    /// Paths in the texts of an attribute, as serde has them: `#[serde(with = "crate::a")]`.
    fn read_texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.read_texts(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path = syn::parse_str::<syn::Path>(text.trim_matches('"'));
                    self.0.extend(path.map(|path| segments(&path)));
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Mentions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let paths = leaves(item).into_iter().map(|(_, path)| path);
        self.0.extend(paths);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.0.push(segments(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.0.push(segments(&item.path));
        self.read_tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.read_texts(list.tokens.clone());
        }
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// Every imported name with its path. A glob has no name, and `use ::bytes` is of another crate.
pub(super) fn leaves(item: &ItemUse) -> Vec<(Option<String>, Segments)> {
    let mut found = Vec::new();
    if item.leading_colon.is_some() {
        return found;
    }
    let mut open = vec![(Vec::new(), &item.tree)];
    while let Some((mut path, tree)) = open.pop() {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                open.push((path, &*inner.tree));
            }
            UseTree::Group(group) => {
                open.extend(group.items.iter().map(|tree| (path.clone(), tree)));
            }
            UseTree::Glob(_) => found.push((None, path)),
            UseTree::Name(leaf) => {
                let name = leaf.ident.to_string();
                if name != "self" {
                    path.push(name);
                }
                found.push((path.last().cloned(), path));
            }
            UseTree::Rename(leaf) => {
                let name = leaf.ident.to_string();
                if name != "self" {
                    path.push(name);
                }
                found.push((Some(leaf.rename.to_string()), path));
            }
        }
    }
    found
}

/// Whether an item is only compiled for tests.
pub(super) fn is_test_only(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}

fn segments(path: &syn::Path) -> Segments {
    let names = path.segments.iter();
    names.map(|segment| segment.ident.to_string()).collect()
}
