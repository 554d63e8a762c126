//! The process that measures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cells::Cell;
use super::ends::{Ends, Signals};
use super::exchange::{flood, ping, until};
use super::item::{Item, Kind, Load};
use super::order::Order;
use super::peer::Peer;
use super::reading::{Found, Reading};
use super::record::{Check, Side, content};
use super::threads;
use crate::clock::{Clock, stamp, stamp_fenced};
use crate::failure::Failure;
use crate::host::Cores;
use crate::stats::Summary;

/// How long a cell is read, at the most.
const READ_MAX: Duration = Duration::from_millis(200);
/// Between two looks at a cell that changes a thousand times a second: so that enough of them are
/// the first at a new value to be in the 99.9th percentile.
const LOOK_EVERY: Duration = Duration::from_micros(10);
/// A trip has two ways.
const WAYS: u32 = 2;

/// Everything that a measurement needs.
#[derive(Debug)]
pub struct Near<'m> {
    /// This process' ends.
    pub ends: Ends<'m>,
    /// The other process.
    pub peer: Peer,
    /// The clock.
    pub clock: Clock,
    /// The processors.
    pub cores: Cores,
    /// How much of the content is checked.
    pub check: Check,
    /// A smoke run.
    pub smoke: bool,
    /// Orders given.
    pub sequence: u64,
    /// Room for samples, used again and again.
    pub samples: Vec<u64>,
}

impl Near<'_> {
    /// Measures an item between two raw probes, nothing else in between.
    pub fn reading(&mut self, item: Item) -> Result<Reading, Failure> {
        let before = self.raw_ns()?;
        let found = self.measure(item)?;
        let after = self.raw_ns()?;
        Ok(Reading::new(item, before, after, found))
    }

    fn raw_ns(&mut self) -> Result<f64, Failure> {
        match self.measure(Item::Raw)? {
            Found::Times { times, .. } => Ok(times.middle_ns),
            Found::Rate { .. } => Err(Failure::Disagreement("what a raw probe gives")),
        }
    }

    fn measure(&mut self, item: Item) -> Result<Found, Failure> {
        let rounds = if self.smoke { item.smoke_rounds() } else { item.rounds() };
        self.sequence += 1;
        let order = Order { item, rounds, sequence: self.sequence };
        self.peer.send(order.message(), &[])?;
        let found = self.obey(&order)?;
        match self.peer.answer()? {
            [sequence, ..] if sequence == order.sequence => Ok(found),
            _ => Err(Failure::Disagreement("which order was obeyed")),
        }
    }

    fn obey(&mut self, order: &Order) -> Result<Found, Failure> {
        let Near { ends, clock, check, samples, .. } = self;
        let (rounds, check, signals) = (order.rounds, *check, &ends.signals);
        match order.item {
            Item::Raw => ping(&mut ends.raw, rounds, check, samples)?,
            Item::Ring56 => ping(&mut ends.small, rounds, check, samples)?,
            Item::Ring56Short => ping(&mut ends.short, rounds, check, samples)?,
            Item::Ring248 => ping(&mut ends.large, rounds, check, samples)?,
            Item::Intent => ping(&mut ends.intents, rounds, check, samples)?,
            Item::Iceoryx64 => ping(&mut ends.iceoryx_small, rounds, check, samples)?,
            Item::Iceoryx256 => ping(&mut ends.iceoryx_large, rounds, check, samples)?,
            Item::Socket => ping(&mut ends.socket, rounds, check, samples)?,
            Item::Pipe => ping(&mut ends.pipe, rounds, check, samples)?,
            Item::RtrbRate => {
                let counts = threads::rtrb(rounds, check, self.cores.far)?;
                return Ok(Found::rate(rounds.all(), clock.ns(counts as f64)));
            }
            Item::RingRate => {
                let counts =
                    until_all_there(order, signals, || flood(&mut ends.small, rounds, check))?;
                return Ok(Found::rate(rounds.all(), clock.ns(counts as f64)));
            }
            Item::IceoryxRate => {
                let counts = until_all_there(order, signals, || {
                    flood(&mut ends.iceoryx_small, rounds, check)
                })?;
                return Ok(Found::rate(rounds.all(), clock.ns(counts as f64)));
            }
            Item::Value(kind, load) => {
                let looks = Looks { order, load, signals, clock };
                return match kind {
                    Kind::Board => looks.at(&mut ends.board, samples),
                    Kind::Triple => looks.at(&mut ends.triple, samples),
                    Kind::Seqlock => looks.at(&mut ends.seqlock, samples),
                };
            }
        }
        Ok(Found::Times { times: Summary::of(samples, 0.0, WAYS, clock), looks: None })
    }
}

