//! A bus of the kernel, as the world sees it: frames heard there wait for the time at which they
//! came, frames of drives wait until the server has handed them to the kernel. Who gets the wire,
//! and how long a frame takes, is the kernel's business; nothing of it is modelled here.

use std::collections::VecDeque;

use hal::frame::Frame;

use super::arbiter::{QUEUE_MAX, STATIONS_MAX, StationId, SubmitError, Transmitted};

/// Most heard frames that may wait; what comes past that is lost, as in a controller's buffer.
pub const HEARD_MAX: usize = 1_024;

/// Everybody on the bus who is none of the drives here.
pub const OTHERS: StationId = StationId::numbered(STATIONS_MAX);

#[derive(Clone, Copy)]
struct Waiting {
    station: StationId,
    frame: Frame,
    at_ns: u64,
}

/// One bus of the kernel.
#[derive(Default)]
pub struct KernelBus {
    stations: usize,
    heard: VecDeque<Transmitted>,
    outgoing: VecDeque<Waiting>,
    /// Handed to the kernel, echo awaited, in the order in which echoes come.
    unconfirmed: VecDeque<Waiting>,
}

impl KernelBus {
    /// A drive joins; `None` if there is no room.
    pub fn connect(&mut self) -> Option<StationId> {
        let station = StationId::numbered(self.stations);
        self.stations += 1;
        (station != OTHERS && self.stations <= STATIONS_MAX).then_some(station)
    }

    /// A frame was on the bus at `at_ns` (not before the one heard last). False if it is lost.
    pub fn hear(&mut self, frame: Frame, at_ns: u64, echo: bool) -> bool {
        let (station, submitted_ns) =
            echo.then(|| self.confirm(&frame)).flatten().unwrap_or((OTHERS, at_ns));
        let at_ns = self.heard.back().map_or(at_ns, |last| last.wire_ns.max(at_ns));
        if self.heard.len() >= HEARD_MAX {
            return false;
        }
        self.heard.push_back(Transmitted { station, frame, submitted_ns, wire_ns: at_ns });
        true
    }

    /// Whose frame came back, and when it was handed in. Those before it never came back.
    fn confirm(&mut self, frame: &Frame) -> Option<(StationId, u64)> {
        let place = self.unconfirmed.iter().position(|waiting| waiting.frame == *frame)?;
        let found = self.unconfirmed.drain(..=place).next_back()?;
        Some((found.station, found.at_ns))
    }

    /// When the next heard frame takes effect.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.heard.front().map(|heard| heard.wire_ns)
    }

    /// Takes the next heard frame that came no later than `now_ns`.
    pub fn step(&mut self, now_ns: u64) -> Option<Transmitted> {
        self.heard.front().filter(|heard| heard.wire_ns <= now_ns)?;
        self.heard.pop_front()
    }

    /// A drive hands in a frame at `at_ns`.
    pub fn submit(
        &mut self,
        station: StationId,
        frame: Frame,
        at_ns: u64,
    ) -> Result<(), SubmitError> {
        if self.outgoing.len() >= QUEUE_MAX {
            return Err(SubmitError::Full);
        }
        self.outgoing.push_back(Waiting { station, frame, at_ns });
        Ok(())
    }

    /// As `submit`, but a frame with the same identifier that still waits is replaced in its place.
    pub fn replace(
        &mut self,
        station: StationId,
        frame: Frame,
        at_ns: u64,
    ) -> Result<(), SubmitError> {
        let same = |waiting: &&mut Waiting| {
            waiting.station == station
                && waiting.frame.id() == frame.id()
                && waiting.frame.is_extended() == frame.is_extended()
        };
        if let Some(old) = self.outgoing.iter_mut().find(same) {
            old.frame = frame;
            return Ok(());
        }
        self.submit(station, frame, at_ns)
    }

    /// The frame that the kernel is to be given next.
    pub fn outgoing(&self) -> Option<&Frame> {
        self.outgoing.front().map(|waiting| &waiting.frame)
    }

    /// The kernel has taken it.
    pub fn sent(&mut self) {
        if self.unconfirmed.len() >= QUEUE_MAX {
            self.unconfirmed.pop_front();
        }
        self.unconfirmed.extend(self.outgoing.pop_front());
    }

    /// The kernel will not take it: it is dropped. Whether there was one.
    pub fn unsent(&mut self) -> bool {
        self.outgoing.pop_front().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u16) -> Frame {
        Frame::new(id, &[1]).unwrap()
    }

    #[test]
    fn what_was_heard_takes_effect_at_its_time_and_in_its_order() {
        let mut bus = KernelBus::default();
        assert!(bus.hear(frame(1), 100, false));
        assert!(bus.hear(frame(2), 90, false), "a stamp that goes back");
        assert_eq!(bus.next_event_ns(), Some(100));
        assert_eq!(bus.step(99), None);
        let ids: Vec<_> =
            std::iter::from_fn(|| bus.step(100)).map(|heard| heard.frame.id()).collect();
        assert_eq!(ids, [1, 2]);
    }

    #[test]
    fn an_echo_names_its_drive_and_a_lost_one_hides_nobody() {
        let mut bus = KernelBus::default();
        let (one, two) = (bus.connect().unwrap(), bus.connect().unwrap());
        for (station, id) in [(one, 0x181), (two, 0x182), (one, 0x181)] {
            bus.submit(station, frame(id), 10).unwrap();
            bus.sent();
        }
        // The first frame's echo never comes.
        bus.hear(frame(0x182), 20, true);
        bus.hear(frame(0x181), 21, true);
        bus.hear(frame(0x181), 22, true);
        bus.hear(frame(0x182), 23, false);
        let senders: Vec<_> =
            std::iter::from_fn(|| bus.step(30)).map(|heard| heard.station).collect();
        assert_eq!(senders, [two, one, OTHERS, OTHERS]);
    }

    #[test]
    fn process_data_that_waits_is_replaced_and_a_full_buffer_refuses() {
        let mut bus = KernelBus::default();
        let drive = bus.connect().unwrap();
        bus.replace(drive, Frame::new(0x181, &[1]).unwrap(), 0).unwrap();
        bus.replace(drive, Frame::new(0x181, &[2]).unwrap(), 5).unwrap();
        assert_eq!(bus.outgoing().map(|frame| frame.data().to_vec()), Some(vec![2]));
        assert!(bus.unsent() && !bus.unsent());
        for _ in 0..QUEUE_MAX {
            bus.submit(drive, frame(0x581), 0).unwrap();
        }
        assert_eq!(bus.submit(drive, frame(0x581), 0), Err(SubmitError::Full));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut bus = KernelBus::default();
        let taken = (0..HEARD_MAX + 5).filter(|_| bus.hear(frame(1), 0, false)).count();
        assert_eq!(taken, HEARD_MAX);
    }
}
