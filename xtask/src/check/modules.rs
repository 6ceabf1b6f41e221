//! The modules of one library or program: what each defines, imports and mentions. [`Modules::load`] follows `mod`
//! declarations from the root file, as the compiler does, and leaves out everything that is only compiled for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, Visibility};

use super::paths::{Mentions, Segments, is_test_only, leaves};

/// The modules of one root file. The first is the root.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) all: Vec<Module>,
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Default)]
pub(super) struct Module {
    /// An index of [`Modules::files`].
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// The names of functions, types, constants and macros.
    pub(super) items: BTreeSet<String>,
    /// Every imported name with its path, re-exports included.
    pub(super) imports: BTreeMap<String, Segments>,
    /// The paths of glob imports.
    pub(super) globs: Vec<Segments>,
    /// Every path that the module's code mentions. Re-exports are not among them.
    pub(super) mentions: Vec<Segments>,
}

impl Modules {
    pub(super) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new("."));
        modules.load_file(root, folder, None)?;
        Ok(modules)
    }

    /// Loads a file as a module. Its children are files of `folder`.
    fn load_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> anyhow::Result<usize> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(shown)?;
        let content = syn::parse_file(&text).with_context(shown)?;
        self.files.push(path.to_owned());
        self.load_items(content.items, self.files.len() - 1, folder, parent)
    }

    fn load_items(
        &mut self,
        items: Vec<Item>,
        file: usize,
        folder: &Path,
        parent: Option<usize>,
    ) -> anyhow::Result<usize> {
        let index = self.all.len();
        self.all.push(Module {
            file,
            parent,
            ..Module::default()
        });
        for item in items {
            match item {
                item if is_test_only(&item) => {}
                Item::Mod(module) => self.load_module(module, index, folder)?,
                Item::Use(item) => self.all[index].import(&item),
                item => {
                    let module = &mut self.all[index];
                    module.items.extend(name_of(&item));
                    module.mentions.extend(Mentions::of(&item));
                }
            }
        }
        Ok(index)
    }

    fn load_module(&mut self, module: ItemMod, parent: usize, folder: &Path) -> anyhow::Result<()> {
        let name = module.ident.to_string();
        let name = name.trim_start_matches("r#");
        let inner = folder.join(name);
        let child = if let Some((_, items)) = module.content {
            let file = self.all[parent].file;
            self.load_items(items, file, &inner, Some(parent))?
        } else {
            let candidates = match path_attribute(&module.attrs) {
                Some(path) => vec![folder.join(path)],
                None => vec![folder.join(format!("{name}.rs")), inner.join("mod.rs")],
            };
            let Some(path) = candidates.iter().find(|path| path.is_file()) else {
                bail!("{} was not found", candidates[0].display());
            };
            self.load_file(path, &inner, Some(parent))?
        };
        self.all[parent].children.insert(name.to_owned(), child);
        Ok(())
    }
}

impl Module {
    /// Notes what a `use` brings in. A private one also mentions it.
    fn import(&mut self, item: &ItemUse) {
        let is_private = matches!(item.vis, Visibility::Inherited);
        for (name, path) in leaves(item) {
            if is_private {
                self.mentions.push(path.clone());
            }
            match name {
                Some(name) => {
                    self.imports.insert(name, path);
                }
                None => self.globs.push(path),
            }
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// The file of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let values = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => Some(&pair.value),
            _ => None,
        });
    let mut texts = values.filter_map(|value| match value {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    texts.next()
}
