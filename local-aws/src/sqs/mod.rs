//! An SQS emulator: a durable queue in a folder, one file a message, with at-least-once delivery.
//!
//! The guarantees are those of SQS. A message is kept until it is deleted. It is hidden while a consumer works on it, and
//! received again if that fails. After a number of receives it is moved to a folder of dead letters. A message that was
//! in flight when the process ended is visible at the next start.
//!
//! One process has the queue open and is the only one that writes into its folder. Another process, which
//! may run at the same time or while no process has it open, redrives a dead letter with [`leave`]: in a third folder, from which they are taken
//! in. So neither ever overwrites what the other wrote.

mod files;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::atomic;

pub use files::{Message, file_of, leave, read_messages};
use files::{file_name, message_files, read_message};

/// The options of a queue.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// The folder of the messages that wait or are in flight.
    pub folder: PathBuf,
    /// The folder of the messages that were received too often.
    pub dead_letters: PathBuf,
    /// The folder from which the queue takes the messages of [`leave`].
    pub redriven: PathBuf,
    /// The redrive policy's `maxReceiveCount`: a message that fails this many times becomes a dead letter.
    pub max_receives: u32,
}

/// A queue with its two other folders.
pub struct Queue {
    folder: PathBuf,
    dead_letters: PathBuf,
    redriven: PathBuf,
    max_receives: u32,
    messages: Mutex<BTreeMap<String, Entry>>,
    changed: Notify,
}

struct Entry {
    message: Message,
    state: Visibility,
}

#[derive(Clone, Copy, PartialEq)]
enum Visibility {
    /// It can be received from then on.
    From(Instant),
    /// A consumer is working on it.
    InFlight,
}

impl Queue {
    /// Opens a queue, with every message that an earlier process left in it.
    ///
    /// # Errors
    ///
    /// The error of a disk on which a folder cannot be made, read or written.
    pub fn open(options: QueueOptions) -> io::Result<Self> {
        let QueueOptions {
            folder,
            dead_letters,
            redriven,
            max_receives,
        } = options;
        for folder in [&folder, &dead_letters, &redriven] {
            std::fs::create_dir_all(folder)?;
        }
        atomic::remove_unfinished(&folder)?;
        let now = Instant::now();
        let messages = read_messages(&folder)?
            .into_iter()
            .map(|message| {
                let entry = Entry {
                    message,
                    state: Visibility::From(now),
                };
                (entry.message.message_id.clone(), entry)
            })
            .collect();
        Ok(Self {
            folder,
            dead_letters,
            redriven,
            max_receives,
            messages: Mutex::new(messages),
            changed: Notify::new(),
        })
    }

