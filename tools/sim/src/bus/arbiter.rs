//! Who gets the wire, and when. Stations queue frames; whenever the wire is free, the station whose
//! waiting frame has the smallest identifier sends; a frame that has begun is never interrupted.
//!
//! All times are modelled CLOCK_MONOTONIC nanoseconds handed in by the caller.

use std::collections::VecDeque;

use hal::frame::Frame;

use super::bits::{INTERMISSION_BITS, arbitration_key, duration_ns, frame_bits};

/// Most frames that may wait in one station.
pub const QUEUE_MAX: usize = 128;

/// Most stations on a bus (drives and clients, dead ones with waiting frames included).
pub const STATIONS_MAX: usize = 160;

/// A station's place on its bus. Never reused for another station while it has frames waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StationId(usize);

impl StationId {
    pub(super) const fn numbered(index: usize) -> Self {
        Self(index)
    }

    /// Its number on the bus, below `STATIONS_MAX`.
    pub fn index(self) -> usize {
        self.0
    }
}

/// In which order a station offers its own waiting frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As submitted: a host's transmit queue.
    Fifo,
    /// Smallest identifier first: a drive's message buffers.
    Priority,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue holds `QUEUE_MAX` frames; offer the frame again after some went out.
    #[error("the station's transmit queue is full ({QUEUE_MAX} frames)")]
    Full,
    /// Error frames are made by controllers, not sent.
    #[error("an error frame cannot be sent")]
    NotSendable,
    /// There is no such station.
    #[error("no such station on this bus")]
    NoStation,
}

/// A frame that has crossed the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmitted {
    /// Who sent it.
    pub station: StationId,
    /// The frame.
    pub frame: Frame,
    /// When the station handed it in, ns.
    pub submitted_ns: u64,
    /// When its last bit was on the wire, ns.
    pub wire_ns: u64,
}

#[derive(Clone, Copy)]
struct Waiting {
    frame: Frame,
    at_ns: u64,
    key: u32,
    bits: u32,
}

struct Station {
    order: Order,
    queue: VecDeque<Waiting>,
    closing: bool,
}

impl Station {
    /// The frame that this station offers at `at_ns`, as its place in the queue.
    fn offer(&self, at_ns: u64) -> Option<(usize, &Waiting)> {
        match self.order {
            Order::Fifo => self.queue.front().filter(|w| w.at_ns <= at_ns).map(|w| (0, w)),
            Order::Priority => self
                .queue
                .iter()
                .enumerate()
                .filter(|(_, w)| w.at_ns <= at_ns)
                .min_by_key(|(place, w)| (w.key, *place)),
        }
    }

    fn ready_ns(&self) -> Option<u64> {
        match self.order {
            Order::Fifo => self.queue.front().map(|w| w.at_ns),
            Order::Priority => self.queue.iter().map(|w| w.at_ns).min(),
        }
    }
}

/// The wire of one bus and all stations at it.
pub struct Arbiter {
    bitrate: u32,
    stations: Vec<Option<Station>>,
    on_wire: Option<Transmitted>,
    free_ns: u64,
    sent_bits: u64,
}

impl Arbiter {
    /// A silent bus with `bitrate` in bit/s that is free from `start_ns` on.
    pub fn new(bitrate: u32, start_ns: u64) -> Self {
        Self { bitrate, stations: Vec::new(), on_wire: None, free_ns: start_ns, sent_bits: 0 }
    }

    /// A new station, or `None` with `STATIONS_MAX` on the bus.
    pub fn connect(&mut self, order: Order) -> Option<StationId> {
        let queue = VecDeque::with_capacity(QUEUE_MAX);
        let station = Some(Station { order, queue, closing: false });
        if let Some(free) = self.stations.iter().position(Option::is_none) {
            *self.stations.get_mut(free)? = station;
            return Some(StationId(free));
        }
        if self.stations.len() >= STATIONS_MAX {
            return None;
        }
        self.stations.push(station);
        Some(StationId(self.stations.len() - 1))
    }

    /// The station takes no more frames; what it handed in still goes out (as from a network
    /// interface whose user died), then its place is free.
    pub fn disconnect(&mut self, id: StationId) {
        if let Some(Some(station)) = self.stations.get_mut(id.0) {
            station.closing = true;
        }
        self.release(id);
    }

    /// Whether nothing of a station waits or is on the wire, so that its name may be forgotten.
    pub fn is_released(&self, id: StationId) -> bool {
        self.stations.get(id.0).is_none_or(Option::is_none)
    }

