//! The dead letters of the local stack, which may be running or not.
//!
//! The stack adds files to the folder and never touches them again. Redriving leaves a new message for the stack's
//! queue, and then removes the dead letter: [`local_aws::sqs`].

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use local_aws::sqs;

use super::interruption::Interrupted;
use super::letter::DeadLetter;
use super::selection::{Move, Selection};
use crate::dev::data_dir::DataDir;
use crate::stop::Stop;

/// The dead letters of a data directory.
pub(super) struct LocalQueue {
    data_dir: DataDir,
}

impl LocalQueue {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            data_dir: DataDir::look_into(path)?,
        })
    }

    pub(super) fn name(&self) -> String {
        self.data_dir.dead_letters().display().to_string()
    }

    /// The selected dead letters.
    pub(super) fn look(&self, selection: Selection<'_>) -> anyhow::Result<Vec<DeadLetter>> {
        let messages = sqs::read_messages(&self.data_dir.dead_letters())
            .with_context(|| format!("{} cannot be read", self.name()))?;
        let selected = messages
            .into_iter()
            .filter(|message| selection.has(&message.message_id));
        let letters = selected.map(|message| DeadLetter {
            id: message.message_id,
            body: message.body,
            sent_at: message.sent_at,
            first_received_at: None,
            receive_count: message.receive_count,
        });
        Ok(letters.collect())
    }

    /// Moves the selected dead letters. A lock on the folder excludes a concurrent redrive: two would send each message
    /// twice.
    pub(super) fn redrive(
        &self,
        selection: Selection<'_>,
        stop: &Stop,
        on_move: &mut dyn FnMut(&DeadLetter, &Move),
    ) -> anyhow::Result<()> {
        let lock = File::open(self.data_dir.dead_letters())
            .and_then(|folder| folder.lock().map(|()| folder))
            .with_context(|| format!("{} cannot be locked", self.name()))?;
        for letter in self.look(selection)? {
            if stop.is_asked() {
                return Err(Interrupted.into());
            }
            let moved = match self.move_back(&letter) {
                Ok(id) => Move::Done(id),
                Err(error) => Move::Failed(error.to_string()),
            };
            on_move(&letter, &moved);
        }
        drop(lock);
        Ok(())
    }

    fn move_back(&self, letter: &DeadLetter) -> io::Result<String> {
        let file = sqs::file_of(&self.data_dir.dead_letters(), &letter.id)
            .ok_or_else(|| io::Error::other("its id is not the name of a file"))?;
        let id = sqs::leave(&self.data_dir.redriven(), letter.body.clone())?;
        std::fs::remove_file(file).map_err(|error| {
            let what = format!("it was sent as {id}, and cannot be removed from here: {error}");
            io::Error::other(what)
        })?;
        Ok(id)
    }
}
