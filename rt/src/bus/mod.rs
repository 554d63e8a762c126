//! A bus thread: owns one bus and the masters of its drives.
//!
//! It sleeps until a frame comes in or the control thread hands over an order, sends what the
//! order asks, and ticks the order off. Before anything is sent it checks the guardian's fence,
//! the latch and the age of the order: what it holds is never sent late, and after a stop nothing
//! goes out but stops, power-off and heartbeats. Heartbeats and SYNC go out only for a fresh tick.

pub mod echo;
pub mod logic;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use hal::bus::{BusError, ControllerState, Received};
use hal::drive::Outbox;
use hal::frame::Frame;
use mechos_operator::LatencyPath;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_protocol::records::Cause;

use crate::fence::Fences;
use crate::host::clock;
use crate::inject::Target;
use crate::miss_cause::{Sending, Usage, send_cause};
use crate::note::Note;
use crate::order::{ISSUED_MAX, Order};
use crate::port::Port;
use crate::schedule::Miss;
use crate::shared::Shared;
use crate::wiring::BusEnds;
use echo::Echoes;
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
    /// What was sent and has not come back yet.
    pub echoes: Echoes,
    /// When the intents were issued that the orders taken since the last sending carried, ns.
    pub waiting: ArrayVec<u64, ISSUED_MAX>,
    /// [`Order::halt_ns`] of the stop that was sent last, ns.
    pub stop_of_ns: u64,
}

