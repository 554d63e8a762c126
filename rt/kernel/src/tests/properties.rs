//! What always holds, whatever planners and operators do.

use proptest::prelude::*;
use shm_protocol::records::{Claim, Intent, IntentKind, VerdictKind};

use super::{connect, intent};
use crate::config::{Config, Excess};
use crate::fixture::{Machine, config};
use crate::io::{AxisCommand, Goal, OperatorAction, OperatorCommand, Outputs};
use crate::mode::Mode;

/// What happens in a tick beside time passing.
#[derive(Clone, Debug)]
enum Deed {
    Move { mask: u32, position: f64, end: f32, peak: f32, acceleration: f32, jerk: f32, ms: u64 },
    Hostile(Hostile),
    Stop(IntentKind),
    Hold,
    Ask(OperatorAction),
    Word,
    Reconnect,
    Recover,
}

#[derive(Clone, Copy, Debug)]
enum Hostile {
    NotANumber,
    Infinite,
    OldEpoch,
    Repeated,
    LeaseOver,
    Corrupted,
    FarTarget,
    TooFast,
    NoAxis,
    StrangeAxis,
    Future,
    Unknown,
    Tiny,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    use Hostile::*;
    prop::sample::select(vec![
        NotANumber,
        Infinite,
        OldEpoch,
        Repeated,
        LeaseOver,
        Corrupted,
        FarTarget,
        TooFast,
        NoAxis,
        StrangeAxis,
        Future,
        Unknown,
        Tiny,
    ])
}

fn deed() -> impl Strategy<Value = Deed> {
    let to_move = (
        1..8_u32,
        -2.2..2.2f64,
        prop_oneof![3 => Just(0.0f32), 1 => -0.5..0.5f32],
        prop_oneof![Just(0.0f32), 0.6..2.0f32],
        prop_oneof![Just(0.0f32), 1.0..8.0f32],
        prop_oneof![Just(0.0f32), 10.0..80.0f32],
        50..6000_u64,
    );
    let to_move = to_move.prop_map(|(mask, position, end, peak, acceleration, jerk, ms)| {
        Deed::Move { mask, position, end, peak, acceleration, jerk, ms }
    });
    use OperatorAction::*;
    let asked = prop::sample::select(vec![Disarm, Stop, Estop, Reset, Home, Resume, Arm]);
    let stops = prop::sample::select(vec![IntentKind::Stop, IntentKind::EStop]);
    prop_oneof![
        24 => to_move,
        6 => hostile().prop_map(Deed::Hostile),
        1 => stops.prop_map(Deed::Stop),
        2 => Just(Deed::Hold),
        2 => asked.prop_map(Deed::Ask),
        1 => Just(Deed::Word),
        1 => Just(Deed::Reconnect),
        4 => Just(Deed::Recover),
    ]
}

fn script() -> impl Strategy<Value = Vec<(Deed, usize)>> {
    prop::collection::vec((deed(), prop_oneof![0..3_usize, 1..400_usize]), 1..40)
}

fn spoiled(mut intent: Intent, how: Hostile) -> Claim {
    let mut intact = true;
    match how {
        Hostile::NotANumber => intent.axes[0].position_rad = f64::NAN,
        Hostile::Infinite => intent.axes[0].velocity_peak_rad_s = f32::INFINITY,
        Hostile::OldEpoch => intent.epoch = intent.epoch.wrapping_sub(1),
        Hostile::Repeated => intent.number = 1,
        Hostile::LeaseOver => intent.lease_until_ns = intent.issued_ns,
        Hostile::Corrupted => intact = false,
        Hostile::FarTarget => intent.axes[0].position_rad = 1e300,
        Hostile::TooFast => intent.axes[0].velocity_peak_rad_s = 1e30,
        Hostile::NoAxis => intent.axes_mask = 0,
        Hostile::StrangeAxis => intent.axes_mask = u32::MAX,
        Hostile::Future => intent.issued_ns = u64::MAX,
        Hostile::Unknown => intent.kind = IntentKind::Unknown(200),
        Hostile::Tiny => intent.axes[0].jerk_peak_rad_s3 = f32::MIN_POSITIVE,
    }
    Claim { intent, intact }
}

