//! Heartbeat: each node's life sign, `700+node`, one byte of NMT state.

use crate::frame::Frame;

/// Base of the heartbeats' COB-IDs.
pub const COB_ID_BASE: u16 = 0x700;

/// State that a heartbeat tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NmtState {
    /// The node has just started: it knows nothing of an earlier configuration.
    BootUp = 0x00,
    /// Stopped.
    Stopped = 0x04,
    /// Operational.
    Operational = 0x05,
    /// Pre-operational.
    PreOperational = 0x7F,
}

/// The heartbeat of `node`.
pub fn frame(node: u8, state: NmtState) -> Frame {
    Frame::fixed(COB_ID_BASE + u16::from(node & 0x7F), [state as u8])
}

/// The state that a frame tells of `node`; `None` when it is no heartbeat of that node.
pub fn decode(frame: &Frame, node: u8) -> Option<NmtState> {
    match frame.standard_data()? {
        (id, &[state]) if id == COB_ID_BASE + u16::from(node) => match state {
            0x00 => Some(NmtState::BootUp),
            0x04 => Some(NmtState::Stopped),
            0x05 => Some(NmtState::Operational),
            0x7F => Some(NmtState::PreOperational),
            _ => None,
        },
        _ => None,
    }
}

/// Listens to one node's heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Consumer {
    node: u8,
    timeout_ns: u64,
    last: Option<(u64, NmtState)>,
}

impl Consumer {
    /// Nothing heard yet. `timeout_ns`: longest time between two heartbeats of a living node.
    pub fn new(node: u8, timeout_ns: u64) -> Consumer {
        Consumer { node, timeout_ns, last: None }
    }

    /// Takes in a frame; gives the state if it was the node's heartbeat.
    pub fn on_frame(&mut self, frame: &Frame, time_ns: u64) -> Option<NmtState> {
        let state = decode(frame, self.node)?;
        self.last = Some((time_ns, state));
        Some(state)
    }

    /// Whether the last heartbeat is within its time.
    pub fn is_alive(&self, now_ns: u64) -> bool {
        self.last.is_some_and(|(time_ns, _)| now_ns.saturating_sub(time_ns) <= self.timeout_ns)
    }

    /// The last state heard, and when (ns).
    pub fn last(&self) -> Option<(u64, NmtState)> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_have_the_bytes_of_cia_301() {
        let sent = frame(0x7F, NmtState::Operational);
        assert_eq!((sent.id(), sent.data()), (0x77F, &[0x05][..]));
        let boot_up = Frame::new(0x703, &[0]).unwrap();
        assert_eq!(decode(&boot_up, 3), Some(NmtState::BootUp));
        assert_eq!(decode(&boot_up, 4), None);
        assert_eq!(decode(&Frame::new(0x703, &[9]).unwrap(), 3), None);
        assert_eq!(decode(&Frame::new(0x703, &[5, 5]).unwrap(), 3), None);
    }

    #[test]
    fn a_node_is_alive_until_its_time_has_passed() {
        let mut consumer = Consumer::new(3, 100);
        assert!(!consumer.is_alive(0));
        consumer.on_frame(&frame(3, NmtState::PreOperational), 1_000);
        assert!(consumer.is_alive(1_100));
        assert!(!consumer.is_alive(1_101));
        consumer.on_frame(&frame(4, NmtState::Operational), 1_101);
        assert!(!consumer.is_alive(1_101));
    }
}
