//! The planner's side: connect, submit, read verdicts and telemetry.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::board;
use crate::encode::{
    DESCRIPTION_WORDS, INTENT_WORDS, TELEMETRY_WORDS, VERDICT_WORDS, put_intent, take_description,
    take_telemetry, take_verdict,
};
use crate::error::{LinkError, Refusal};
use crate::handshake::Word;
use crate::layout::{BOARD_STRIDE, EVENT_WORDS, EVENTS, INTENTS, VERDICTS, intent, telemetry};
use crate::memory::{Access, Mapping, Memory};
use crate::records::{Description, Intent, Telemetry, Verdict};
use crate::ring::{Receiver, SLOT_HEAD, Sender};
use crate::socket::{self, connect_to, is_closed, receive_until};
use crate::words::{at, checksum, load};

/// How often a waiting client looks for a verdict.
const LOOK: Duration = Duration::from_micros(500);

/// A ring that is full: the intent, given back.
#[derive(Clone, Debug, PartialEq)]
pub struct Full(pub Box<Intent>);

/// One connection to mechos-rt.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    generation: u32,
    intent: Mapping,
    telemetry: Mapping,
    intents: Sender,
    verdicts: Receiver,
    last_number: u64,
    events_read: u64,
    events_missed: u64,
}

/// Moves the heartbeat of a connection, from a thread of its own.
#[derive(Clone, Debug)]
pub struct Heart(Mapping);

impl Heart {
    /// One beat. One `Heart` of a connection beats, no more.
    pub fn beat(&self) {
        add_one(&self.0, intent::HEARTBEAT);
    }
}

/// These words have one writer each, so that a load and a store suffice.
fn add_one(page: &Mapping, index: usize) {
    let word = page.word(index);
    word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
}

impl Client {
    /// Connects to the socket at `path` (`link.sock` in the runtime directory).
    ///
    /// # Errors
    /// [`LinkError`], which says what to do.
    pub fn connect(path: impl AsRef<Path>, timeout: Duration) -> Result<Client, LinkError> {
        let until = Instant::now() + timeout;
        let socket = connect_to(path.as_ref())?;
        // A server that refuses at once has answered and closed already: its reason is read below.
        let sent = socket::send(socket.as_fd(), &Word::Hello.encode(), &[]);
        let welcome = receive_until(&socket, until).map_err(|error| sent.err().unwrap_or(error))?;
        let generation = match Word::decode(&welcome.words).map_err(LinkError::Refused)? {
            Word::Welcome(generation, _) => u32::try_from(generation).unwrap_or(0),
            Word::Refused(refusal) => return Err(LinkError::Refused(refusal)),
            _ => return Err(LinkError::Refused(Refusal::Malformed)),
        };
        let mut descriptors = welcome.descriptors.into_iter();
        let (Some(first), Some(second)) = (descriptors.next(), descriptors.next()) else {
            return Err(LinkError::Broken("no pages came with the welcome"));
        };
        let intent = Memory::adopt(first, intent::WORDS)?.map(Access::Write)?;
        let telemetry = Memory::adopt(second, telemetry::WORDS)?.map(Access::Read)?;
        socket::send(socket.as_fd(), &Word::Mapped.encode(), &[])?;
        let go = receive_until(&socket, until)?;
        match Word::decode(&go.words).map_err(LinkError::Refused)? {
            Word::Go => {}
            Word::Refused(refusal) => return Err(LinkError::Refused(refusal)),
            _ => return Err(LinkError::Refused(Refusal::Malformed)),
        }
        Ok(Client {
            socket,
            generation,
            intent,
            telemetry,
            intents: Sender::default(),
            verdicts: Receiver::default(),
            last_number: 0,
            events_read: 0,
            events_missed: 0,
        })
    }

    /// What the machine is.
    pub fn description(&self) -> Description {
        let mut words = [0; DESCRIPTION_WORDS];
        load(self.telemetry.part(telemetry::DESCRIPTION, DESCRIPTION_WORDS), &mut words);
        take_description(&words)
    }

