//! The guardian's real-time thread: sees, decides, latches, sends, in this order, once a turn.
//!
//! A turn neither allocates nor waits. What must be opened or closed is handed in and out through
//! rings, and done by the attendant.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hal::bus::Bus;
use rtrb::{Consumer, Producer};
use shm_protocol::records::Cause;

use super::bus::{Duty, StopBus};
use super::logic::{Decision, Fence, GuardianLogic, News, Observed};
use super::page::Page;
use super::words::{Note, Words};

/// Between two turns while mechos-rt is not connected, ns.
const IDLE_NS: u64 = 2_000_000;

/// What the attendant has opened.
pub enum Fresh<P> {
    /// A connection to mechos-rt.
    Page(P),
    /// A bus, by its index.
    Bus(usize, Box<dyn Bus>),
}

/// What the attendant is to close.
pub enum Retired<P> {
    /// A connection to mechos-rt.
    Page(P),
    /// A bus, by its index.
    Bus(usize, Box<dyn Bus>),
}

/// The watcher's ends of its rings.
pub struct Rings<P> {
    /// Opened things in.
    pub fresh: Consumer<Fresh<P>>,
    /// Things to close out.
    pub retired: Producer<Retired<P>>,
    /// Notes out.
    pub notes: Producer<Note>,
}

/// Time budgets of the watcher, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Between two turns while mechos-rt is connected: a whole number of its periods, or a whole
    /// part of one.
    pub turn_ns: u64,
    /// Between two SYNCs in a fenced daemon's place: half of what its feedback may age.
    pub sync_ns: u64,
}

/// The watcher.
pub struct Watcher<P> {
    logic: GuardianLogic,
    buses: Vec<StopBus>,
    page: Option<P>,
    rings: Rings<P>,
    words: Arc<Words>,
    periods: Periods,
    estops_seen: u64,
    confirmed: bool,
    proved: bool,
}

impl<P: Page> Watcher<P> {
    /// A watcher of buses that are not open yet.
    #[must_use]
    pub fn new(
        logic: GuardianLogic,
        buses: Vec<StopBus>,
        rings: Rings<P>,
        words: Arc<Words>,
        periods: Periods,
    ) -> Self {
        Self {
            logic,
            buses,
            page: None,
            rings,
            words,
            periods,
            estops_seen: 0,
            confirmed: false,
            proved: false,
        }
    }

