//! Which tick an echo belongs to.
//!
//! A client's frames cross the bus in the order of their sending, so that the echoes are matched to
//! a list of what was sent. A frame that was destroyed on the wire has no echo: the next echo that
//! fits passes it over, and it is counted as lost. Frames that repeat word for word may be matched
//! a tick too early until the next heartbeat, which comes in one tick of several, tells them apart.

use std::collections::VecDeque;

use arrayvec::ArrayVec;
use hal::frame::Frame;

use crate::order::ISSUED_MAX;

/// Frames that may be on their way; older ones count as lost.
const SENT_MAX: usize = 512;
/// Intents whose first frame may be on its way.
const INTENTS_MAX: usize = 64;

#[derive(Clone, Copy)]
struct Sent {
    frame: Frame,
    nominal_ns: u64,
}

/// What one echo says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Nominal start of the tick whose SYNC this was, CLOCK_MONOTONIC ns.
    pub sync_of_ns: Option<u64>,
    /// When the intents were issued whose first frame this was, CLOCK_MONOTONIC ns.
    pub issued_ns: ArrayVec<u64, INTENTS_MAX>,
    /// SYNC frames that were passed over: their echo will not come.
    pub syncs_lost: u64,
    /// Intents likewise.
    pub intents_lost: u64,
}

/// The frames of one bus thread that are on their way.
pub struct Echoes {
    sync_id: u32,
    sent: VecDeque<Sent>,
    /// Nominal start of the tick and time of issue.
    intents: ArrayVec<(u64, u64), INTENTS_MAX>,
}

impl Echoes {
    /// `sync_id` is the identifier of SYNC, which goes out once a tick after its setpoints.
    pub fn new(sync_id: u16) -> Self {
        let sent = VecDeque::with_capacity(SENT_MAX);
        Self { sync_id: u32::from(sync_id), sent, intents: ArrayVec::new() }
    }

    /// A frame of the tick that began nominally at `nominal_ns` was handed over. Returns whether a
    /// SYNC lost its place in the list for it. Real time.
    pub fn sent(&mut self, frame: &Frame, nominal_ns: u64) -> bool {
        let oldest = if self.sent.len() >= SENT_MAX { self.sent.pop_front() } else { None };
        self.sent.push_back(Sent { frame: *frame, nominal_ns });
        oldest.is_some_and(|oldest| self.is_sync(&oldest.frame))
    }

    /// The tick that began nominally at `nominal_ns` carries intents issued at these times. Returns
    /// how many found no room. Real time.
    pub fn carries(&mut self, nominal_ns: u64, issued_ns: &ArrayVec<u64, ISSUED_MAX>) -> u64 {
        let mut lost = 0;
        for issued_ns in issued_ns {
            lost += u64::from(self.intents.try_push((nominal_ns, *issued_ns)).is_err());
        }
        lost
    }

    /// An echo came. One that nobody waits for says nothing. Real time.
    pub fn heard(&mut self, frame: &Frame) -> Heard {
        let mut heard = Heard::default();
        let Some(place) = self.sent.iter().position(|sent| sent.frame == *frame) else {
            return heard;
        };
        for _ in 0..place {
            let passed = self.sent.pop_front();
            heard.syncs_lost += u64::from(passed.is_some_and(|sent| self.is_sync(&sent.frame)));
        }
        let Some(sent) = self.sent.pop_front() else { return heard };
        if self.is_sync(&sent.frame) {
            heard.sync_of_ns = Some(sent.nominal_ns);
        }
        self.intents.retain(|(nominal_ns, issued_ns)| {
            if *nominal_ns == sent.nominal_ns {
                // Room for as many as there are.
                let _ = heard.issued_ns.try_push(*issued_ns);
            } else if *nominal_ns < sent.nominal_ns {
                heard.intents_lost += 1;
            }
            *nominal_ns > sent.nominal_ns
        });
        heard
    }

