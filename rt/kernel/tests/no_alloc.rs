//! A tick allocates nothing: not under way, not when it re-plans, refuses, stops or halts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mechos_kernel::config::*;
use mechos_kernel::io::{AxisFeedback, AxisState, Goal, OperatorAction, OperatorCommand};
use mechos_kernel::{Begin, Inputs, Kernel, Mode, Outputs};
use shm_protocol::records::{
    AXES_MAX, AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, TraceId,
};

static WATCHING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

struct Counting;

fn count() {
    // Relaxed: the test is one thread.
    if WATCHING.load(Ordering::Relaxed) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn config() -> Config {
    let limits = AxisLimits {
        position_min_rad: -2.9,
        position_max_rad: 2.9,
        velocity_max_rad_s: 2.0,
        acceleration_max_rad_s2: 8.0,
        jerk_max_rad_s3: 80.0,
        effort_max_nm: 60.0,
        following_error_max_rad: 0.2,
        quick_stop_deceleration_rad_s2: 30.0,
    };
    let (refuse, halt, ms) = (Excess::Refuse, Reaction::Halt, 1_000_000);
    Config {
        axes: (0..6).map(|_| AxisConfig { limits, home_rad: 0.0 }).collect(),
        budgets: Budgets {
            period_ns: ms,
            reaction_max_ns: 200 * ms,
            feedback_age_max_ns: 60 * ms,
            cognition_heartbeat_ns: 250 * ms,
            watcher_beat_ns: 100 * ms,
            housekeeping_beat_ns: 3_000 * ms,
            arming_ns: 2_000 * ms,
            stopping_ns: 2_000 * ms,
        },
        gate: GateConfig {
            position: refuse,
            velocity: refuse,
            acceleration: refuse,
            jerk: refuse,
            effort: refuse,
            stoppable: refuse,
            intents_per_second_max: 1000,
            intent_age_max_ns: 500 * ms,
            lease_max_ns: 10_000 * ms,
            agents_mask: 1,
        },
        reactions: Reactions {
            cognition_lost: halt,
            deadline_missed: halt,
            process_lost: halt,
            feedback_stale: halt,
            drive_fault: halt,
            limit_passed: halt,
            real_time_lost: halt,
        },
        standstill_rad_s: 0.01,
        reacts: true,
    }
}

#[test]
fn a_tick_allocates_nothing() {
    let config = config();
    let mut kernel = Kernel::new(&config, Begin::Disarmed);
    let mut outputs = Outputs::new(&config);
    let ready = AxisFeedback {
        state: AxisState::Ready,
        homed: true,
        alive: true,
        ..AxisFeedback::default()
    };
    let mut inputs =
        Inputs { axes: config.axes.iter().map(|_| ready).collect(), ..Inputs::default() };
    WATCHING.store(true, Ordering::Relaxed);
    let mut was_armed = false;
    for tick in 1..6_000_u64 {
        inputs.tick = tick;
        inputs.now_ns = tick * 1_000_000;
        inputs.claim = None;
        inputs.operator = match tick {
            10 => Some(OperatorAction::Arm),
            5_000 => Some(OperatorAction::Home),
            5_300 => Some(OperatorAction::Stop),
            5_900 => Some(OperatorAction::Estop),
            _ => None,
        }
        .map(|action| OperatorCommand { id: tick, action });
        if tick % 400 == 0 {
            let position_rad = [1.5, -1.5, 2.8, f64::NAN][(tick / 400) as usize % 4];
            let request = AxisRequest { position_rad, ..AxisRequest::default() };
            let intent = Intent {
                number: tick,
                version: INTENT_VERSION,
                kind: IntentKind::MoveJoints,
                agent: 0,
                epoch: kernel.epoch(),
                issued_ns: inputs.now_ns,
                lease_until_ns: inputs.now_ns + 300_000_000,
                trace: TraceId::default(),
                axes_mask: 0b11_1111,
                axes: [request; AXES_MAX],
            };
            inputs.claim = Some(Claim { intent, intact: true });
        }
        kernel.tick(&config, &inputs, &mut outputs);
        was_armed |= outputs.mode == Mode::Armed;
        for (axis, command) in inputs.axes.iter_mut().zip(&outputs.axes) {
            axis.position_rad = command.position_rad;
            axis.velocity_rad_s = command.velocity_rad_s;
            axis.state = match command.goal {
                Goal::Enabled => AxisState::Enabled,
                Goal::Off | Goal::Halt => AxisState::Ready,
            };
        }
    }
    WATCHING.store(false, Ordering::Relaxed);
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
    let counters = outputs.counters;
    assert!(was_armed && counters.accepted > 0 && counters.refused > 0 && counters.expired > 0);
    println!("the kernel's state is {} bytes", size_of::<Kernel>());
}
