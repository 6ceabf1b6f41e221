//! Memory, shared out among the images that are worked on at a time: who does not fit waits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted. A semaphore counts in whole units, and requests in 32 bits.
const UNIT: u64 = 64 * 1024;

/// The memory that images may take together.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
    /// Held by who asks for more than once: with two who each have a part and wait for the rest, nobody would go on.
    door: Arc<Semaphore>,
}

/// A place before the door: whoever has it may ask, and ask again.
pub(crate) struct Turn {
    budget: Budget,
    _door: OwnedSemaphorePermit,
}

/// Memory that was given, until it is dropped.
pub(crate) struct Share(
    #[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit,
);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let total = units(bytes).max(1);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
            door: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for one's turn to ask.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let door = self.door.clone().acquire_owned().await.ok()?;
        Some(Turn {
            budget: self.clone(),
            _door: door,
        })
    }
}

impl Turn {
    /// How much there is in all, in bytes.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.budget.total) * UNIT
    }

    /// Waits for so much memory. Who wants more than there is gets all of it, alone.
    pub(crate) async fn take(&self, bytes: u64) -> Option<Share> {
        let wanted = units(bytes).min(self.budget.total);
        let units = self.budget.units.clone();
        units.acquire_many_owned(wanted).await.ok().map(Share)
    }

    /// The same for memory of which a part is held already: together no more than there is.
    pub(crate) async fn take_besides(&self, held: u64, bytes: u64) -> Option<Share> {
        let left = self.budget.total.saturating_sub(units(held));
        let wanted = units(bytes).min(left);
        let units = self.budget.units.clone();
        units.acquire_many_owned(wanted).await.ok().map(Share)
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_does_not_fit_waits_and_nobody_for_ever() {
        let budget = Budget::new(100 * UNIT);
        let (most, held) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(std::sync::Mutex::new(0_u64)),
        );
        let tasks: Vec<_> = (1..=40_u64)
            .map(|n| {
                let (budget, most, held) = (budget.clone(), most.clone(), held.clone());
                tokio::spawn(async move {
                    let (file, picture) = (n * UNIT, 5 * n * UNIT);
                    let turn = budget.turn().await.unwrap();
                    let first = turn.take(file).await.unwrap();
                    tokio::task::yield_now().await;
                    let second = turn.take_besides(file, picture).await.unwrap();
                    drop(turn);
                    let wanted = (file + picture).min(100 * UNIT);
                    {
                        let mut held = held.lock().unwrap();
                        *held += wanted;
                        assert!(*held <= 100 * UNIT, "{held}");
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    *held.lock().unwrap() -= wanted;
                    drop((first, second));
                    most.add_permits(1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(most.available_permits(), 40);
    }
}