    /// Adds a message. When this returns it is on disk.
    ///
    /// # Errors
    ///
    /// The error of a disk that cannot be read or written.
    pub async fn send(&self, body: String) -> io::Result<()> {
        let message = Message::new(body)?;
        let path = self.path(&message.message_id);
        let content = serde_json::to_vec_pretty(&message)?;
        tokio::task::spawn_blocking(move || atomic::write(&path, &content))
            .await
            .map_err(io::Error::other)??;
        let entry = Entry {
            message: message.clone(),
            state: Visibility::From(Instant::now()),
        };
        self.lock().insert(message.message_id, entry);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until there is a message to be received, then takes at most `max`, the oldest first.
    ///
    /// # Errors
    ///
    /// The error of a disk that cannot be read or written.
    pub async fn receive(&self, max: usize) -> io::Result<Vec<Message>> {
        loop {
            self.take_in()?;
            let (taken, next) = self.take(max)?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            let next_look = Instant::now() + REDRIVEN_PERIOD;
            let until = next.map_or(next_look, |at| at.min(next_look));
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Removes a message whose work is done.
    ///
    /// # Errors
    ///
    /// The error of a disk that cannot be read or written.
    pub fn delete(&self, message_id: &str) -> io::Result<()> {
        self.lock().remove(message_id);
        match std::fs::remove_file(self.path(message_id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a message visible again after a delay, or moves it to the dead letters if it was received too often. A
    /// receive that does not count is taken back: the message was not the cause of the failure.
    ///
    /// # Errors
    ///
    /// The error of a disk that cannot be read or written.
    pub fn release(&self, message_id: &str, delay: Duration, counts: bool) -> io::Result<()> {
        let mut messages = self.lock();
        let Some(entry) = messages.get_mut(message_id) else {
            return Ok(());
        };
        // First of all: a message that cannot be written or moved because the disk is full must not stay in flight.
        entry.state = Visibility::From(Instant::now() + delay);
        if !counts {
            entry.message.receive_count = entry.message.receive_count.saturating_sub(1);
            atomic::write(
                &self.path(message_id),
                &serde_json::to_vec_pretty(&entry.message)?,
            )?;
        }
        if entry.message.receive_count >= self.max_receives {
            tracing::error!(
                message_id,
                receives = entry.message.receive_count,
                "a message goes to the dead letters"
            );
            std::fs::rename(
                self.path(message_id),
                self.dead_letters.join(file_name(message_id)),
            )?;
            messages.remove(message_id);
        }
        drop(messages);
        self.changed.notify_one();
        Ok(())
    }

    /// The bodies of all messages, dead letters included.
    ///
    /// # Errors
    ///
    /// The error of a disk that cannot be read or written.
    pub fn bodies(&self) -> io::Result<Vec<String>> {
        // In the order of a redrive: a message that is moved at the same time is seen at least once.
        let dead_letters = read_messages(&self.dead_letters)?;
        self.take_in()?;
        let messages = self.lock();
        let waiting = messages.values().map(|entry| entry.message.body.clone());
        let given_up = dead_letters.into_iter().map(|message| message.body);
        Ok(waiting.chain(given_up).collect())
    }

    /// Takes in redriven messages. A file that is not a message is renamed, so that it is reported once.
    fn take_in(&self) -> io::Result<()> {
        let mut messages = self.lock();
        for path in message_files(&self.redriven)? {
            let Some(message) = read_message(&path)? else {
                std::fs::rename(&path, path.with_extension("json.unreadable"))?;
                continue;
            };
            std::fs::rename(&path, self.path(&message.message_id))?;
            tracing::info!(message_id = message.message_id, "a dead letter is redriven");
            let entry = Entry {
                message: message.clone(),
                state: Visibility::From(Instant::now()),
            };
            messages.insert(message.message_id, entry);
        }
        Ok(())
    }

    /// Takes what is visible, and says when something next will be.
    fn take(&self, max: usize) -> io::Result<(Vec<Message>, Option<Instant>)> {
        let now = Instant::now();
        let mut messages = self.lock();
        let mut taken = Vec::new();
        let mut next: Option<Instant> = None;
        let mut given_up = Vec::new();
        for entry in messages.values_mut() {
            let Visibility::From(at) = entry.state else {
                continue;
            };
            if at > now {
                next = Some(next.map_or(at, |earliest| earliest.min(at)));
                continue;
            }
            if entry.message.receive_count >= self.max_receives {
                // It was in flight when the process ended, at its last receive.
                given_up.push(entry.message.message_id.clone());
                continue;
            }
            if taken.len() == max {
                next = Some(now);
                break;
            }
            let mut received = entry.message.clone();
            received.receive_count += 1;
            // Written before the work begins: a message that ends the process is counted, too.
            let written = serde_json::to_vec_pretty(&received)
                .map_err(io::Error::from)
                .and_then(|content| {
                    atomic::write(&self.folder.join(file_name(&received.message_id)), &content)
                });
            match written {
                Ok(()) => {
                    entry.message = received.clone();
                    entry.state = Visibility::InFlight;
                    taken.push(received);
                }
                // The messages before this one are worked on; this one stays where it is.
                Err(_) if !taken.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        drop(messages);
        for message_id in given_up {
            // The messages that were taken are worked on anyway.
            if let Err(error) = self.release(&message_id, Duration::ZERO, true) {
                tracing::error!(message_id, %error, "the message cannot be moved to the dead letters");
            }
        }
        Ok((taken, next))
    }

    fn path(&self, message_id: &str) -> PathBuf {
        self.folder.join(file_name(message_id))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        // A panic elsewhere leaves the map whole: every change to it is one insertion or removal.
        self.messages
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How often redriven messages are looked for.
const REDRIVEN_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const MAX_RECEIVES: u32 = 3;

    fn open(folder: &Path) -> Queue {
        Queue::open(QueueOptions {
            folder: folder.join("queue"),
            dead_letters: folder.join("dead"),
            redriven: folder.join("redriven"),
            max_receives: MAX_RECEIVES,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_message_stays_until_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        queue.send("one".to_owned()).await.unwrap();
        let received = queue.receive(10).await.unwrap();
        assert_eq!(received[0].body, "one");
        // In flight when the process ends: there again for the next.
        let queue = open(folder.path());
        let received = queue.receive(10).await.unwrap();
        assert_eq!(
            (received[0].body.as_str(), received[0].receive_count),
            ("one", 2)
        );
        queue.delete(&received[0].message_id).unwrap();
        assert!(open(folder.path()).bodies().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_disk_error_loses_no_message() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        queue.send("one".to_owned()).await.unwrap();
        let (here, away) = (folder.path().join("queue"), folder.path().join("away"));
        std::fs::rename(&here, &away).unwrap();
        assert!(queue.receive(10).await.is_err());
        std::fs::rename(&away, &here).unwrap();
        // A file that was half-written at the last end is removed at the next start.
        std::fs::write(here.join(".tmpAbCdEf"), "{").unwrap();
        let received = queue.receive(10).await.unwrap();
        assert_eq!(
            (received[0].body.as_str(), received[0].receive_count),
            ("one", 1)
        );
        assert_eq!(open(folder.path()).bodies().unwrap(), ["one"]);
        assert_eq!(std::fs::read_dir(&here).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_message_in_flight_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        queue.send("one".to_owned()).await.unwrap();
        queue.send("two".to_owned()).await.unwrap();
        assert_eq!(queue.receive(1).await.unwrap()[0].body, "one");
        assert_eq!(queue.receive(10).await.unwrap()[0].body, "two");
        let nothing = tokio::time::timeout(Duration::from_millis(50), queue.receive(10)).await;
        assert!(nothing.is_err());
    }

    #[tokio::test]
    async fn a_message_becomes_a_dead_letter_after_its_last_receive() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        queue.send("poison".to_owned()).await.unwrap();
        for n in 1..=MAX_RECEIVES {
            let received = queue.receive(10).await.unwrap();
            assert_eq!(received[0].receive_count, n);
            queue
                .release(&received[0].message_id, Duration::ZERO, true)
                .unwrap();
        }
        assert!(queue.lock().is_empty());
        let dead = read_messages(&folder.path().join("dead")).unwrap();
        assert_eq!(
            (dead[0].body.as_str(), dead[0].receive_count),
            ("poison", MAX_RECEIVES)
        );
    }

    #[tokio::test]
    async fn a_message_that_always_ends_the_process_becomes_a_dead_letter() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).send("poison".to_owned()).await.unwrap();
        for _ in 0..MAX_RECEIVES {
            open(folder.path()).receive(10).await.unwrap();
        }
        let queue = open(folder.path());
        let nothing = tokio::time::timeout(Duration::from_millis(50), queue.receive(10)).await;
        assert!(nothing.is_err());
        assert_eq!(read_messages(&folder.path().join("dead")).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_redriven_message_is_received_whether_the_queue_is_open_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let redriven = folder.path().join("redriven");
        let before = leave(&redriven, "before".to_owned()).unwrap();
        std::fs::write(redriven.join("other.json"), "{").unwrap();
        // Not a file: it is left alone as well.
        std::fs::create_dir(redriven.join("folder.json")).unwrap();
        let queue = open(folder.path());
        let received = queue.receive(10).await.unwrap();
        assert_eq!(received[0].message_id, before);
        // A consumer waits already.
        let waiting = queue.receive(10);
        let leaving = async { leave(&redriven, "meanwhile".to_owned()).unwrap() };
        let (received, meanwhile) = tokio::join!(waiting, leaving);
        let received = &received.unwrap()[0];
        assert_eq!(
            (
                &received.message_id,
                &*received.body,
                received.receive_count
            ),
            (&meanwhile, "meanwhile", 1)
        );
        assert_eq!(queue.bodies().unwrap(), ["before", "meanwhile"]);
        let names = std::fs::read_dir(&redriven).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["folder.json", "other.json.unreadable"]);
        assert_eq!(open(folder.path()).bodies().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn an_outage_makes_no_dead_letter() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(folder.path());
        queue.send("photo".to_owned()).await.unwrap();
        for _ in 0..10 * MAX_RECEIVES {
            let received = queue.receive(10).await.unwrap();
            assert_eq!(received[0].receive_count, 1);
            queue
                .release(&received[0].message_id, Duration::ZERO, false)
                .unwrap();
        }
        // Also not at the next start, which counts what was in flight.
        drop(queue);
        let received = open(folder.path()).receive(10).await.unwrap();
        assert_eq!(received[0].receive_count, 1);
        assert!(
            read_messages(&folder.path().join("dead"))
                .unwrap()
                .is_empty()
        );
    }
}
