//! The planner's side: connect, submit, read verdicts, events and telemetry, stop.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::board;
use crate::codec::{description, event, intent, telemetry, verdict};
use crate::error::{LinkError, MemoryError};
use crate::handshake::{Message, Service};
use crate::layout::{EVENTS, INTENTS, IntentPage, PageKind, TELEMETRY, TelemetryPage, VERDICTS};
use crate::lossy::Reader;
use crate::memory::{CLOSED, FIXED_SIZE, Mapped, Memory, ReadWord};
use crate::records::{Description, Event, Intent, Telemetry, Verdict};
use crate::ring::{Receiver, Sender};
use crate::socket::{connect_to, is_closed, receive_until, send, unless_refused};
use crate::words::{copy_out, count_up};

/// How often a waiting client looks for a verdict.
const LOOK: Duration = Duration::from_micros(500);

/// A ring that is full: the intent, given back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the ring of intents is full; mechos-rt takes no more until its verdicts are read")]
pub struct Full(pub Box<Intent>);

/// One connection to one life of mechos-rt.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    generation: u32,
    intent: Mapped<IntentPage<AtomicU64>>,
    telemetry: Mapped<TelemetryPage<ReadWord>>,
    intents: Sender,
    verdicts: Receiver,
    verdicts_damaged: u64,
    events: Reader,
    last_number: u64,
}

/// Moves the heartbeat of a connection, from a thread of its own. It holds the pages, not the
/// connection: a heart that beats on proves nothing to a peer that is gone.
#[derive(Clone, Debug)]
pub struct Heart(Mapped<IntentPage<AtomicU64>>);

impl Heart {
    /// One beat.
    pub fn beat(&self) {
        count_up(&self.0.heartbeat.word);
    }
}

impl Client {
    /// Connects to the socket at `path` (`link.sock` in the runtime directory) and goes through the
    /// handshake, within `timeout`.
    ///
    /// # Errors
    /// [`LinkError`], which says what was found and what to do.
    pub fn connect(path: impl AsRef<Path>, timeout: Duration) -> Result<Client, LinkError> {
        let until = Instant::now() + timeout;
        let socket = connect_to(path.as_ref(), until)?;
        send(&socket, Message::Hello(Service::Link, 0), &[]).or_else(unless_refused)?;
        let (message, descriptors) = receive_until(&socket, until)?;
        let Message::Pages(generation) = message else {
            return Err(LinkError::Broken("another message than the pages came"));
        };
        let Ok([first, second]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            return Err(LinkError::Broken("the pages came without their two descriptors"));
        };
        let intent = Memory::adopt::<IntentPage<AtomicU64>>(first, FIXED_SIZE)?;
        let telemetry = Memory::adopt::<TelemetryPage<AtomicU64>>(second, CLOSED)?.map_read()?;
        let page: Mapped<IntentPage<AtomicU64>> = intent.map_write()?;
        check(&page, &telemetry, generation)?;
        send(&socket, Message::Mapped, &[]).or_else(unless_refused)?;
        let (message, _) = receive_until(&socket, until)?;
        if message != Message::Go {
            return Err(LinkError::Broken("another message than the word to begin came"));
        }
        // A hole that somebody else punched would lose intents.
        intent.require(CLOSED)?;
        Ok(Client {
            socket,
            generation,
            intent: page,
            telemetry,
            intents: Sender::default(),
            verdicts: Receiver::default(),
            verdicts_damaged: 0,
            events: Reader::default(),
            last_number: 0,
        })
    }

    /// What the machine is.
    #[must_use]
    pub fn description(&self) -> Description {
        let mut words = [0; description::WORDS];
        copy_out(&self.telemetry.description, &mut words);
        description::take(&words)
    }