    fn release(&mut self, id: StationId) {
        let on_wire = self.on_wire.is_some_and(|t| t.station == id);
        if let Some(slot) = self.stations.get_mut(id.0)
            && !on_wire
            && slot.as_ref().is_some_and(|s| s.closing && s.queue.is_empty())
        {
            *slot = None;
        }
    }

    /// Free places in a station's transmit queue.
    pub fn room(&self, id: StationId) -> usize {
        let station = self.stations.get(id.0).and_then(Option::as_ref);
        station.map_or(0, |s| QUEUE_MAX.saturating_sub(s.queue.len()))
    }

    /// A station hands in a frame at `at_ns`.
    pub fn submit(&mut self, id: StationId, frame: Frame, at_ns: u64) -> Result<(), SubmitError> {
        let Some(Some(station)) = self.stations.get_mut(id.0) else {
            return Err(SubmitError::NoStation);
        };
        if station.closing {
            return Err(SubmitError::NoStation);
        }
        if station.queue.len() >= QUEUE_MAX {
            return Err(SubmitError::Full);
        }
        let (key, bits) = (arbitration_key(&frame), frame_bits(&frame));
        station.queue.push_back(Waiting { frame, at_ns, key, bits });
        Ok(())
    }

    /// As `submit`, but a frame with the same identifier that still waits is replaced in its
    /// place: a process data buffer holds the newest value only.
    pub fn replace(&mut self, id: StationId, frame: Frame, at_ns: u64) -> Result<(), SubmitError> {
        let key = arbitration_key(&frame);
        if let Some(Some(station)) = self.stations.get_mut(id.0)
            && let Some(old) = station.queue.iter_mut().find(|w| w.key == key)
        {
            (old.frame, old.bits) = (frame, frame_bits(&frame));
            return Ok(());
        }
        self.submit(id, frame, at_ns)
    }

    /// When the wire next changes: the end of the frame on it, or the start of the next one.
    pub fn next_event_ns(&self) -> Option<u64> {
        match &self.on_wire {
            Some(transmission) => Some(transmission.wire_ns),
            None => self.next_start_ns(),
        }
    }

    fn next_start_ns(&self) -> Option<u64> {
        let ready = self.stations.iter().flatten().filter_map(Station::ready_ns).min()?;
        Some(ready.max(self.free_ns))
    }

    /// When the next frame will have crossed the wire, unless one with a smaller identifier comes
    /// before its start: nobody has anything to do before.
    pub fn next_delivery_ns(&self) -> Option<u64> {
        if let Some(transmission) = &self.on_wire {
            return Some(transmission.wire_ns);
        }
        let start_ns = self.next_start_ns()?;
        let bits = self.winner(start_ns).map_or(0, |(_, _, waiting)| waiting.bits);
        Some(start_ns + duration_ns(bits, self.bitrate))
    }

    /// Takes the next change that happens no later than `now_ns`: an arbitration (gives nothing
    /// back) or the end of a frame. Call until `next_event_ns` lies after `now_ns`.
    pub fn step(&mut self, now_ns: u64) -> Option<Transmitted> {
        if let Some(done) = self.on_wire.take_if(|t| t.wire_ns <= now_ns) {
            self.free_ns = done.wire_ns + duration_ns(INTERMISSION_BITS, self.bitrate);
            self.release(done.station);
            return Some(done);
        }
        if self.on_wire.is_none() {
            let start_ns = self.next_start_ns().filter(|start| *start <= now_ns)?;
            self.arbitrate(start_ns);
        }
        None
    }

    /// All stations with a frame ready at `start_ns` put it on the wire; the smallest wins. Equal
    /// identifiers (a fault of the configuration, or the same stop from two senders): who came
    /// first. Gives the station, the frame's place in its queue, and the frame.
    fn winner(&self, start_ns: u64) -> Option<(usize, usize, &Waiting)> {
        self.stations
            .iter()
            .enumerate()
            .filter_map(|(index, station)| {
                let (place, waiting) = station.as_ref()?.offer(start_ns)?;
                Some((index, place, waiting))
            })
            .min_by_key(|(index, _, waiting)| (waiting.key, waiting.at_ns, *index))
    }

    fn arbitrate(&mut self, start_ns: u64) {
        let Some((index, place, _)) = self.winner(start_ns) else { return };
        let Some(Some(station)) = self.stations.get_mut(index) else { return };
        let Some(waiting) = station.queue.remove(place) else { return };
        self.sent_bits += u64::from(waiting.bits + INTERMISSION_BITS);
        self.on_wire = Some(Transmitted {
            station: StationId(index),
            frame: waiting.frame,
            submitted_ns: waiting.at_ns,
            wire_ns: start_ns + duration_ns(waiting.bits, self.bitrate),
        });
    }

