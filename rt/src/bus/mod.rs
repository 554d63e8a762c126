//! A bus thread: owns one bus and the masters of its drives.
//!
//! It sleeps until a frame comes in or the control thread hands over an order, sends what the
//! order asks, and ticks the order off. Before anything is sent it checks the guardian's fence,
//! the latch and the age of the order: what it holds is never sent late, and after a stop nothing
//! goes out but stops, power-off and heartbeats. Heartbeats and SYNC go out only for a fresh tick.

pub mod logic;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use hal::bus::ControllerState;
use hal::drive::Outbox;
use hal::frame::Frame;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_protocol::records::Cause;

use crate::fence::Fences;
use crate::host::clock;
use crate::inject::Target;
use crate::note::Note;
use crate::order::Order;
use crate::port::Port;
use crate::shared::Shared;
use crate::wiring::BusEnds;
use logic::{BusLogic, Guards};

/// Frames taken in one turn, so that a flood on the bus cannot keep the thread from its orders.
const RECEIVE_MAX: usize = 64;
/// Longest sleep without a frame or an order, ms.
const SLEEP_MAX_MS: u8 = 20;

/// What a bus thread is made of.
pub struct BusThread {
    /// Index of the bus in the robot file.
    pub bus: usize,
    /// The shared words.
    pub shared: Arc<Shared>,
    /// The guardian's fence.
    pub fences: Arc<Fences>,
    /// The bus.
    pub port: Port,
    /// What is sent, and the masters of its drives.
    pub logic: BusLogic,
    /// The rings to and from it.
    pub ends: BusEnds,
    /// Length of a tick, ns.
    pub period_ns: u64,
    /// The bus is gone, and that was said.
    pub lost: bool,
}

impl BusThread {
    /// Runs until the process ends. Real time.
    pub fn run(&mut self) {
        let mut outbox = Outbox::default();
        while !self.shared.leave.load(Ordering::Relaxed) {
            if self.sleep() {
                // Always, and before the orders are taken: a bell left ringing would keep this
                // thread awake for ever, at a priority above the control thread's.
                let _ = self.ends.bell.read();
            }
            if let Some(beat) = self.shared.bus_beat_ns.get(self.bus) {
                beat.store(clock::now_ns(), Ordering::Release);
            }
            self.shared.inject.act(Target::Bus(self.bus), clock::now_ns);
            let heard = self.listen();
            let order = self.newest_order();
            if let Some(order) = &order {
                self.execute(order, &mut outbox);
            }
            if heard || order.is_some() {
                self.report();
            }
            self.tend();
        }
    }

    /// Sleeps until a frame or an order is there; returns whether the bell rings.
    fn sleep(&self) -> bool {
        let bell = PollFd::new(self.ends.bell.as_fd(), PollFlags::POLLIN);
        let mut fds: ArrayVec<PollFd<'_>, 2> = ArrayVec::new();
        fds.push(bell);
        if let Some(descriptor) = self.port.descriptor() {
            fds.push(PollFd::new(descriptor, PollFlags::POLLIN));
        }
        // An interrupted or failed poll only means looking sooner.
        let _ = poll(&mut fds, PollTimeout::from(SLEEP_MAX_MS));
        let found = fds.first().and_then(PollFd::revents);
        found.is_some_and(|found| found.contains(PollFlags::POLLIN))
    }

    /// Takes what the bus delivered; returns whether there was anything.
    fn listen(&mut self) -> bool {
        let mut heard = false;
        for _ in 0..RECEIVE_MAX {
            match self.port.receive() {
                Ok(Some(received)) => {
                    self.logic.on_frame(&received);
                    heard = true;
                }
                Ok(None) => break,
                Err(_) => {
                    self.note_loss();
                    break;
                }
            }
        }
        heard
    }

    fn newest_order(&mut self) -> Option<Order> {
        let mut newest = None;
        while let Ok(order) = self.ends.orders.pop() {
            newest = Some(order);
        }
        newest
    }