fn perform(machine: &mut Machine, deed: &Deed, number: u64) {
    let good = intent(machine, number, 0b111, 0.4);
    let mut claimed = |intent, intact| machine.inputs.claim = Some(Claim { intent, intact });
    match *deed {
        Deed::Move { mask, position, end, peak, acceleration, jerk, ms } => {
            let mut to = Intent { axes_mask: mask, ..good };
            for (index, request) in to.axes.iter_mut().enumerate() {
                request.position_rad = position * (1.0 - 0.3 * index as f64);
                request.velocity_end_rad_s = end;
                request.velocity_peak_rad_s = peak;
                request.acceleration_peak_rad_s2 = acceleration;
                request.jerk_peak_rad_s3 = jerk;
            }
            to.lease_until_ns = to.issued_ns + ms * 1_000_000;
            claimed(to, true);
        }
        Deed::Hostile(how) => {
            let Claim { intent, intact } = spoiled(good, how);
            claimed(intent, intact);
        }
        Deed::Stop(kind) => claimed(Intent { kind, ..good }, true),
        Deed::Hold => claimed(Intent { kind: IntentKind::Hold, ..good }, true),
        Deed::Word => machine.inputs.link.stops += 1,
        Deed::Reconnect => connect(machine),
        Deed::Ask(_) | Deed::Recover => {}
    }
}

/// The edges that a deed asks of the operator, each with ticks to wait after it.
fn edges(deed: &Deed) -> Vec<(Option<OperatorAction>, usize)> {
    use OperatorAction::*;
    match *deed {
        Deed::Ask(action) => vec![(Some(action), 0)],
        Deed::Recover => vec![(None, 400), (Some(Reset), 0), (Some(Resume), 0), (Some(Arm), 3)],
        _ => vec![(None, 0)],
    }
}

/// Watches every tick of a run.
struct Watcher {
    config: Config,
    before: Option<Vec<AxisCommand>>,
    admissions: u64,
    finals: u64,
}

impl Watcher {
    fn new(config: &Config) -> Watcher {
        Watcher { config: config.clone(), before: None, admissions: 0, finals: 0 }
    }

    fn look(&mut self, machine: &Machine) -> Result<(), TestCaseError> {
        let outputs = &machine.outputs;
        self.sums(outputs)?;
        self.limits(outputs)
    }

    fn sums(&mut self, outputs: &Outputs) -> Result<(), TestCaseError> {
        for verdict in &outputs.verdicts {
            match verdict.kind {
                VerdictKind::Accepted | VerdictKind::Clamped => self.admissions += 1,
                VerdictKind::Refused => {}
                _ => self.finals += 1,
            }
            let numbers = [verdict.value, verdict.limit, verdict.nearest];
            prop_assert!(numbers.iter().all(|number| !number.is_nan()));
        }
        let c = &outputs.counters;
        prop_assert_eq!(
            c.accepted + c.clamped,
            c.preempted + c.completed + c.expired + c.aborted + c.active
        );
        prop_assert!(c.active <= 1);
        prop_assert_eq!(c.accepted + c.clamped, self.admissions);
        prop_assert_eq!(self.admissions - c.active, self.finals);
        Ok(())
    }

    fn limits(&mut self, outputs: &Outputs) -> Result<(), TestCaseError> {
        let period = self.config.budgets.period_ns as f64 * 1e-9;
        let moving = matches!(outputs.mode, Mode::Armed | Mode::Stopping { .. });
        for (index, (axis, now)) in self.config.axes.iter().zip(&outputs.axes).enumerate() {
            let limits = &axis.limits;
            prop_assert!(now.position_rad <= limits.position_max_rad);
            prop_assert!(now.position_rad >= limits.position_min_rad);
            prop_assert!(now.velocity_rad_s.abs() <= limits.velocity_max_rad_s);
            prop_assert!(now.acceleration_rad_s2.abs() <= limits.acceleration_max_rad_s2);
            if !moving {
                prop_assert!(now.goal != Goal::Enabled || now.velocity_rad_s == 0.0);
                continue;
            }
            let Some(before) = self.before.as_ref().map(|before| before[index]) else { continue };
            // Rounding of a difference quotient, not of the limit.
            let jerk = (now.acceleration_rad_s2 - before.acceleration_rad_s2) / period;
            prop_assert!(jerk.abs() <= limits.jerk_max_rad_s3 * (1.0 + 1e-8), "{jerk}");
            let acceleration = (now.velocity_rad_s - before.velocity_rad_s) / period;
            prop_assert!(acceleration.abs() <= limits.acceleration_max_rad_s2 * (1.0 + 1e-8));
            let velocity = (now.position_rad - before.position_rad) / period;
            prop_assert!(velocity.abs() <= limits.velocity_max_rad_s * (1.0 + 1e-5), "{velocity}");
            // Velocity and position belong together: no jump that the velocity does not tell of.
            let mean = (now.velocity_rad_s + before.velocity_rad_s) / 2.0;
            let bend = limits.acceleration_max_rad_s2 * period;
            prop_assert!((velocity - mean).abs() <= bend, "{velocity} {mean}");
        }
        self.before = moving.then(|| outputs.axes.to_vec());
        Ok(())
    }
}

