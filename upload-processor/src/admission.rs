//! Admission control: bounds the memory of concurrently processed images; callers wait until theirs fits.
//!
//! `making` calls it for each image, first for the file and then for the rest. It only counts: it allocates nothing and
//! refuses nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of accounting. The semaphore's requests are 32-bit counts of whole units.
const UNIT: u64 = 64 * 1024;

/// The memory that all images together may take.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    units: Arc<Semaphore>,
    total: u32,
    /// Serialises callers that acquire in two steps; two of them, each holding half, would deadlock.
    queue: Arc<Semaphore>,
}

/// The first place in the queue: permission to acquire memory, in one or more steps.
pub(crate) struct AdmissionTicket {
    admission: Admission,
    _place: OwnedSemaphorePermit,
}

/// Acquired memory, released on drop.
pub(crate) struct MemoryPermit(
    #[expect(dead_code, reason = "it is released on drop")] OwnedSemaphorePermit,
);

impl Admission {
    pub(crate) fn new(bytes: u64) -> Self {
        let total = units(bytes).max(1);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
            queue: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for permission to acquire.
    pub(crate) async fn ticket(&self) -> Option<AdmissionTicket> {
        let place = self.queue.clone().acquire_owned().await.ok()?;
        Some(AdmissionTicket {
            admission: self.clone(),
            _place: place,
        })
    }
}

impl AdmissionTicket {
    /// The memory of all images together, in bytes.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.admission.total) * UNIT
    }

    /// Waits for this much memory. A request above the total gets all of it, alone.
    pub(crate) async fn acquire(&self, bytes: u64) -> Option<MemoryPermit> {
        let wanted = units(bytes).min(self.admission.total);
        let units = self.admission.units.clone();
        units
            .acquire_many_owned(wanted)
            .await
            .ok()
            .map(MemoryPermit)
    }

    /// The same for a caller that already holds `held` bytes: both parts together are capped at the total.
    pub(crate) async fn acquire_besides(&self, held: u64, bytes: u64) -> Option<MemoryPermit> {
        let left = self.admission.total.saturating_sub(units(held));
        let wanted = units(bytes).min(left);
        let units = self.admission.units.clone();
        units
            .acquire_many_owned(wanted)
            .await
            .ok()
            .map(MemoryPermit)
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_step_acquisitions_stay_within_the_budget_and_do_not_deadlock() {
        let admission = Admission::new(100 * UNIT);
        let (most, held) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(std::sync::Mutex::new(0_u64)),
        );
        let tasks: Vec<_> = (1..=40_u64)
            .map(|n| {
                let (admission, most, held) = (admission.clone(), most.clone(), held.clone());
                tokio::spawn(async move {
                    let (file, picture) = (n * UNIT, 5 * n * UNIT);
                    let ticket = admission.ticket().await.unwrap();
                    let first = ticket.acquire(file).await.unwrap();
                    tokio::task::yield_now().await;
                    let second = ticket.acquire_besides(file, picture).await.unwrap();
                    drop(ticket);
                    let wanted = (file + picture).min(100 * UNIT);
                    {
                        let mut held = held.lock().unwrap();
                        *held += wanted;
                        assert!(*held <= 100 * UNIT, "{held}");
                    }
                    // The others run meanwhile, as far as their memory allows.
                    tokio::task::yield_now().await;
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
