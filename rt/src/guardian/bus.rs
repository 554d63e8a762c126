//! The guardian's end of one bus: stops out, statuswords and echoes in. Nothing here waits,
//! allocates or frees; a bus that is gone is handed out to be closed elsewhere.

use arrayvec::ArrayVec;
use hal::bus::{Bus, BusError, Filter};
use hal::frame::Frame;
use hal::network::{is_stopped, statusword_of, stop_frame};

use super::pace::{Proof, StopPace, SyncPace};

/// Nodes of one bus, as CiA 301 numbers them: 1 to 127.
const NODES_MAX: usize = 127;
/// Frames taken in one turn, so that a flood on the bus cannot hold the guardian up.
const FRAMES_PER_TURN_MAX: usize = 64;
/// While the daemon is silent: how often drives are asked whether they still stand, ns.
const VIGIL_NS: u64 = 100_000_000;

/// What one bus is to do in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Listen.
    Listen,
    /// No drive is powered: prove the socket by a stop frame and its echo.
    Prove,
    /// The fence is up: stop, until confirmed and whenever a drive no longer confirms.
    Stop {
        /// The daemon lives and is fenced: it sends no SYNC any more, so that the guardian asks
        /// for the drives' feedback in its place, this often, ns.
        sync_ns: Option<u64>,
    },
}

/// One bus.
pub struct StopBus {
    bus: Option<Box<dyn Bus>>,
    stop: Frame,
    sync: Option<Frame>,
    nodes: ArrayVec<Node, NODES_MAX>,
    pace: StopPace,
    proof: Proof,
    sync_pace: SyncPace,
    was_stopping: bool,
    sent: u64,
    first_sent_ns: u64,
}

/// One drive, and its statusword if one came since the fence went up.
#[derive(Clone, Copy, Debug)]
struct Node {
    id: u8,
    statusword: Option<u16>,
}

/// What the guardian must hear of one bus: echoes of its stops, and every drive's first TPDO.
#[must_use]
pub fn filters(stop_cob_id: u16) -> [Filter; 2] {
    // TPDO1 of node n is 180h + n (CiA 301); seven bits of node id.
    [Filter::exactly(stop_cob_id), Filter { id: 0x180, mask: 0x780 }]
}

impl StopBus {
    /// A bus that is not open yet, with its drives' node ids.
    #[must_use]
    pub fn new(stop_cob_id: u16, sync_cob_id: u16, nodes: impl Iterator<Item = u8>) -> Self {
        let nodes = nodes.map(|id| Node { id, statusword: None }).take(NODES_MAX).collect();
        Self {
            bus: None,
            stop: stop_frame(stop_cob_id),
            sync: Frame::new(sync_cob_id, &[]).ok(),
            nodes,
            pace: StopPace::default(),
            proof: Proof::default(),
            sync_pace: SyncPace::default(),
            was_stopping: false,
            sent: 0,
            first_sent_ns: 0,
        }
    }

    /// Takes a bus that was just opened.
    pub fn install(&mut self, bus: Box<dyn Bus>) {
        self.bus = Some(bus);
        self.proof.restart();
        self.pace.restart();
    }

    /// Takes what has come in. Returns a bus that has gone, to be closed off the real-time path.
    #[must_use]
    pub fn listen(&mut self) -> Option<Box<dyn Bus>> {
        let bus = self.bus.as_mut()?;
        for _ in 0..FRAMES_PER_TURN_MAX {
            match bus.receive() {
                Ok(Some(received)) if received.echo => {
                    if received.frame.id() == self.stop.id() {
                        self.proof.echo();
                    }
                }
                Ok(Some(received)) => {
                    for node in &mut self.nodes {
                        if let Some(statusword) = statusword_of(&received.frame, node.id) {
                            node.statusword = Some(statusword);
                        }
                    }
                }
                Ok(None) => return None,
                Err(BusError::Gone) => return self.close(),
                // Down, or a datagram of no sense: the socket stays.
                Err(_) => return None,
            }
        }
        None
    }

    /// Does its duty. Returns a bus that has gone.
    #[must_use]
    pub fn turn(&mut self, now_ns: u64, duty: Duty) -> Option<Box<dyn Bus>> {
        self.proof.forget_lost(now_ns);
        let Duty::Stop { sync_ns } = duty else {
            self.was_stopping = false;
            return match duty {
                Duty::Prove if self.proof.is_due(now_ns) => {
                    let (taken, gone) = self.send(self.stop);
                    self.proof.tried(now_ns, taken);
                    gone
                }
                _ => None,
            };
        };
        if !self.was_stopping {
            self.begin_stop();
        }
        if !self.is_stopped() && self.pace.is_due(now_ns) {
            let (taken, gone) = self.send(self.stop);
            self.pace.tried(now_ns, taken);
            // Its echo will come too, and proves as much.
            self.proof.tried(now_ns, taken);
            if taken {
                self.sent = self.sent.saturating_add(1);
                self.first_sent_ns =
                    if self.first_sent_ns == 0 { now_ns } else { self.first_sent_ns };
                // After the stop, on the same socket: the drives answer with their statuswords.
                return gone.or_else(|| self.ask(now_ns));
            }
            return gone;
        }
        if self.sync_pace.is_due(now_ns, sync_ns.unwrap_or(VIGIL_NS)) {
            return self.ask(now_ns);
        }
        None
    }

    fn begin_stop(&mut self) {
        self.was_stopping = true;
        self.pace.restart();
        self.first_sent_ns = 0;
        for node in &mut self.nodes {
            node.statusword = None;
        }
    }

    fn ask(&mut self, now_ns: u64) -> Option<Box<dyn Bus>> {
        self.sync_pace.tried(now_ns);
        let sync = self.sync?;
        self.send(sync).1
    }

    /// Whether the frame was taken, and the bus if it has gone.
    fn send(&mut self, frame: Frame) -> (bool, Option<Box<dyn Bus>>) {
        let Some(bus) = self.bus.as_mut() else { return (false, None) };
        match bus.send(&frame) {
            Ok(()) => (true, None),
            Err(BusError::Gone) => (false, self.close()),
            Err(_) => (false, None),
        }
    }

    fn close(&mut self) -> Option<Box<dyn Bus>> {
        self.proof.restart();
        self.bus.take()
    }

    /// Whether a stop frame's echo proved the socket.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.bus.is_some() && self.proof.is_proved()
    }

    /// Whether every drive's statusword, received since the fence went up, confirms the stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.was_stopping && self.nodes.iter().all(|node| node.statusword.is_some_and(is_stopped))
    }

    /// Stops handed to the bus in all emergencies.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// When the first stop of the present emergency was handed over, ns; 0: none yet.
    #[must_use]
    pub fn first_sent_ns(&self) -> u64 {
        self.first_sent_ns
    }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
