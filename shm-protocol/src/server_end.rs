//! mechos-rt's end of a planner's connection, for the control thread.

use std::sync::atomic::AtomicU64;

use crate::board;
use crate::codec::{event, intent, telemetry, verdict};
use crate::layout::{EVENTS, INTENTS, IntentPage, TELEMETRY, TelemetryPage, VERDICTS};
use crate::lossy;
use crate::memory::{Mapped, ReadWord};
use crate::records::{Claim, Event, Telemetry, Verdict};
use crate::ring::{Receiver, Sender};
use crate::words::counted;

/// mechos-rt's end of one connection.
///
/// Every function is real time: no system call, no allocation, bounded work whatever the peer
/// writes. Dropping it unmaps two pages, which is not: hand it back for that.
#[derive(Debug)]
pub struct ServerEnd {
    generation: u32,
    intent: Mapped<IntentPage<ReadWord>>,
    telemetry: Mapped<TelemetryPage<AtomicU64>>,
    intents: Receiver,
    verdicts: Sender,
    board: board::Writer,
    events: lossy::Writer,
}

impl ServerEnd {
    pub(crate) fn new(
        generation: u32,
        intent: Mapped<IntentPage<ReadWord>>,
        telemetry: Mapped<TelemetryPage<AtomicU64>>,
    ) -> Self {
        Self {
            generation,
            intent,
            telemetry,
            intents: Receiver::default(),
            verdicts: Sender::default(),
            board: board::Writer::default(),
            events: lossy::Writer::default(),
        }
    }

    /// Generation of the connection.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes the oldest intent from the ring: a claim, copied out once and checked on the copy. What it
    /// asks of axes after the first `axis_count` is not read; its mask still names them.
    ///
    /// Reserve its verdicts first ([`ServerEnd::verdict_slots_free`]).
    pub fn pop(&mut self, axis_count: usize) -> Option<Claim> {
        let mut words = [0; intent::WORDS];
        let intact = self.intents.receive(INTENTS, &self.intent.intents, &mut words)?;
        self.intents.publish(&self.telemetry.intents_read.word);
        // Of a damaged record nothing is believed but whose verdict it gets.
        let intent = intent::take_first(&words, if intact { axis_count } else { 0 });
        Some(Claim { intent, intact })
    }

    /// Intents that wait, counted in the ring: at most its 64 slots are looked at.
    #[must_use]
    pub fn queued(&self) -> u32 {
        u32::try_from(self.intents.waiting(INTENTS, &self.intent.intents)).unwrap_or(u32::MAX)
    }

    /// Intents taken.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.intents.received()
    }

    /// Verdicts that the ring has room for now. What was free once stays free until it is used,
    /// whatever the peer writes, so that a slot that was counted on is there.
    pub fn verdict_slots_free(&mut self) -> usize {
        let free = self.verdicts.free(VERDICTS, &self.intent.verdicts_read.word);
        usize::try_from(free).unwrap_or(0)
    }

    /// Sends a verdict.
    ///
    /// # Errors
    /// Gives it back when the ring is full.
    pub fn push_verdict(&mut self, verdict: &Verdict) -> Result<(), Verdict> {
        let mut words = [0; verdict::WORDS];
        verdict::put(verdict, &mut words);
        let (ring, read) = (&self.telemetry.verdicts, &self.intent.verdicts_read.word);
        if self.verdicts.send(VERDICTS, ring, read, &words) { Ok(()) } else { Err(*verdict) }
    }

    /// Publishes the newest state.
    pub fn publish(&mut self, value: &Telemetry) {
        let mut words = [0; telemetry::WORDS];
        telemetry::put(value, &mut words);
        let page = &*self.telemetry;
        self.board.publish(TELEMETRY, &page.telemetry, &page.newest.word, &words);
    }

    /// Writes an event into the lossy ring: the oldest one is overwritten, and readers count what
    /// they missed.
    pub fn push_event(&mut self, event: &Event) {
        let mut words = [0; event::WORDS];
        event::put(event, &mut words);
        let page = &*self.telemetry;
        self.events.push(EVENTS, &page.events, &page.events_written.word, &words);
    }

    /// The peer's heartbeat: a claim; only its change counts.
    #[must_use]
    pub fn heartbeat(&self) -> u64 {
        counted(&self.intent.heartbeat.word)
    }

    /// The peer's stop counter, 0 at first; any change latches.
    #[must_use]
    pub fn stops(&self) -> u64 {
        counted(&self.intent.stops.word)
    }

    /// The peer's emergency-stop counter, 0 at first; any change latches.
    #[must_use]
    pub fn estops(&self) -> u64 {
        counted(&self.intent.estops.word)
    }

    /// Intents that the peer claims to have submitted.
    ///
    /// It counts before it sends: read this one last, and `submitted = taken + queued + returned`
    /// holds at rest, `>=` in the middle of a send and after a death in one (then one is lost).
    #[must_use]
    pub fn submitted(&self) -> u64 {
        counted(&self.intent.submitted.word)
    }

    /// Intents that the peer claims to have had returned by a full ring.
    #[must_use]
    pub fn returned(&self) -> u64 {
        counted(&self.intent.returned.word)
    }
}
