//! Which dead letters a command is about, and the result of moving one.

/// The dead letters that a command is about.
#[derive(Clone, Copy)]
pub(super) enum Selection<'a> {
    All,
    These(&'a [String]),
}

/// The result for one dead letter that was to be moved.
#[derive(Debug, PartialEq)]
pub(super) enum Move {
    /// The main queue has it, under this id.
    Done(String),
    /// It is still among the dead letters: the reason.
    Failed(String),
}

impl Selection<'_> {
    pub(super) fn has(self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.iter().any(|wanted| wanted == id),
        }
    }

    /// Whether every selected dead letter is among the known ones.
    pub(super) fn is_complete<'a>(self, mut is_known: impl FnMut(&str) -> bool + 'a) -> bool {
        match self {
            Self::All => false,
            Self::These(ids) => ids.iter().all(|id| is_known(id)),
        }
    }
}
