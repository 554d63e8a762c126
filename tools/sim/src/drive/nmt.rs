//! NMT slave and heartbeats (CiA 301, 7.2.8): the drive's own state and pulse, and whose pulse it
//! watches. A consumer starts to watch with the first heartbeat that it hears.

use super::dictionary::Dictionary;
use super::objects::{CONSUMER_HEARTBEAT, PRODUCER_HEARTBEAT};

const MILLISECOND_NS: u64 = 1_000_000;

/// Communication state, with its code in the heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NmtState {
    /// Starting; ends with the boot-up message.
    Initialising = 0x00,
    /// Only NMT and heartbeat live.
    Stopped = 0x04,
    /// Everything.
    Operational = 0x05,
    /// No process data.
    PreOperational = 0x7f,
}

/// An NMT command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NmtCommand {
    /// 0x01
    Start,
    /// 0x02
    Stop,
    /// 0x80
    PreOperational,
    /// 0x81
    ResetNode,
    /// 0x82
    ResetCommunication,
}

impl NmtCommand {
    /// The command for `node` in an NMT frame's data; 0 addresses every node.
    pub fn of(data: &[u8], node: u8) -> Option<Self> {
        let &[command, address] = data else { return None };
        if address != 0 && address != node {
            return None;
        }
        Some(match command {
            0x01 => Self::Start,
            0x02 => Self::Stop,
            0x80 => Self::PreOperational,
            0x81 => Self::ResetNode,
            0x82 => Self::ResetCommunication,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    node: u8,
    timeout_ns: u64,
    due_ns: Option<u64>,
}

/// The drive's own pulse, and the pulses it watches.
#[derive(Default)]
pub struct Heartbeats {
    period_ns: u64,
    next_ns: Option<u64>,
    watches: [Watch; 2],
}

impl Heartbeats {
    /// Object 1017 was written: the next heartbeat comes one period from now.
    pub fn set_producer(&mut self, objects: &Dictionary, now_ns: u64) {
        self.period_ns = u64::from(objects.unsigned(PRODUCER_HEARTBEAT, 0)) * MILLISECOND_NS;
        self.next_ns = (self.period_ns > 0).then_some(now_ns + self.period_ns);
    }

    /// Object 1016 was written: watching starts anew, with the next heartbeat heard.
    pub fn set_consumers(&mut self, objects: &Dictionary) {
        for (sub, watch) in (1..).zip(&mut self.watches) {
            let value = objects.unsigned(CONSUMER_HEARTBEAT, sub);
            let timeout_ns = u64::from(value & 0xffff) * MILLISECOND_NS;
            let node = u8::try_from((value >> 16) & 0x7f).unwrap_or(0);
            *watch = Watch { node, timeout_ns, due_ns: None };
        }
    }

    /// A heartbeat of `node` was heard; whether anybody watches that node.
    pub fn heard(&mut self, node: u8, now_ns: u64) -> bool {
        let mut watched = false;
        for watch in self.watches.iter_mut().filter(|w| w.node == node && w.timeout_ns > 0) {
            watch.due_ns = Some(now_ns + watch.timeout_ns);
            watched = true;
        }
        watched
    }

    /// Whether a heartbeat of the drive's own is due; reckons from the due time, not from `now_ns`.
    pub fn take_due(&mut self, now_ns: u64) -> bool {
        let Some(next) = self.next_ns.filter(|next| *next <= now_ns) else { return false };
        self.next_ns = Some((next + self.period_ns).max(now_ns + 1));
        true
    }

    /// A watched node that has gone silent; watching it starts anew with its next heartbeat.
    pub fn take_lost(&mut self, now_ns: u64) -> Option<u8> {
        let lost = self.watches.iter_mut().find(|w| w.due_ns.is_some_and(|due| due <= now_ns))?;
        lost.due_ns = None;
        Some(lost.node)
    }

    /// When the next of all this happens.
    pub fn due_ns(&self) -> Option<u64> {
        self.watches.iter().filter_map(|w| w.due_ns).chain(self.next_ns).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DriveSpec;

    #[test]
    fn commands_are_addressed() {
        assert_eq!(NmtCommand::of(&[1, 0], 5), Some(NmtCommand::Start));
        assert_eq!(NmtCommand::of(&[2, 5], 5), Some(NmtCommand::Stop));
        assert_eq!(NmtCommand::of(&[2, 4], 5), None);
        assert_eq!(NmtCommand::of(&[9, 5], 5), None);
        assert_eq!(NmtCommand::of(&[1], 5), None);
    }

    #[test]
    fn a_consumer_watches_from_the_first_heartbeat_on() {
        let mut objects = Dictionary::new(&DriveSpec::example(1));
        objects.set(CONSUMER_HEARTBEAT, 1, 0x7f_000a);
        let mut beats = Heartbeats::default();
        beats.set_consumers(&objects);
        assert_eq!(beats.take_lost(1_000_000_000), None, "nothing was heard yet");
        assert!(!beats.heard(0x7e, 0));
        assert_eq!(beats.due_ns(), None);
        assert!(beats.heard(0x7f, 1_000_000));
        assert_eq!(beats.due_ns(), Some(11_000_000));
        assert_eq!(beats.take_lost(10_999_999), None);
        assert_eq!(beats.take_lost(11_000_000), Some(0x7f));
        assert_eq!(beats.take_lost(99_000_000), None, "once");
    }

    #[test]
    fn a_producer_keeps_its_rhythm() {
        let mut objects = Dictionary::new(&DriveSpec::example(1));
        objects.set(PRODUCER_HEARTBEAT, 0, 10);
        let mut beats = Heartbeats::default();
        beats.set_producer(&objects, 0);
        assert!(!beats.take_due(9_999_999));
        assert!(beats.take_due(10_400_000));
        assert_eq!(beats.due_ns(), Some(20_000_000));
    }
}