    /// Which connection this is; another number after every reconnect.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether mechos-rt still holds its end.
    pub fn is_alive(&self) -> bool {
        !is_closed(&self.socket)
    }

    /// The number for the next intent.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Puts an intent into the ring.
    ///
    /// # Errors
    /// [`Full`] gives it back, counted: nothing is dropped in silence.
    pub fn submit(&mut self, intent: &Intent) -> Result<(), Full> {
        let mut words = [0; INTENT_WORDS];
        put_intent(intent, &mut words);
        add_one(&self.intent, intent::SUBMITTED);
        let ring = self.intent.part(intent::RING, INTENTS.words());
        let read = self.telemetry.word(telemetry::INTENTS_READ);
        if self.intents.send(INTENTS, ring, read, &words) {
            return Ok(());
        }
        add_one(&self.intent, intent::RETURNED);
        Err(Full(Box::new(*intent)))
    }

    /// The oldest verdict not yet read.
    pub fn poll_verdict(&mut self) -> Option<Verdict> {
        let ring = self.telemetry.part(telemetry::VERDICT_RING, VERDICTS.words());
        let mut words = [0; VERDICT_WORDS];
        let intact = self.verdicts.receive(VERDICTS, ring, &mut words)?;
        self.verdicts.publish(self.intent.word(intent::VERDICTS_READ));
        take_verdict(&words).filter(|_| intact)
    }

    /// Waits for the oldest verdict not yet read.
    pub fn wait_verdict(&mut self, timeout: Duration) -> Option<Verdict> {
        let until = Instant::now() + timeout;
        loop {
            if let Some(verdict) = self.poll_verdict() {
                return Some(verdict);
            }
            if Instant::now() >= until || !self.is_alive() {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The newest state; none before the first, or when none could be read whole within the bound.
    pub fn telemetry(&self) -> Option<Telemetry> {
        let slots = usize::try_from(board::SLOTS).unwrap_or(0);
        let words = self.telemetry.part(telemetry::BOARD, BOARD_STRIDE * slots);
        let head = self.telemetry.word(telemetry::HEAD);
        let mut value = [0; TELEMETRY_WORDS];
        board::read(words, BOARD_STRIDE, head, &mut value).then(|| take_telemetry(&value))
    }

    /// The oldest event not yet read or overwritten.
    pub fn poll_event(&mut self) -> Option<[u64; EVENT_WORDS]> {
        let written = self.telemetry.word(telemetry::EVENTS_WRITTEN).load(Ordering::Acquire);
        let oldest = written.saturating_sub(EVENTS.slots);
        if self.events_read < oldest {
            self.events_missed += oldest - self.events_read;
            self.events_read = oldest;
        }
        while self.events_read < written {
            let ring = self.telemetry.part(telemetry::EVENT_RING, EVENTS.words());
            let place = usize::try_from(self.events_read % EVENTS.slots).unwrap_or(0);
            let slot = ring.get(place * EVENTS.stride..).unwrap_or(&[]);
            self.events_read += 1;
            let mut event = [0; EVENT_WORDS];
            let sequence = at(slot, 0)?.load(Ordering::Acquire);
            load(slot.get(SLOT_HEAD..).unwrap_or(&[]), &mut event);
            let sum = at(slot, 1)?.load(Ordering::Relaxed);
            if sequence == self.events_read && sum == u64::from(checksum(&event)) {
                return Some(event);
            }
            self.events_missed += 1;
        }
        None
    }

    /// Events that were overwritten before they were read.
    pub fn events_missed(&self) -> u64 {
        self.events_missed
    }

    /// The heartbeat's end, for a thread of its own.
    pub fn heart(&self) -> Heart {
        Heart(self.intent.clone())
    }

    /// Asks for a controlled stop. Never queues; latched on the next tick.
    pub fn stop(&mut self) {
        add_one(&self.intent, intent::STOPS);
    }

    /// Asks for the fastest stop. Never queues; latched on the next tick.
    pub fn estop(&mut self) {
        add_one(&self.intent, intent::ESTOPS);
    }
}
