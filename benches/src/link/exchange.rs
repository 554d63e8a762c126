//! The loops that every channel is measured by: ping and echo, flood and drain.

use std::time::{Duration, Instant};

use super::record::{Check, Record, Side};
use crate::clock::stamp;
use crate::failure::Failure;

/// How long one answer may take before the other process is given up.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Looks between two of the clock; also the longest time without letting another thread run.
const LOOKS: u32 = 1 << 14;

/// A way to send records there and receive records back.
pub trait Channel {
    /// What it carries.
    type Record: Record;

    /// Sends one; false: no room now.
    fn send(&mut self, record: &Self::Record) -> Result<bool, Failure>;

    /// Receives the next one; false: none now. A record that arrived damaged is a failure.
    fn receive(&mut self, record: &mut Self::Record) -> Result<bool, Failure>;
}

/// Looks until there is something.
#[inline]
pub fn until(mut look: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut begun = None;
    loop {
        for _ in 0..LOOKS {
            if look()? {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        // Late already: the look at the clock costs nothing that counts. Where both processes share
        // a processor, the other one must run.
        if begun.get_or_insert_with(Instant::now).elapsed() > ANSWER_MAX {
            return Err(Failure::Silent);
        }
        std::thread::yield_now();
    }
}

/// How many records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Before anything is kept.
    pub warm: u64,
    /// Whose times are kept.
    pub kept: u64,
}

impl Rounds {
    /// All.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.warm.saturating_add(self.kept)
    }
}

/// Sends a record, waits for its answer, and so on; round trips in counts of the clock are appended.
pub fn ping<C: Channel>(
    channel: &mut C,
    rounds: Rounds,
    check: Check,
    trips: &mut Vec<u64>,
) -> Result<(), Failure> {
    trips.clear();
    trips.reserve(usize::try_from(rounds.kept).unwrap_or(0));
    let (mut there, mut back) = (C::Record::blank(), C::Record::blank());
    let mut last = stamp();
    for number in 1..=rounds.all() {
        there.renew(Side::Near, number, check);
        until(|| channel.send(&there))?;
        until(|| channel.receive(&mut back))?;
        let now = stamp();
        if number > rounds.warm {
            trips.push(now.wrapping_sub(last));
        }
        last = now;
        if !back.is(Side::Far, number, check) {
            return Err(Failure::Wrong { number });
        }
    }
    Ok(())
}

/// The peer of [`ping`].
pub fn echo<C: Channel>(channel: &mut C, rounds: Rounds, check: Check) -> Result<(), Failure> {
    let (mut found, mut back) = (C::Record::blank(), C::Record::blank());
    for number in 1..=rounds.all() {
        until(|| channel.receive(&mut found))?;
        if !found.is(Side::Near, number, check) {
            return Err(Failure::Wrong { number });
        }
        back.renew(Side::Far, number, check);
        until(|| channel.send(&back))?;
    }
    Ok(())
}

/// Sends as fast as there is room.
pub fn flood<C: Channel>(channel: &mut C, rounds: Rounds, check: Check) -> Result<(), Failure> {
    let mut record = C::Record::blank();
    for number in 1..=rounds.all() {
        record.renew(Side::Near, number, check);
        until(|| channel.send(&record))?;
    }
    Ok(())
}

/// Receives what [`flood`] sends.
pub fn drain<C: Channel>(channel: &mut C, rounds: Rounds, check: Check) -> Result<(), Failure> {
    let mut record = C::Record::blank();
    for number in 1..=rounds.all() {
        until(|| channel.receive(&mut record))?;
        if !record.is(Side::Near, number, check) {
            return Err(Failure::Wrong { number });
        }
    }
    Ok(())
}