    /// Which connection this is; another number after every reconnect.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether mechos-rt still holds its end.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !is_closed(&self.socket)
    }

    /// The number for the next intent: counts up from 1 within the connection.
    pub fn next_number(&mut self) -> u64 {
        self.last_number = self.last_number.saturating_add(1);
        self.last_number
    }

    /// Puts an intent into the ring.
    ///
    /// # Errors
    /// [`Full`] gives it back, counted: nothing is dropped in silence.
    pub fn submit(&mut self, intent: &Intent) -> Result<(), Full> {
        let mut words = [0; intent::WORDS];
        intent::put(intent, &mut words);
        // Counted first: an intent of a process that is killed in between is counted as lost.
        count_up(&self.intent.submitted.word);
        let read = &self.telemetry.intents_read.word;
        if self.intents.send(INTENTS, &self.intent.intents, read, &words) {
            return Ok(());
        }
        count_up(&self.intent.returned.word);
        Err(Full(Box::new(*intent)))
    }

    /// The oldest verdict not yet read.
    pub fn poll_verdict(&mut self) -> Option<Verdict> {
        // At most once round the ring.
        for _ in 0..VERDICTS.slots() {
            let mut words = [0; verdict::WORDS];
            let intact = self.verdicts.receive(VERDICTS, &self.telemetry.verdicts, &mut words)?;
            self.verdicts.publish(&self.intent.verdicts_read.word);
            match verdict::take(&words).filter(|_| intact) {
                Some(verdict) => return Some(verdict),
                None => self.verdicts_damaged = self.verdicts_damaged.saturating_add(1),
            }
        }
        None
    }

    /// Verdicts that could not be read; other than 0 only with a broken memory or a broken peer.
    #[must_use]
    pub fn verdicts_damaged(&self) -> u64 {
        self.verdicts_damaged
    }

    /// Waits for the oldest verdict not yet read; none after `timeout`, or when mechos-rt is gone.
    pub fn wait_verdict(&mut self, timeout: Duration) -> Option<Verdict> {
        let until = Instant::now() + timeout;
        loop {
            // Before the look: what was sent before the end is still read.
            let alive = self.is_alive();
            if let Some(verdict) = self.poll_verdict() {
                return Some(verdict);
            }
            if !alive || Instant::now() >= until {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The newest state; none before the first, or when none could be read whole within the bound
    /// (then the last good one is as new as any).
    #[must_use]
    pub fn telemetry(&self) -> Option<Telemetry> {
        let mut words = [0; telemetry::WORDS];
        let (page, tries) = (&*self.telemetry, board::TRIES_MAX);
        board::read(TELEMETRY, &page.telemetry, &page.newest.word, tries, &mut words)
            .then(|| telemetry::take(&words))
    }

    /// The oldest event not yet read or overwritten.
    pub fn poll_event(&mut self) -> Option<Event> {
        let page = &*self.telemetry;
        for _ in 0..EVENTS.slots() {
            let mut words = [0; event::WORDS];
            if !self.events.next(EVENTS, &page.events, &page.events_written.word, &mut words) {
                return None;
            }
            if let Some(event) = event::take(&words) {
                return Some(event);
            }
        }
        None
    }

    /// Events that were overwritten before they were read.
    #[must_use]
    pub fn events_missed(&self) -> u64 {
        self.events.missed()
    }

    /// The heartbeat's end, for a thread of its own.
    #[must_use]
    pub fn heart(&self) -> Heart {
        Heart(self.intent.clone())
    }

    /// One beat of the heart, for a client without a thread for it.
    pub fn heartbeat(&self) {
        count_up(&self.intent.heartbeat.word);
    }

    /// Asks for a controlled stop. Never queues; latched on the next tick.
    pub fn stop(&mut self) {
        count_up(&self.intent.stops.word);
    }

    /// Asks for the fastest stop. Never queues; latched on the next tick.
    pub fn estop(&mut self) {
        count_up(&self.intent.estops.word);
    }
}

fn check(
    intent: &IntentPage<AtomicU64>,
    telemetry: &TelemetryPage<ReadWord>,
    generation: u32,
) -> Result<(), MemoryError> {
    let announced = intent.header.is(PageKind::Intent, generation)
        && telemetry.header.is(PageKind::Telemetry, generation);
    if announced { Ok(()) } else { Err(MemoryError::Header) }
}