    fn execute(&mut self, order: &Order, outbox: &mut Outbox) {
        // The control thread is ahead: the ring was full, and what it said since is lost. The next
        // order says it again.
        let ahead = self.shared.ticks.control.load(Ordering::Acquire);
        if order.tick.saturating_add(1) < ahead {
            return;
        }
        let fenced = self.fences.is_up();
        let latched = self.shared.latch.is_set();
        let guards = Guards { fenced, latched };
        let stop = self.logic.execute(order, clock::now_ns(), guards, outbox);
        let mut sent = true;
        for (index, frame) in stop.iter().chain(outbox.iter()).enumerate() {
            // Again before every frame: this process may have been stopped in between.
            let is_stop = stop.is_some() && index == 0;
            if self.fences.is_up() || (!is_stop && !latched && self.shared.latch.is_set()) {
                break;
            }
            if !self.logic.is_fresh(order, clock::now_ns()) {
                break;
            }
            sent &= self.send(frame);
        }
        let sent_ns = clock::now_ns();
        if !fenced && !self.logic.is_fresh(order, sent_ns) {
            return self.note_expiry(order);
        }
        // A full ring means a housekeeping thread that is behind; the histogram misses a sample.
        let _ = self.ends.sends.push(sent_ns.saturating_sub(order.nominal_ns));
        // A frame that found no room leaves the tick open: the deadline thread sees it stand.
        if sent || !order.energised {
            self.tick_off(order);
        }
        let end_ns = order.nominal_ns.saturating_add(self.period_ns);
        if sent && order.computed_ns <= end_ns && sent_ns > end_ns {
            self.count_late_send();
        }
    }

    /// An order was held past its deadline: what it had left was not sent. The tick stays open; the
    /// deadline thread finds it, unless it was held up itself.
    fn note_expiry(&self, order: &Order) {
        self.count_late_send();
        if order.energised {
            let bus = u32::try_from(self.bus).unwrap_or(u32::MAX);
            self.shared.latch.raise(Cause::DeadlineBus, bus);
        }
    }

    fn send(&mut self, frame: &Frame) -> bool {
        match self.port.send(frame) {
            Ok(()) => true,
            Err(_) => {
                if let Some(word) = self.shared.send_failures.get(self.bus) {
                    word.fetch_add(1, Ordering::Relaxed);
                }
                self.note_loss();
                false
            }
        }
    }

    /// Release pairs with the Acquire of the deadline thread: the frames were handed over before.
    fn tick_off(&self, order: &Order) {
        if let Some(word) = self.shared.ticks.buses.get(self.bus) {
            word.store(order.tick.saturating_add(1), Ordering::Release);
        }
    }

    fn count_late_send(&self) {
        if let Some(word) = self.shared.late_sends.get(self.bus) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report(&mut self) {
        // A full ring means a control thread that is stuck; the newest report follows when it is
        // not.
        let _ = self.ends.reports.push(self.logic.report(clock::now_ns()));
    }

    /// Latches a bus that is gone while anything is powered, once.
    fn note_loss(&mut self) {
        if self.port.is_open() || self.lost {
            return;
        }
        self.lost = true;
        let bus = u32::try_from(self.bus).unwrap_or(u32::MAX);
        if self.shared.energised.load(Ordering::Acquire) {
            self.shared.latch.raise(Cause::BusFault, bus);
        }
        self.ends.notes.leave(Note::BusLost { bus, t_ns: clock::now_ns() });
    }

    /// Publishes the bus' state and opens the bus again when it is gone and nothing moves: opening
    /// allocates.
    fn tend(&mut self) {
        let state = self.port.state();
        self.shared.set_bus_state(self.bus, state);
        let dead = matches!(state, ControllerState::BusOff | ControllerState::Down);
        if dead && self.shared.energised.load(Ordering::Acquire) {
            // Writing may still seem to succeed; nothing arrives.
            self.shared.latch.raise(Cause::BusFault, u32::try_from(self.bus).unwrap_or(u32::MAX));
        }
        if state == ControllerState::Down
            && !self.port.is_open()
            && !self.shared.armed.load(Ordering::Acquire)
            && self.port.tend(clock::now_ns())
        {
            let bus = u32::try_from(self.bus).unwrap_or(u32::MAX);
            self.lost = false;
            self.ends.notes.leave(Note::BusOpened { bus });
        }
    }
}
