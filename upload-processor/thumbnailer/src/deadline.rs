//! The deadline of an image, on its thread's own clock, and the checkpoints that ask for it.
//!
//! `thumbnail` sets it; decoders, resizing and encoders call a [`Checkpoint`] between pieces of bounded work. The clock
//! counts processor time, so waiting and a frozen Lambda cost nothing. Nothing here reads the time of day.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::rejection::Rejection;

/// Called between pieces of bounded work with the name of the step; an error stops the work.
pub(crate) type Checkpoint<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), Rejection>;

/// A limit on the processor time of the current thread.
pub(crate) struct Deadline {
    end: Duration,
}

impl Deadline {
    /// The deadline after this much more processor time.
    pub(crate) fn after(time: Duration) -> Self {
        Self {
            end: processor_time().saturating_add(time),
        }
    }

    /// Fails once the time is used up; `step` is the one that is then not started.
    pub(crate) fn check(&self, step: &'static str) -> Result<(), Rejection> {
        if processor_time() >= self.end {
            return Err(Rejection::Timeout(step));
        }
        Ok(())
    }
}

/// The processor time of this thread so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_work_does_not_count_and_work_does() {
        let deadline = Deadline::after(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(deadline.check("decode"), Ok(()));
        // The test ends, because the work advances the clock.
        while deadline.check("decode").is_ok() {
            std::hint::black_box(processor_time());
        }
        assert_eq!(deadline.check("decode"), Err(Rejection::Timeout("decode")));
    }
}
