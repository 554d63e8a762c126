//! The words that the daemon's threads share: plain atomics, fixed at start, no lock.
//!
//! Every word has one writer, named beside it, but the latch (any thread raises, the control
//! thread clears) and the injections (housekeeping arms them, the target takes them).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use hal::bus::ControllerState;

use crate::inject::Injections;
use crate::latch::Latch;
use crate::miss_table::MissTable;

/// Buses that one robot may have.
pub const BUSES_MAX: usize = 8;

/// How far each thread has come. A tick's outputs are complete when the control thread and every
/// bus thread have passed it.
#[derive(Debug, Default)]
pub struct TickBoard {
    /// First tick that the control thread has not completed. Writer: control.
    pub control: AtomicU64,
    /// First tick whose frames the bus thread has not handed out. Writer: that bus thread.
    pub buses: [AtomicU64; BUSES_MAX],
}

/// Which stop paths `--disable-stop` switched off. Only ever set on simulated buses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopsDisabled {
    /// The kernel does not react to faults.
    pub kernel: bool,
    /// The deadline thread does not stop.
    pub deadline: bool,
    /// The guardian does not stop.
    pub guardian: bool,
    /// The drives' watchdogs are left off.
    pub watchdog: bool,
    /// The hardware registry does not stop on drop.
    pub drop: bool,
}

impl StopsDisabled {
    /// The names of the paths that are switched off.
    pub fn names(&self) -> Vec<String> {
        [
            (self.kernel, "kernel"),
            (self.deadline, "deadline"),
            (self.guardian, "guardian"),
            (self.watchdog, "watchdog"),
            (self.drop, "drop"),
        ]
        .into_iter()
        .filter(|(off, _)| *off)
        .map(|(_, name)| name.to_owned())
        .collect()
    }
}

/// Everything the threads share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The latched cause.
    pub latch: Latch,
    /// Progress of the ticks.
    pub ticks: TickBoard,
    /// Nominal start of tick 0, CLOCK_MONOTONIC ns; 0 until the control thread has begun. Writer:
    /// control.
    pub schedule_start_ns: AtomicU64,
    /// Any axis is or may be powered. Writer: control.
    pub energised: AtomicBool,
    /// The kernel executes setpoints or is about to: Arming, Armed or Stopping. Nothing is opened,
    /// mapped or unmapped meanwhile. Writer: control.
    pub armed: AtomicBool,
    /// The mode is Disarmed. False until the first tick. Writer: control.
    pub disarmed: AtomicBool,
    /// When the deadline thread last looked, ns. Writer: deadline.
    pub deadline_beat_ns: AtomicU64,
    /// When each bus thread last looked, ns. Writer: that bus thread.
    pub bus_beat_ns: [AtomicU64; BUSES_MAX],
    /// When housekeeping last looked, ns. Writer: housekeeping.
    pub housekeeping_beat_ns: AtomicU64,
    /// The deadline thread's stop sockets were proved by a frame and its echo. Writer: deadline.
    pub deadline_socket_proved: AtomicBool,
    /// Each bus' state. Writer: that bus thread.
    bus_states: [AtomicU8; BUSES_MAX],
    /// Setpoint frames whose sending failed, per bus. Writer: that bus thread.
    pub send_failures: [AtomicU64; BUSES_MAX],
    /// Misses by kind and cause. Writers: control and the bus threads, by addition.
    pub misses: MissTable,
    /// Generation of the living planner connection, 0: none. Writer: housekeeping.
    pub link_alive: AtomicU32,
    /// When the fence that an operator's reset has answered was latched, ns; 0: none. Writer:
    /// control.
    pub fence_answered_ns: AtomicU64,
    /// The guardian is connected and its process lives. Writer: housekeeping.
    pub guardian_alive: AtomicBool,
    /// The host did not grant what was asked for. Writer: housekeeping.
    pub real_time_missing: AtomicBool,
    /// A certificate is required, and none holds here. Writer: housekeeping.
    pub certificate_missing: AtomicBool,
    /// A certificate is required, and the guardian goes by another robot file. Writer:
    /// housekeeping.
    pub guardian_differs: AtomicBool,
    /// The process ends; every thread leaves its loop. Writer: main.
    pub leave: AtomicBool,
    /// Panics caught in real-time threads. Writers: the threads, by addition.
    pub panics: AtomicU32,
    /// A real-time thread panicked too often and stays away.
    pub gave_up: AtomicBool,
    /// Faults injected for demonstrations and tests.
    pub inject: Injections,
}

impl Shared {
    /// Publishes a bus' state. Real time, that bus' thread only.
    pub fn set_bus_state(&self, bus: usize, state: ControllerState) {
        if let Some(word) = self.bus_states.get(bus) {
            // 0 stays "never seen".
            word.store(state as u8 + 1, Ordering::Relaxed);
        }
    }

    /// The bus' state; `Down` until it was first seen. Real time, any thread.
    pub fn bus_state(&self, bus: usize) -> ControllerState {
        let number = self.bus_states.get(bus).map_or(0, |word| word.load(Ordering::Relaxed));
        [
            ControllerState::ErrorActive,
            ControllerState::ErrorWarning,
            ControllerState::ErrorPassive,
            ControllerState::BusOff,
        ]
        .into_iter()
        .find(|state| *state as u8 + 1 == number)
        .unwrap_or(ControllerState::Down)
    }
}

/// A counter's value. Any thread.
pub fn count(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}
