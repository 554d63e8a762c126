//! A planner at full speed, whose intents all say who they are, and which believes no verdict that does
//! not.

use std::time::{Duration, Instant};

use shm_protocol::records::*;
use shm_protocol::{Client, Full};

use super::common::{PATIENCE, intent, verdict};

/// Intents and verdicts between two looks at anything else.
const BURST: u64 = 64;

/// Different bits for every generation, number and field.
fn mixed(generation: u32, number: u64, field: u64) -> u64 {
    let mut word = (u64::from(generation) << 40 ^ number << 8 ^ field).wrapping_add(1);
    for _ in 0..2 {
        word = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    word ^ word >> 29
}

/// The intent of this number, every field of it derived from it.
pub fn intent_of(generation: u32, number: u64) -> Intent {
    let word = |field| mixed(generation, number, field);
    let single = |field| (word(field) >> 40) as f32;
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&word(1).to_le_bytes());
    trace[8..].copy_from_slice(&word(2).to_le_bytes());
    Intent {
        agent: word(3) as u16,
        epoch: generation,
        issued_ns: word(4),
        lease_until_ns: word(5),
        trace: TraceId(trace),
        axes_mask: word(6) as u32,
        axes: std::array::from_fn(|axis| {
            let field = 16 + 8 * axis as u64;
            AxisRequest {
                position_rad: (word(field) >> 11) as f64,
                velocity_end_rad_s: single(field + 1),
                velocity_peak_rad_s: single(field + 2),
                acceleration_peak_rad_s2: single(field + 3),
                jerk_peak_rad_s3: single(field + 4),
                effort_max_nm: single(field + 5),
            }
        }),
        ..intent(number)
    }
}

/// What becomes of the intent of this number at first.
pub fn admission_of(number: u64) -> VerdictKind {
    match number % 7 {
        0 => VerdictKind::Refused,
        1 => VerdictKind::Clamped,
        _ => VerdictKind::Accepted,
    }
}

/// A verdict about the intent of this number, every field derived from it.
pub fn verdict_of(generation: u32, number: u64, kind: VerdictKind) -> Verdict {
    let word = |field| mixed(generation, number, kind as u64 * 1000 + field);
    Verdict {
        kind,
        trace: intent_of(generation, number).trace,
        epoch: generation,
        tick: word(1),
        decided_ns: word(2),
        value: (word(3) >> 11) as f64,
        limit: (word(4) >> 11) as f64,
        nearest: (word(5) >> 11) as f64,
        ..verdict(number)
    }
}

pub struct Planner {
    client: Client,
    /// The number of the intent that comes next: one that was returned comes again.
    next: u64,
    /// The number of the last intent that was admitted or refused.
    answered: u64,
    /// Admitted, and without its final verdict.
    active: Option<u64>,
    finals: u64,
}

impl Planner {
    pub fn new(client: Client) -> Self {
        Self { client, next: 1, answered: 0, active: None, finals: 0 }
    }

    /// Final verdicts so far.
    pub fn finals(&self) -> u64 {
        self.finals
    }

    /// Submits until the ring is full, then reads what there is; both at most [`BURST`].
    pub fn go_on(&mut self) {
        self.client.heartbeat();
        for _ in 0..BURST {
            if !self.submit() {
                break;
            }
        }
        for _ in 0..BURST {
            if !self.read() {
                break;
            }
        }
    }

    fn submit(&mut self) -> bool {
        let intent = intent_of(self.client.generation(), self.next);
        match self.client.submit(&intent) {
            Ok(()) => {
                self.next += 1;
                true
            }
            Err(Full(returned)) => {
                assert_eq!(*returned, intent);
                false
            }
        }
    }

    /// Reads a verdict, if there is one: whole, in its turn, one admission and one final an intent.
    fn read(&mut self) -> bool {
        let Some(verdict) = self.client.poll_verdict() else { return false };
        assert_eq!(verdict, verdict_of(self.client.generation(), verdict.number, verdict.kind));
        match verdict.kind {
            VerdictKind::Accepted | VerdictKind::Clamped | VerdictKind::Refused => {
                assert_eq!(verdict.number, self.answered + 1);
                assert!(verdict.number < self.next, "an answer to what was not asked");
                assert_eq!(verdict.kind, admission_of(verdict.number));
                self.answered = verdict.number;
                if verdict.kind != VerdictKind::Refused {
                    assert_eq!(self.active.replace(verdict.number), None);
                }
            }
            _ => {
                assert_eq!(self.active.take(), Some(verdict.number));
                self.finals += 1;
            }
        }
        true
    }

    /// The server was killed: sees it, reads what it had said before, is not held up by it. How long
    /// until it was seen.
    pub fn outlive(&mut self) -> Duration {
        let begun = Instant::now();
        while self.client.is_alive() {
            assert!(begun.elapsed() < PATIENCE, "the end was not seen");
        }
        let seen = begun.elapsed();
        while self.read() {}
        while self.submit() {}
        // A ring full, and the one that the server may have been killed over.
        assert!(self.next - 1 - self.answered <= 65, "taken, and never answered");
        assert_eq!(self.client.wait_verdict(PATIENCE), None);
        assert!(begun.elapsed() < PATIENCE / 2, "waited for a server that is gone");
        assert_eq!(self.client.verdicts_damaged(), 0);
        seen
    }
}