fn run(config: Config, script: &[(Deed, usize)]) -> Result<Vec<Outputs>, TestCaseError> {
    let mut machine = Machine::armed(config);
    connect(&mut machine);
    let mut watcher = Watcher::new(&machine.config);
    let mut all = Vec::new();
    for (number, (deed, ticks)) in script.iter().enumerate() {
        perform(&mut machine, deed, number as u64 + 2);
        for (edge, wait) in edges(deed).into_iter().chain([(None, *ticks)]) {
            machine.inputs.operator = edge.map(|action| OperatorCommand { id: 1, action });
            for _ in 0..=wait {
                machine.tick();
                watcher.look(&machine)?;
                all.push(machine.outputs.clone());
            }
        }
    }
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_setpoint_passes_a_limit_and_the_sums_hold_whatever_is_asked(script in script()) {
        run(config(3), &script)?;
    }

    #[test]
    fn the_same_holds_where_the_gate_clamps(script in script()) {
        let mut config = config(3);
        let clamp = Excess::Clamp;
        let gate = &mut config.gate;
        (gate.position, gate.velocity, gate.acceleration) = (clamp, clamp, clamp);
        (gate.jerk, gate.effort, gate.stoppable) = (clamp, clamp, clamp);
        run(config, &script)?;
    }

    #[test]
    fn the_same_inputs_give_the_same_bits(script in script()) {
        let (first, second) = (run(config(3), &script)?, run(config(3), &script)?);
        // Written out in full: each float is printed so that it names its bits.
        for (first, second) in first.iter().zip(&second) {
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        }
    }

    #[test]
    fn an_accepted_move_ends_exactly_at_its_target(
        first in -2.0..2.0f64, second in -2.0..2.0f64, third in -2.0..2.0f64, cut in 1..1500_usize,
    ) {
        let mut machine = Machine::armed(config(1));
        for (number, (target, ticks)) in
            [(first, cut), (second, cut / 2), (third, 6_000)].into_iter().enumerate()
        {
            let to = intent(&machine, number as u64 + 1, 1, target);
            super::claim(&mut machine, to);
            machine.ticks(ticks);
        }
        let counters = machine.outputs.counters;
        if counters.refused == 0 {
            prop_assert_eq!(machine.outputs.axes[0].position_rad, third);
            prop_assert_eq!(counters.active, 0);
        }
    }
}

/// The bits of every setpoint of one fixed run, folded (FNV-1a).
fn fingerprint() -> u64 {
    let mut machine = Machine::armed(config(3));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (number, target) in [1.3, -0.7, 0.2, 1.9].into_iter().enumerate() {
        let mut to = intent(&machine, number as u64 + 1, 0b111, target);
        to.axes[1].position_rad = target / 3.0;
        to.axes[1].velocity_end_rad_s = 0.1;
        to.axes[2].velocity_peak_rad_s = 0.7;
        super::claim(&mut machine, to);
        for _ in 0..700 {
            for axis in &machine.tick().axes {
                let numbers = [axis.position_rad, axis.velocity_rad_s, axis.acceleration_rad_s2];
                for number in numbers {
                    hash = (hash ^ number.to_bits()).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
    }
    hash
}

#[test]
fn every_processor_and_every_build_gives_these_bits() {
    // Changes only when the planner is changed on purpose; recorded runs then no longer replay.
    assert_eq!(fingerprint(), 9_541_133_872_606_141_928);
}
