//! Admission control: bounds the memory of concurrently processed images; callers wait until theirs fits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of accounting. The semaphore's requests are 32-bit counts of whole units.
const UNIT: u64 = 64 * 1024;

/// The memory that all images together may take.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
    /// Serialises callers that acquire in two steps; two of them, each holding half, would deadlock.
    door: Arc<Semaphore>,
}

/// Permission to acquire memory, in one or more steps.
pub(crate) struct Turn {
    budget: Budget,
    _door: OwnedSemaphorePermit,
}

/// Acquired memory, released on drop.
pub(crate) struct Share(
    #[expect(dead_code, reason = "it is released on drop")] OwnedSemaphorePermit,
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

    /// Waits for permission to acquire.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let door = self.door.clone().acquire_owned().await.ok()?;
        Some(Turn {
            budget: self.clone(),
            _door: door,
        })
    }
}

impl Turn {
    /// The whole budget in bytes.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.budget.total) * UNIT
    }

    /// Waits for this much memory. A request above the whole budget gets all of it, alone.
    pub(crate) async fn take(&self, bytes: u64) -> Option<Share> {
        let wanted = units(bytes).min(self.budget.total);
        let units = self.budget.units.clone();
        units.acquire_many_owned(wanted).await.ok().map(Share)
    }

    /// The same for a caller that already holds `held` bytes: both parts together are capped at the whole budget.
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
    async fn two_step_acquisitions_stay_within_the_budget_and_do_not_deadlock() {
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