/// From the first record sent to the last one received, in counts of the clock.
fn until_all_there(
    order: &Order,
    signals: &Signals,
    send: impl FnOnce() -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let begun = stamp();
    send()?;
    until(|| Ok(signals.answer.load(Ordering::Acquire) == order.all_there()))?;
    Ok(stamp().wrapping_sub(begun))
}

/// Looks at a cell.
struct Looks<'a> {
    order: &'a Order,
    load: Load,
    signals: &'a Signals<'a>,
    clock: &'a Clock,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LookCounts {
    /// Copies thrown away.
    pub retries: u64,
    /// Of one look, the most.
    pub retries_max: u32,
    /// Looks that found no whole value within their bound.
    pub stale: u64,
}

impl Looks<'_> {
    fn at<C: Cell>(&self, cell: &mut C, samples: &mut Vec<u64>) -> Result<Found, Failure> {
        let (rounds, base) = (self.order.rounds, self.order.base());
        samples.clear();
        samples.reserve(usize::try_from(rounds.kept).unwrap_or(0));
        let mut counts = LookCounts::default();
        let pause = match self.load {
            Load::Kilohertz => self.clock.counts(LOOK_EVERY),
            _ => 0,
        };
        let first = base + 1;
        if self.load != Load::Fresh {
            until(|| Ok(self.signals.answer.load(Ordering::Acquire) == first))?;
        }
        let (begun, limit) = (stamp(), self.clock.counts(READ_MAX));
        let (mut last, mut next) = (first, begun);
        for round in 1..=rounds.all() {
            if self.load == Load::Fresh {
                last = base + round;
                self.signals.request.store(last, Ordering::Release);
                until(|| Ok(self.signals.answer.load(Ordering::Acquire) == last))?;
            }
            while stamp() < next {
                std::hint::spin_loop();
            }
            next = next.wrapping_add(pause);
            let mut value = [0; super::cells::VALUE_WORDS];
            let from = stamp_fenced();
            let look = cell.read(&mut value);
            let to = stamp_fenced();
            if round > rounds.warm {
                samples.push(to.wrapping_sub(from));
                counts.retries += u64::from(look.retries);
                counts.retries_max = counts.retries_max.max(look.retries);
                counts.stale += u64::from(!look.whole);
            }
            if look.whole {
                last = self.check(&value, last)?;
            }
            if to.wrapping_sub(begun) > limit && self.load != Load::Fresh {
                break;
            }
        }
        self.signals.stop.store(self.order.sequence, Ordering::Release);
        let times = Summary::of(samples, self.clock.fenced_cost(), 1, self.clock);
        Ok(Found::Times { times, looks: Some(counts) })
    }

    /// A value is whole, of this order, and not older than the last; right after a publish it is that
    /// one. Checked outside of the time that is taken, in every run.
    fn check(&self, value: &[u64; super::cells::VALUE_WORDS], last: u64) -> Result<u64, Failure> {
        let number = value.first().copied().unwrap_or(0);
        let is_due = if self.load == Load::Fresh { number == last } else { number >= last };
        if is_due && *value == content(Side::Far, number) {
            Ok(number)
        } else {
            Err(Failure::Wrong { number })
        }
    }
}
