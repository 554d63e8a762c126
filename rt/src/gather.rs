//! What the control thread gathers before a tick: the planner's page and the watchers' findings.

use std::sync::atomic::Ordering;

use mechos_kernel::io::{Health, Interlocks, Link, VERDICTS_OF_CLAIM};
use mechos_kernel::{Inputs, Mode, Outputs};
use rtrb::{Consumer, Producer};
use shm_protocol::records::{Cause, Event, EventKind, ModeCode, Telemetry};
use shm_protocol::{HeartbeatWriter, ServerEnd};

use crate::fence::Fences;
use crate::host::clock;
use crate::note::{Note, Notes};
use crate::publish::code_of;
use crate::shared::Shared;
use crate::snapshot::LinkSnapshot;

/// A change of CLOCK_BOOTTIME against CLOCK_MONOTONIC below this is reading noise, ns.
const SUSPEND_MIN_NS: u64 = 10_000_000;

/// The planner's connection: one living page set at the most.
pub struct LinkDesk {
    arriving: Consumer<ServerEnd>,
    leaving: Producer<ServerEnd>,
    axis_count: usize,
    end: Option<ServerEnd>,
    last: Link,
    beat: u64,
    beat_ns: u64,
    mode: ModeCode,
}

impl LinkDesk {
    /// Page sets arrive from housekeeping by the one ring and go back by the other.
    pub fn new(
        arriving: Consumer<ServerEnd>,
        leaving: Producer<ServerEnd>,
        axis_count: usize,
    ) -> Self {
        Self {
            arriving,
            leaving,
            axis_count,
            end: None,
            last: Link::default(),
            beat: 0,
            beat_ns: 0,
            mode: ModeCode::Disarmed,
        }
    }

    /// Fills the tick's view of the planner, and takes its next intent if there is room for every
    /// verdict that they may bring. Real time.
    pub fn gather(
        &mut self,
        shared: &Shared,
        now_ns: u64,
        reserved: usize,
        inputs: &mut Inputs,
        notes: &mut Notes,
    ) {
        inputs.claim = None;
        let alive = shared.link_alive.load(Ordering::Acquire);
        if self.end.as_ref().is_some_and(|end| end.generation() != alive) {
            // What it pressed last still counts in this tick; a newcomer is for the next one.
            self.retire(notes);
        } else if self.end.is_none()
            && let Ok(end) = self.arriving.pop()
        {
            (self.beat, self.beat_ns) = (end.heartbeat(), now_ns);
            self.end = Some(end);
        }
        let Some(end) = &mut self.end else {
            inputs.link = Link { connected: false, ..self.last };
            return;
        };
        let beat = end.heartbeat();
        if beat != self.beat {
            (self.beat, self.beat_ns) = (beat, now_ns);
        }
        self.last = Link {
            connected: true,
            generation: end.generation(),
            heartbeat_age_ns: now_ns.saturating_sub(self.beat_ns),
            stops: end.stops(),
            estops: end.estops(),
        };
        inputs.link = self.last;
        if end.verdict_slots_free() >= reserved.saturating_add(VERDICTS_OF_CLAIM) {
            inputs.claim = end.pop(self.axis_count);
        }
    }

    /// Hands the tick's verdicts to the planner. Their slots were reserved. Real time.
    pub fn answer(&mut self, outputs: &Outputs) {
        let Some(end) = &mut self.end else { return };
        for verdict in &outputs.verdicts {
            // Reserved before the claim was taken; a reader that moves its index about harms
            // only itself.
            let _ = end.push_verdict(verdict);
        }
    }

    /// Publishes the newest state, and a change of the mode as an event; returns whether a planner
    /// is there to see it. Real time.
    pub fn publish(&mut self, telemetry: &Telemetry) -> bool {
        let Some(end) = &mut self.end else { return false };
        end.publish(telemetry);
        if self.mode != telemetry.mode {
            self.mode = telemetry.mode;
            end.push_event(&Event {
                tick: telemetry.tick,
                time_ns: telemetry.published_ns,
                kind: EventKind::ModeChanged,
                mode: telemetry.mode,
                cause: telemetry.cause,
                detail: telemetry.cause_detail,
            });
        }
        true
    }

    /// The connection for the operator's status. Real time.
    pub fn snapshot(&self) -> Option<LinkSnapshot> {
        let end = self.end.as_ref()?;
        Some(LinkSnapshot {
            generation: end.generation(),
            returned: end.returned(),
            taken: end.taken(),
            queued: u64::from(end.queued()),
            submitted: end.submitted(),
        })
    }

    fn retire(&mut self, notes: &mut Notes) {
        let Some(end) = self.end.take() else { return };
        self.last.generation = end.generation();
        (self.last.stops, self.last.estops) = (end.stops(), end.estops());
        notes.leave(Note::LinkRetired {
            generation: end.generation(),
            submitted: end.submitted(),
            returned: end.returned(),
            taken: end.taken(),
        });
        // Housekeeping unmaps it. The ring has room for every page set that there is.
        let _ = self.leaving.push(end);
    }
}

