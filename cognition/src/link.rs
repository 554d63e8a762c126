//! What planners and the loop need of the connection to mechos-rt; shared memory is one of its
//! implementations, the tests' arm another.

use shm_protocol::records::{Description, Intent, Telemetry, Verdict};

/// One connection to one life of mechos-rt.
pub trait Link {
    /// What the machine is.
    fn description(&self) -> Description;
    /// Which connection this is; another number after every reconnect.
    fn generation(&self) -> u32;
    /// Whether the real-time side still holds its end.
    fn is_alive(&mut self) -> bool;
    /// The newest state, or none when nothing whole could be read within the reader's bound.
    fn telemetry(&mut self) -> Option<Telemetry>;
    /// The oldest verdict not yet read.
    fn poll_verdict(&mut self) -> Option<Verdict>;
    /// The number for the next intent.
    fn next_number(&mut self) -> u64;
    /// Puts an intent into the ring.
    ///
    /// # Errors
    /// [`Returned`] when the ring is full: the intent was not sent, and the link has counted it.
    fn submit(&mut self, intent: &Intent) -> Result<(), Returned>;
    /// Raises the stop word, which never queues.
    fn stop(&mut self);
    /// The heartbeat's end, for a thread of its own.
    fn heart(&self) -> Box<dyn Heart>;
}

/// The ring was full and the sender keeps its intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned;

/// Moves the heartbeat word.
pub trait Heart: Send {
    /// One beat.
    fn beat(&mut self);
}

/// Makes connections.
pub trait Connect {
    /// What a connection is.
    type Link: Link;
    /// Tries once, for a bounded time.
    ///
    /// # Errors
    /// Why not, in words for an operator's eyes.
    fn connect(&mut self) -> Result<Self::Link, String>;
    /// Where it connects to, for messages.
    fn place(&self) -> String;
}