    /// Bits sent since the start, intermissions included.
    pub fn sent_bits(&self) -> u64 {
        self.sent_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u16) -> Frame {
        Frame::new(id, &[1, 2]).unwrap()
    }

    fn run(arbiter: &mut Arbiter, until_ns: u64) -> Vec<(u32, u64)> {
        let mut seen = Vec::new();
        while arbiter.next_event_ns().is_some_and(|t| t <= until_ns) {
            if let Some(sent) = arbiter.step(until_ns) {
                seen.push((sent.frame.id(), sent.wire_ns));
            }
        }
        seen
    }

    fn ids(seen: &[(u32, u64)]) -> Vec<u32> {
        seen.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn the_smallest_identifier_goes_first() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let stations: Vec<_> = (0..3).map(|_| bus.connect(Order::Fifo).unwrap()).collect();
        bus.submit(stations[0], frame(0x300), 0).unwrap();
        bus.submit(stations[1], frame(0x100), 0).unwrap();
        bus.submit(stations[2], frame(0x200), 0).unwrap();
        assert_eq!(ids(&run(&mut bus, 1_000_000)), [0x100, 0x200, 0x300]);
    }

    #[test]
    fn a_frame_that_has_begun_is_not_interrupted() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let low = bus.connect(Order::Fifo).unwrap();
        let stop = bus.connect(Order::Fifo).unwrap();
        bus.submit(low, frame(0x700), 0).unwrap();
        bus.submit(low, frame(0x701), 0).unwrap();
        bus.submit(stop, frame(0x0f0), 1_000).unwrap();
        assert_eq!(ids(&run(&mut bus, 1_000_000)), [0x700, 0x0f0, 0x701]);
    }

    #[test]
    fn a_fifo_station_keeps_its_order_and_a_drive_sends_its_smallest() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let host = bus.connect(Order::Fifo).unwrap();
        bus.submit(host, frame(0x300), 0).unwrap();
        bus.submit(host, frame(0x100), 0).unwrap();
        assert_eq!(ids(&run(&mut bus, 1_000_000)), [0x300, 0x100]);
        let drive = bus.connect(Order::Priority).unwrap();
        bus.submit(drive, frame(0x300), 2_000_000).unwrap();
        bus.submit(drive, frame(0x100), 2_000_000).unwrap();
        assert_eq!(ids(&run(&mut bus, 3_000_000)), [0x100, 0x300]);
    }

    #[test]
    fn wire_times_follow_bit_rate_and_intermission() {
        let mut bus = Arbiter::new(500_000, 0);
        let host = bus.connect(Order::Fifo).unwrap();
        bus.submit(host, frame(0x123), 10_000).unwrap();
        bus.submit(host, frame(0x123), 10_000).unwrap();
        let bits = u64::from(frame_bits(&frame(0x123)));
        let first = 10_000 + bits * 2_000;
        let second = first + 3 * 2_000 + bits * 2_000;
        assert!(run(&mut bus, first - 1).is_empty(), "nothing is delivered before its wire time");
        assert_eq!(run(&mut bus, second), [(0x123, first), (0x123, second)]);
    }

    #[test]
    fn a_full_queue_gives_an_error_and_loses_nothing() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let host = bus.connect(Order::Fifo).unwrap();
        for _ in 0..QUEUE_MAX {
            bus.submit(host, frame(1), 0).unwrap();
        }
        assert_eq!(bus.room(host), 0);
        assert_eq!(bus.submit(host, frame(2), 0), Err(SubmitError::Full));
        assert_eq!(run(&mut bus, 1_000_000_000).len(), QUEUE_MAX);
    }

    #[test]
    fn what_a_dead_station_handed_in_still_goes_out() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let host = bus.connect(Order::Fifo).unwrap();
        bus.submit(host, frame(1), 0).unwrap();
        bus.disconnect(host);
        assert!(!bus.is_released(host));
        assert_eq!(bus.submit(host, frame(2), 0), Err(SubmitError::NoStation));
        assert_eq!(ids(&run(&mut bus, 1_000_000)), [1]);
        assert!(bus.is_released(host));
    }

    #[test]
    fn a_buffer_is_replaced_by_its_newest_value() {
        let mut bus = Arbiter::new(1_000_000, 0);
        let drive = bus.connect(Order::Priority).unwrap();
        bus.submit(drive, Frame::new(0x181, &[1]).unwrap(), 0).unwrap();
        bus.replace(drive, Frame::new(0x181, &[2]).unwrap(), 10).unwrap();
        let mut sent = Vec::new();
        while bus.next_event_ns().is_some() {
            sent.extend(bus.step(1_000_000));
        }
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].frame.data(), [2]);
    }
}