    /// One turn. `now_ns` must have been read right before.
    pub fn turn(&mut self, now_ns: u64) -> ControlFlow<()> {
        self.words.act_on_injection();
        self.take_fresh();
        let seen = self.observe(now_ns);
        let decision = self.logic.step(&seen);
        self.move_fence(&decision);
        self.serve_buses(now_ns, &decision);
        self.answer(&seen, &decision);
        self.publish(now_ns, &decision, seen.all_stopped);
        if decision.leave { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// When the next turn is due, given that the last one began at `now_ns`: halfway between two
    /// beats, so that it neither meets a beat being written nor, on a host with one CPU, wakes up
    /// beside the control thread.
    #[must_use]
    pub fn next_turn_ns(&self, now_ns: u64) -> u64 {
        let turn_ns = self.periods.turn_ns.max(1);
        let regular = match (&self.page, self.logic.beat_ns()) {
            (None, _) => now_ns.saturating_add(IDLE_NS),
            (Some(_), None) => now_ns.saturating_add(turn_ns),
            (Some(_), Some(beat_ns)) => {
                let middle_ns = beat_ns.saturating_add(turn_ns / 2);
                // Beats jitter: a turn that has just been is not made again.
                let earliest_ns = now_ns.saturating_add(turn_ns / 2);
                let turns = earliest_ns.saturating_sub(middle_ns).div_ceil(turn_ns);
                let next_ns = middle_ns.saturating_add(turns.saturating_mul(turn_ns));
                // Whatever a page says, the next turn comes.
                next_ns.min(now_ns.saturating_add(turn_ns.saturating_mul(2)))
            }
        };
        // A beat that runs out between two turns is not given the rest of the turn.
        self.logic.expiry_ns().filter(|expiry| *expiry > now_ns).map_or(regular, |e| e.min(regular))
    }

    /// After a panic in a turn: latches, sends stops until every drive confirms or `until_ns` is
    /// over. Called turn by turn, so that time stays the caller's.
    pub fn last_stand(&mut self, now_ns: u64, until_ns: u64) -> ControlFlow<()> {
        let before = self.logic.fence();
        let fence = self.logic.latch(Cause::ThreadPanic, now_ns);
        if let (Some(page), Some(_)) = (self.page.as_mut(), fence) {
            page.set_fence(fence);
        }
        self.words.set_fence(fence);
        if let (None, Some(fence)) = (before, fence) {
            self.note(Note::Fenced(fence));
        }
        let decision = Decision { fenced: fence.is_some(), ..Decision::default() };
        self.listen();
        let stopped = self.is_stopped();
        self.serve_buses(now_ns, &decision);
        if fence.is_none() || stopped || now_ns >= until_ns {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn take_fresh(&mut self) {
        // One connection at a time: the next one waits until the last has been retired, and one
        // turn has been seen without any.
        let may_take = match self.rings.fresh.peek() {
            Ok(Fresh::Page(_)) => self.page.is_none(),
            Ok(Fresh::Bus(..)) => true,
            Err(_) => false,
        };
        if !may_take {
            return;
        }
        match self.rings.fresh.pop() {
            Ok(Fresh::Page(mut page)) => {
                // A fence outlives the connection it was raised for.
                page.set_fence(self.logic.fence());
                self.page = Some(page);
                self.note(Note::Connected);
            }
            Ok(Fresh::Bus(index, bus)) => {
                if let Some(slot) = self.buses.get_mut(index) {
                    slot.install(bus);
                }
            }
            Err(_) => {}
        }
    }

    fn observe(&mut self, now_ns: u64) -> Observed {
        self.listen();
        let news = self.page.as_mut().and_then(Page::news);
        let beat = self.page.as_mut().map(Page::beat_of_rt);
        let estops = self.words.estops.load(Ordering::Acquire);
        let estop = estops != self.estops_seen;
        self.estops_seen = estops;
        Observed {
            now_ns,
            beat,
            news,
            estop,
            terminate: self.words.terminate.load(Ordering::Relaxed),
            all_stopped: self.is_stopped(),
        }
    }

    fn listen(&mut self) {
        for index in 0..self.buses.len() {
            let gone = self.buses.get_mut(index).and_then(StopBus::listen);
            self.retire_bus(index, gone);
        }
    }

    /// The fence is on the page before the first stop is sent.
    fn move_fence(&mut self, decision: &Decision) {
        if decision.raised.is_none() && !decision.dropped {
            return;
        }
        let fence: Option<Fence> = self.logic.fence();
        if let Some(page) = self.page.as_mut() {
            page.set_fence(fence);
        }
        self.words.set_fence(fence);
        if decision.dropped {
            self.note(Note::Reset);
        }
        if let Some(fence) = decision.raised {
            self.confirmed = false;
            self.note(Note::Fenced(fence));
        }
    }

    fn serve_buses(&mut self, now_ns: u64, decision: &Decision) {
        let fresh = self.logic.is_fresh(now_ns);
        let duty = match (decision.fenced, decision.may_prove) {
            (true, _) => Duty::Stop { sync_ns: fresh.then_some(self.periods.sync_ns) },
            (false, true) => Duty::Prove,
            (false, false) => Duty::Listen,
        };
        for index in 0..self.buses.len() {
            let Some(bus) = self.buses.get_mut(index) else { continue };
            let before = bus.first_sent_ns();
            let gone = bus.turn(now_ns, duty);
            let after = bus.first_sent_ns();
            if after != 0 && after != before {
                self.note(Note::Stopped { bus: index, t_ns: after });
            }
            self.retire_bus(index, gone);
        }
    }

    fn answer(&mut self, seen: &Observed, decision: &Decision) {
        let proved = !self.buses.is_empty() && self.buses.iter().all(StopBus::is_proved);
        // In an emergency every stop awaits its echo anew; that is not news.
        if proved && !self.proved && !decision.fenced {
            self.note(Note::Proved);
        }
        self.proved = proved;
        if let Some(page) = self.page.as_mut() {
            page.set_proved(proved);
            page.beat();
        }
        let note = match seen.news {
            Some(News::Goodbye) => Note::Goodbye,
            Some(News::HungUp) => Note::HungUp,
            Some(News::Reset { .. }) | None => return,
        };
        self.note(note);
        if let Some(page) = self.page.take() {
            // Without room it is closed here: a system call too many, after the loss.
            let _ = self.rings.retired.push(Retired::Page(page));
        }
    }

    fn publish(&mut self, now_ns: u64, decision: &Decision, all_stopped: bool) {
        if decision.fenced && all_stopped && !self.confirmed {
            self.note(Note::Confirmed { t_ns: now_ns });
        }
        self.confirmed = decision.fenced && all_stopped;
        let words = &self.words;
        words.connected.store(self.page.is_some(), Ordering::Release);
        words.energised.store(self.logic.is_energised(), Ordering::Relaxed);
        words.beat_age_ns.store(self.logic.beat_age_ns(now_ns), Ordering::Relaxed);
        words.beat_age_max_ns.store(self.logic.beat_age_max_ns(), Ordering::Relaxed);
        let sent = self.buses.iter().map(StopBus::sent).sum();
        words.stops_sent.store(sent, Ordering::Relaxed);
        words.proved.store(self.proved, Ordering::Relaxed);
    }

    fn retire_bus(&mut self, index: usize, gone: Option<Box<dyn Bus>>) {
        if let Some(bus) = gone {
            self.note(Note::BusLost { bus: index });
            let _ = self.rings.retired.push(Retired::Bus(index, bus));
        }
    }

    fn is_stopped(&self) -> bool {
        self.buses.iter().all(StopBus::is_stopped)
    }

    fn note(&mut self, note: Note) {
        if self.rings.notes.push(note).is_err() {
            self.words.notes_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