/// What the other threads and the guardian have found.
pub struct Watchers {
    arriving: Consumer<HeartbeatWriter>,
    leaving: Producer<HeartbeatWriter>,
    page: Option<HeartbeatWriter>,
    guardian_beat: u64,
    guardian_beat_ns: u64,
    bus_count: usize,
    fence_answered_ns: Option<u64>,
    seen: Option<(Cause, u32)>,
    suspended_ns: u64,
    beat_max_ns: u64,
    kernel_reacts: bool,
}

impl Watchers {
    /// The guardian's heartbeat pages arrive from housekeeping by the one ring and go back by the
    /// other. `kernel_reacts` is false for `--disable-stop kernel`.
    pub fn new(
        arriving: Consumer<HeartbeatWriter>,
        leaving: Producer<HeartbeatWriter>,
        bus_count: usize,
        beat_max_ns: u64,
        kernel_reacts: bool,
    ) -> Self {
        Self {
            arriving,
            leaving,
            page: None,
            guardian_beat: 0,
            guardian_beat_ns: 0,
            bus_count,
            fence_answered_ns: None,
            seen: None,
            beat_max_ns,
            suspended_ns: clock::boot_offset_ns(),
            kernel_reacts,
        }
    }

    /// The findings of this tick. Real time.
    pub fn look(&mut self, shared: &Shared, fences: &Fences, now_ns: u64) -> Health {
        if let Ok(page) = self.arriving.pop()
            && let Some(old) = self.page.replace(page)
        {
            let _ = self.leaving.push(old);
        }
        let (fence, since_ns) = (fences.cause(), fences.since_ns());
        // A newer fence is not the one that a reset has answered.
        self.fence_answered_ns =
            self.fence_answered_ns.filter(|answered| since_ns == Some(*answered));
        let beat = fences.guardian_beat();
        if beat != self.guardian_beat {
            (self.guardian_beat, self.guardian_beat_ns) = (beat, now_ns);
        }
        let alive = self.page.is_some() && shared.guardian_alive.load(Ordering::Acquire);
        let boot_ns = clock::boot_offset_ns();
        if boot_ns.abs_diff(self.suspended_ns) > SUSPEND_MIN_NS {
            self.suspended_ns = boot_ns;
        }
        let fenced = fence.filter(|_| self.fence_answered_ns.is_none()).map(|cause| (cause, 0));
        let age = |word: &std::sync::atomic::AtomicU64| {
            now_ns.saturating_sub(word.load(Ordering::Acquire))
        };
        // With `--disable-stop kernel` what others have latched is not the kernel's to act on; the
        // bus threads fall silent all the same.
        self.seen = shared.latch.get();
        let latched = fenced.or(self.seen).filter(|_| self.kernel_reacts);
        let guardian_beat_age_ns =
            if alive { now_ns.saturating_sub(self.guardian_beat_ns) } else { u64::MAX };
        let beating = guardian_beat_age_ns <= self.beat_max_ns;
        Health {
            latched,
            interlocks: self.interlocks(shared, fences, beating, fence.is_some()),
            guardian_beat_age_ns,
            deadline_beat_age_ns: age(&shared.deadline_beat_ns),
            housekeeping_beat_age_ns: age(&shared.housekeeping_beat_ns),
            suspended_ns: self.suspended_ns,
            real_time_lost: shared.real_time_missing.load(Ordering::Acquire),
        }
    }

    /// An operator's reset was taken: what was seen in this tick is answered. A fence that is up is
    /// asked down and latches nothing anew; as an interlock it counts until it is down. A cause
    /// raised since the look stays. Real time.
    pub fn reset(&mut self, shared: &Shared, fences: &Fences) {
        if let Some(seen) = self.seen {
            shared.latch.clear(seen);
        }
        self.fence_answered_ns = fences.since_ns();
        // Release pairs with housekeeping's Acquire, which asks until the fence is down.
        shared.fence_answered_ns.store(self.fence_answered_ns.unwrap_or(0), Ordering::Release);
    }

    /// This process' beat for the guardian. Real time.
    pub fn beat(&mut self, tick: u64, now_ns: u64, mode: Mode, energised: bool) {
        if let Some(page) = &mut self.page {
            page.beat(tick, now_ns, code_of(mode).0, energised);
        }
    }

    fn interlocks(&self, shared: &Shared, fences: &Fences, beating: bool, fenced: bool) -> u32 {
        let active = |bus| shared.bus_state(bus) == hal::bus::ControllerState::ErrorActive;
        let open = |bit: u32, open: bool| if open { bit } else { 0 };
        open(Interlocks::GUARDIAN, !beating)
            | open(Interlocks::FENCE, fenced)
            | open(Interlocks::GUARDIAN_SOCKET, !beating || !fences.guardian_socket_proved())
            | open(
                Interlocks::DEADLINE_SOCKET,
                !shared.deadline_socket_proved.load(Ordering::Acquire),
            )
            | open(Interlocks::REAL_TIME, shared.real_time_missing.load(Ordering::Acquire))
            | open(Interlocks::CERTIFICATE, shared.certificate_missing.load(Ordering::Acquire))
            | open(
                Interlocks::GUARDIAN_CONFIGURATION,
                shared.guardian_differs.load(Ordering::Acquire),
            )
            | open(Interlocks::BUS, !(0..self.bus_count).all(active))
    }
}