/// One sending of an order.
struct Sent {
    /// Every frame was taken.
    whole: bool,
    /// The bus had no room for a frame.
    refused: bool,
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
            let woken_ns = clock::now_ns();
            if let Some(beat) = self.shared.bus_beat_ns.get(self.bus) {
                beat.store(woken_ns, Ordering::Release);
            }
            self.shared.inject.act(Target::Bus(self.bus), clock::now_ns);
            let heard = self.listen();
            let order = self.newest_order();
            if let Some(order) = &order {
                self.execute(order, &mut outbox, woken_ns, heard);
            }
            if heard > 0 || order.is_some() {
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

    /// Takes what the bus delivered; returns how many frames.
    fn listen(&mut self) -> usize {
        let mut heard = 0;
        for _ in 0..RECEIVE_MAX {
            match self.port.receive() {
                Ok(Some(received)) => {
                    self.logic.on_frame(&received);
                    if received.echo {
                        self.on_echo(&received);
                    }
                    heard += 1;
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
            if let Some(issued_ns) = order.issued_ns
                && self.waiting.try_push(issued_ns).is_err()
            {
                self.ends.timings.lose(LatencyPath::IntentWire, 1);
            }
            newest = Some(order);
        }
        newest
    }

    fn execute(&mut self, order: &Order, outbox: &mut Outbox, woken_ns: u64, heard: usize) {
        // The control thread is ahead: the ring was full, and what it said since is lost. The next
        // order says it again.
        let ahead = self.shared.ticks.control.load(Ordering::Acquire);
        if order.tick.saturating_add(1) < ahead {
            return;
        }
        let (began, began_ns) = (Usage::now(), clock::now_ns());
        let fenced = self.fences.is_up();
        let sent = self.send_all(order, outbox, fenced);
        let sent_ns = clock::now_ns();
        let end_ns = order.nominal_ns.saturating_add(self.period_ns);
        let expired = !fenced && !self.logic.is_fresh(order, sent_ns);
        if expired {
            self.note_expiry(order);
        } else {
            let send_ns = sent_ns.saturating_sub(order.nominal_ns);
            self.ends.timings.sample(LatencyPath::Send, send_ns);
            // A frame that found no room leaves the tick open: the deadline thread sees it stand.
            if sent.whole || !order.energised {
                self.tick_off(order);
            }
        }
        // A bus that is gone is no late sending: it has its own words.
        if !order.late && (sent.refused || (sent.whole && sent_ns > end_ns)) {
            let refused = sent.refused;
            let sending = Sending { woken_ns, began_ns, end_ns, heard, refused };
            self.note_late_send(order, &sending, &began, sent_ns);
        }
    }

    /// Sends what the order asks, as long as nothing forbids it.
    fn send_all(&mut self, order: &Order, outbox: &mut Outbox, fenced: bool) -> Sent {
        let latched = self.shared.latch.is_set();
        let guards = Guards { fenced, latched };
        let stop = self.logic.execute(order, clock::now_ns(), guards, outbox);
        let mut sent = Sent { whole: true, refused: false };
        let carried = std::mem::take(&mut self.waiting);
        let lost = self.echoes.carries(order.nominal_ns, &carried);
        self.ends.timings.lose(LatencyPath::IntentWire, lost);
        for (index, frame) in stop.iter().chain(outbox.iter()).enumerate() {
            // Again before every frame: this process may have been stopped in between.
            let is_stop = stop.is_some() && index == 0;
            if self.fences.is_up() || (!is_stop && !latched && self.shared.latch.is_set()) {
                break;
            }
            if !self.logic.is_fresh(order, clock::now_ns()) {
                break;
            }
            match self.send(frame, order.nominal_ns) {
                Ok(()) if is_stop => self.note_stop(order),
                Ok(()) => {}
                Err(error) => {
                    sent.whole = false;
                    sent.refused |= matches!(error, BusError::Full);
                }
            }
        }
        sent
    }

    /// An order was held past its deadline: what it had left was not sent. The tick stays open; the
    /// deadline thread finds it, unless it was held up itself.
    fn note_expiry(&self, order: &Order) {
        if order.energised {
            let bus = u32::try_from(self.bus).unwrap_or(u32::MAX);
            self.shared.latch.raise(Cause::DeadlineBus, bus);
        }
    }

    /// Counts and notes a tick that was computed in time and handed over late, or not taken.
    fn note_late_send(&mut self, order: &Order, sending: &Sending, began: &Usage, sent_ns: u64) {
        let used = Usage::now().since(began);
        let (cause, stage) = send_cause(sending, &used);
        self.shared.misses.count(Miss::LateSend, cause);
        self.ends.notes.leave(Note::Missed {
            t_ns: sent_ns,
            tick: order.tick,
            miss: Miss::LateSend,
            cause,
            stage,
            bus: u32::try_from(self.bus).ok(),
            call: used.last_call,
            skipped: 0,
            late_ns: sent_ns.saturating_sub(order.nominal_ns),
        });
    }

    /// The first frame of a stop that the kernel ordered has left this thread.
    fn note_stop(&mut self, order: &Order) {
        if self.stop_of_ns != order.halt_ns {
            self.stop_of_ns = order.halt_ns;
            let (halt_ns, sent_ns) = (order.halt_ns, clock::now_ns());
            self.ends.notes.leave(Note::StopSent { halt_ns, sent_ns });
        }
    }

    fn send(&mut self, frame: &Frame, nominal_ns: u64) -> Result<(), BusError> {
        let result = self.port.send(frame);
        if result.is_ok() {
            let passed = u64::from(self.echoes.sent(frame, nominal_ns));
            self.ends.timings.lose(LatencyPath::Wire, passed);
        } else {
            if let Some(word) = self.shared.send_failures.get(self.bus) {
                word.fetch_add(1, Ordering::Relaxed);
            }
            self.note_loss();
        }
        result
    }

    /// A frame of this thread's was on the wire: which tick's, and whose intents it carried.
    fn on_echo(&mut self, received: &Received) {
        let heard = self.echoes.heard(&received.frame);
        let timings = &mut self.ends.timings;
        if let Some(nominal_ns) = heard.sync_of_ns {
            timings.sample(LatencyPath::Wire, received.time_ns.saturating_sub(nominal_ns));
        }
        for issued_ns in &heard.issued_ns {
            timings.sample(LatencyPath::IntentWire, received.time_ns.saturating_sub(*issued_ns));
        }
        timings.lose(LatencyPath::Wire, heard.syncs_lost);
        timings.lose(LatencyPath::IntentWire, heard.intents_lost);
    }

    /// Release pairs with the Acquire of the deadline thread: the frames were handed over before.
    fn tick_off(&self, order: &Order) {
        if let Some(word) = self.shared.ticks.buses.get(self.bus) {
            word.store(order.tick.saturating_add(1), Ordering::Release);
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
        let (syncs, intents) = self.echoes.forget();
        self.ends.timings.lose(LatencyPath::Wire, syncs);
        self.ends.timings.lose(LatencyPath::IntentWire, intents);
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
            && !self.shared.energised.load(Ordering::Acquire)
            && self.port.tend(clock::now_ns())
        {
            let bus = u32::try_from(self.bus).unwrap_or(u32::MAX);
            self.lost = false;
            self.ends.notes.leave(Note::BusOpened { bus });
        }
    }
}
