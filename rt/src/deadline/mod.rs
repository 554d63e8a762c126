//! The deadline thread (stop path 2): highest priority, its own socket on every bus.
//!
//! It watches the board on which the control thread and every bus thread tick off what they have
//! completed. When a deadline passes while the drives are powered it latches the cause and sends
//! the stop itself. It never sends setpoints or heartbeats, so that nothing that hangs can be
//! kept alive by it.

pub mod logic;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hal::frame::Frame;

use crate::fence::Fences;
use crate::host::clock;
use crate::inject::Target;
use crate::note::{Note, Notes};
use crate::port::Port;
use crate::shared::Shared;
use logic::{Deadlines, Late};

/// How often a stop is repeated while the drives count as powered, ns.
const REPEAT_NS: u64 = 5_000_000;
/// Frames taken from a socket in one turn.
const RECEIVE_MAX: usize = 64;
/// Shortest sleep between two looks, ns.
const LOOK_MIN_NS: u64 = 20_000;
/// How often an unproved socket sends its proof, ns.
const PROOF_NS: u64 = 50_000_000;

/// What the deadline thread is made of.
pub struct DeadlineThread {
    /// The shared words.
    pub shared: Arc<Shared>,
    /// The guardian's fence.
    pub fences: Arc<Fences>,
    /// One stop socket a bus.
    pub ports: Vec<Port>,
    /// The stop frame.
    pub stop: Frame,
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// Latest end of a tick's outputs after its nominal start, ns.
    pub deadline_ns: u64,
    /// Longest time between two beats, ns.
    pub beat_ns: u64,
    /// False for `--disable-stop deadline`.
    pub stops: bool,
    /// Notes to housekeeping.
    pub notes: Notes,
    /// When the last stop was sent, ns.
    pub stopped_ns: u64,
    /// When the last proof was sent, ns.
    pub proof_ns: u64,
    /// Which ports have seen their own stop frame come back.
    pub proved: Vec<bool>,
}

impl DeadlineThread {
    /// Runs until the process ends. Real time once every port is open and proved.
    pub fn run(&mut self) {
        while !self.shared.leave.load(Ordering::Relaxed) {
            let now_ns = clock::now_ns();
            self.shared.deadline_beat_ns.store(now_ns, Ordering::Release);
            self.shared.inject.act(Target::Deadline, clock::now_ns);
            self.listen();
            let next_ns = self.look(now_ns);
            clock::sleep_until(next_ns.clamp(now_ns + LOOK_MIN_NS, now_ns + self.beat_ns));
        }
    }

    /// Looks at the board once; returns when to look again.
    fn look(&mut self, now_ns: u64) -> u64 {
        let start_ns = self.shared.schedule_start_ns.load(Ordering::Acquire);
        let energised = self.shared.energised.load(Ordering::Acquire);
        if !energised {
            for port in &mut self.ports {
                port.tend(now_ns);
            }
        }
        let deadlines =
            Deadlines { start_ns, period_ns: self.period_ns, deadline_ns: self.deadline_ns };
        if start_ns == 0 || !energised {
            self.prove(now_ns);
            return deadlines.quiet_ns(now_ns);
        }
        // Acquire pairs with the Release with which each thread ticks off: a tick counts as
        // completed only when its frames were handed over.
        let control = self.shared.ticks.control.load(Ordering::Acquire);
        let shared = Arc::clone(&self.shared);
        let buses = || {
            let words = shared.ticks.buses.iter().take(self.ports.len());
            words.map(|word| word.load(Ordering::Acquire))
        };
        let late = deadlines.judge(now_ns, control, buses());
        match late.filter(|_| self.stops && !self.fences.is_up()) {
            Some(late) => {
                self.stop(late, now_ns);
                now_ns + REPEAT_NS
            }
            // Passed already, with nothing to be done about it: no need to look at once.
            None if late.is_some() => now_ns + REPEAT_NS,
            None => deadlines.next_look_ns(now_ns, control, buses()),
        }
    }

    /// Latches the cause and sends the stop, again and again while the deadline stays missed.
    fn stop(&mut self, late: Late, now_ns: u64) {
        if now_ns < self.stopped_ns.saturating_add(REPEAT_NS) {
            return;
        }
        self.stopped_ns = now_ns;
        let first = self.shared.latch.raise(late.cause, late.detail);
        self.send_stop();
        if first {
            self.notes.leave(Note::DeadlineStop {
                cause: late.cause,
                detail: late.detail,
                deadline_ns: late.deadline_ns,
                sent_ns: clock::now_ns(),
            });
        }
    }

    fn send_stop(&mut self) {
        for port in &mut self.ports {
            // A full queue already holds a stop of this socket; a bus that is gone has no drives.
            let _ = port.send(&self.stop);
        }
    }

    /// Takes what came in, so much at the most: a flood must not keep this thread from its look.
    fn listen(&mut self) {
        for (port, proved) in self.ports.iter_mut().zip(&mut self.proved) {
            for _ in 0..RECEIVE_MAX {
                let Ok(Some(received)) = port.receive() else { break };
                *proved |= received.echo && received.frame == self.stop;
            }
            *proved &= port.is_open();
        }
    }

    /// Proves each socket with a stop frame and its echo, while no drive is powered.
    fn prove(&mut self, now_ns: u64) {
        let all = self.proved.iter().all(|proved| *proved);
        self.shared.deadline_socket_proved.store(all, Ordering::Release);
        if all || now_ns < self.proof_ns.saturating_add(PROOF_NS) || self.fences.is_up() {
            return;
        }
        self.proof_ns = now_ns;
        for (port, proved) in self.ports.iter_mut().zip(&self.proved) {
            if !*proved {
                let _ = port.send(&self.stop);
            }
        }
    }
}