    /// The bus is gone: no echo will come. Returns the SYNC frames and the intents that were on
    /// their way. Real time.
    pub fn forget(&mut self) -> (u64, u64) {
        let syncs = self.sent.iter().filter(|sent| self.is_sync(&sent.frame)).count() as u64;
        let intents = self.intents.len() as u64;
        self.sent.clear();
        self.intents.clear();
        (syncs, intents)
    }

    fn is_sync(&self, frame: &Frame) -> bool {
        frame.id() == self.sync_id && !frame.is_extended()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: u16 = 0x80;

    fn frame(id: u16, value: u8) -> Frame {
        Frame::new(id, &[value]).unwrap()
    }

    fn sync() -> Frame {
        Frame::new(SYNC, &[]).unwrap()
    }

    /// A tick's frames: two setpoints, SYNC.
    fn tick(echoes: &mut Echoes, nominal_ns: u64, value: u8) -> [Frame; 3] {
        let frames = [frame(0x201, value), frame(0x202, value), sync()];
        for frame in &frames {
            assert!(!echoes.sent(frame, nominal_ns));
        }
        frames
    }

    #[test]
    fn a_sync_belongs_to_the_tick_that_sent_it_also_when_the_bus_is_ticks_behind() {
        let mut echoes = Echoes::new(SYNC);
        let ticks: Vec<_> = (1..5).map(|n| tick(&mut echoes, n * 100, 7)).collect();
        let mut found = Vec::new();
        for frame in ticks.iter().flatten() {
            found.extend(echoes.heard(frame).sync_of_ns);
        }
        assert_eq!(found, [100, 200, 300, 400]);
    }

    #[test]
    fn what_the_wire_destroyed_is_passed_over_and_counted() {
        let mut echoes = Echoes::new(SYNC);
        tick(&mut echoes, 100, 1);
        let [setpoint, _, sync] = tick(&mut echoes, 200, 2);
        let heard = echoes.heard(&setpoint);
        assert_eq!((heard.syncs_lost, heard.sync_of_ns), (1, None));
        assert_eq!(echoes.heard(&sync).sync_of_ns, Some(200));
    }

    #[test]
    fn ticks_alike_are_told_apart_at_the_next_frame_of_another_kind() {
        let mut echoes = Echoes::new(SYNC);
        tick(&mut echoes, 100, 7);
        tick(&mut echoes, 200, 7);
        let beat = frame(0x701, 5);
        echoes.sent(&beat, 200);
        let [setpoint, _, sync] = tick(&mut echoes, 300, 7);
        // All of tick 100 was lost; those of 200 look the same.
        echoes.heard(&setpoint);
        assert_eq!(echoes.heard(&sync).sync_of_ns, Some(100), "a tick too early");
        assert_eq!(echoes.heard(&beat).syncs_lost, 1);
        assert_eq!(echoes.heard(&sync).sync_of_ns, Some(300));
    }

    #[test]
    fn an_intent_counts_once_at_the_first_frame_of_its_tick() {
        let mut echoes = Echoes::new(SYNC);
        let issued: ArrayVec<u64, ISSUED_MAX> = [40, 50].into_iter().collect();
        assert_eq!(echoes.carries(100, &issued), 0);
        let [first, second, _] = tick(&mut echoes, 100, 1);
        assert_eq!(echoes.heard(&first).issued_ns.as_slice(), [40, 50]);
        assert!(echoes.heard(&second).issued_ns.is_empty());
    }

    #[test]
    fn foreign_echoes_and_a_full_list_change_nothing_else() {
        let mut echoes = Echoes::new(SYNC);
        assert_eq!(echoes.heard(&sync()), Heard::default());
        for n in 0..SENT_MAX as u64 {
            assert!(!echoes.sent(&sync(), n));
        }
        assert!(echoes.sent(&sync(), 1_000), "the oldest had to go");
        assert_eq!(echoes.heard(&sync()).sync_of_ns, Some(1));
        assert_eq!(echoes.forget(), (SENT_MAX as u64 - 1, 0));
    }
}
