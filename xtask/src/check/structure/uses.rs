//! Which file uses which: every path that a module mentions is resolved to the file that defines its name.
//!
//! Names are followed through imports and re-exports, so a dependency is on the definition and not on a facade.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::modules::Modules;

/// The names that one file uses of another, both by index.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pub(super) between: BTreeMap<(usize, usize), BTreeSet<String>>,
}

impl Uses {
    pub(super) fn of(modules: &Modules) -> Self {
        let mut uses = Self::default();
        for (index, module) in modules.all.iter().enumerate() {
            for path in &module.mentions {
                let mut open = Vec::new();
                // A module alone is not a use: what is used of it is a path of its own.
                if let Some(Found::Item(home, name)) = resolve(modules, index, path, &mut open) {
                    let home = modules.all[home].file;
                    if home != module.file {
                        uses.between
                            .entry((module.file, home))
                            .or_default()
                            .insert(name);
                    }
                }
            }
        }
        uses
    }
}

/// The target of a path.
#[derive(Debug)]
enum Found {
    Module(usize),
    /// The module that defines it, and its name there.
    Item(usize, String),
}

/// The imports that are being followed, so that a circle of them ends.
type Open = Vec<(usize, String)>;

fn resolve(modules: &Modules, from: usize, path: &[String], open: &mut Open) -> Option<Found> {
    let mut module = from;
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        module = match first.as_str() {
            "crate" => 0,
            "self" => module,
            "super" => modules.all[module].parent?,
            _ => break,
        };
        rest = others;
    }
    let is_qualified = rest.len() < path.len();
    while let Some((name, others)) = rest.split_first() {
        match look_up(modules, module, name, others.is_empty(), open) {
            Some(Found::Module(child)) => module = child,
            // The rest is a variant or an associated item.
            Some(item) => return Some(item),
            // A macro may have made it.
            None if is_qualified => return Some(Found::Item(module, name.clone())),
            None => return None,
        }
        rest = others;
    }
    Some(Found::Module(module))
}

/// Finds a name in a module. The last name of a path is rather an item than a module of the same name.
fn look_up(
    modules: &Modules,
    index: usize,
    name: &str,
    is_last: bool,
    open: &mut Open,
) -> Option<Found> {
    let module = &modules.all[index];
    let item = module
        .items
        .contains(name)
        .then(|| Found::Item(index, name.to_owned()));
    let child = module.children.get(name).copied().map(Found::Module);
    let found = if is_last {
        item.or(child)
    } else {
        child.or(item)
    };
    if found.is_some() {
        return found;
    }
    let step = (index, name.to_owned());
    if open.contains(&step) {
        return None;
    }
    open.push(step);
    let found = match module.imports.get(name) {
        // `use bytes::Bytes` in a module named bytes leads to the crate.
        Some(path) => resolve(modules, index, path, open),
        None => module.globs.iter().find_map(|path| {
            let Found::Module(target) = resolve(modules, index, path, open)? else {
                return None;
            };
            look_up(modules, target, name, is_last, open)
        }),
    };
    open.pop();
    found
}
