//! Inputs that no healthy machine gives: whatever they are, the outputs are sound.

use proptest::prelude::*;
use shm_protocol::records::{
    AXES_MAX, AxisRequest, Cause, Claim, INTENT_VERSION, Intent, IntentKind, TraceId,
};

use crate::fixture::{Machine, config};
use crate::io::*;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0..3.0f64,
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE]),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..100_000_000_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn axis() -> impl Strategy<Value = AxisFeedback> {
    use AxisState::*;
    let states =
        vec![Offline, Configuring, Ready, Enabling, Enabled, QuickStop, Fault, Misconfigured];
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.9));
    (prop::sample::select(states), number(), number(), number(), time(), flags).prop_map(
        |(state, position_rad, velocity_rad_s, effort_nm, age_ns, (homed, alive))| AxisFeedback {
            state,
            position_rad,
            velocity_rad_s,
            effort_nm,
            age_ns,
            homed,
            alive,
            fault_code: 0,
        },
    )
}

fn claim() -> impl Strategy<Value = (Claim, bool)> {
    let kinds = prop_oneof![
        6 => Just(IntentKind::MoveJoints),
        1 => Just(IntentKind::Hold),
        1 => Just(IntentKind::Stop),
        1 => any::<u8>().prop_map(IntentKind::Unknown),
    ];
    let numbers = prop::array::uniform5(number());
    // Whether its numbers are then made to fit, so that the rules on values are reached.
    (kinds, number(), numbers, any::<u32>(), time(), any::<bool>(), prop::bool::weighted(0.8))
        .prop_map(|(kind, position_rad, [e, v, a, j, f], axes_mask, until, intact, fits)| {
            let request = AxisRequest {
                position_rad,
                velocity_end_rad_s: e as f32,
                velocity_peak_rad_s: v as f32,
                acceleration_peak_rad_s2: a as f32,
                jerk_peak_rad_s3: j as f32,
                effort_max_nm: f as f32,
            };
            let intent = Intent {
                number: until,
                version: INTENT_VERSION,
                kind,
                agent: 0,
                epoch: 0,
                issued_ns: until,
                lease_until_ns: until,
                trace: TraceId::default(),
                axes_mask,
                axes: [request; AXES_MAX],
            };
            (Claim { intent, intact: intact || fits }, fits)
        })
}

fn action() -> impl Strategy<Value = Option<OperatorAction>> {
    use OperatorAction::*;
    let all = vec![Arm, Arm, Arm, Disarm, Stop, Estop, Reset, Reset, Home, Resume];
    prop::option::weighted(0.2, prop::sample::select(all))
}

#[derive(Clone, Debug)]
struct Moment {
    axes: Option<Vec<AxisFeedback>>,
    claim: Option<(Claim, bool)>,
    action: Option<OperatorAction>,
    link: Option<Link>,
    health: Option<Health>,
    passed_ns: Option<u64>,
    calm: usize,
}

fn moment() -> impl Strategy<Value = Moment> {
    let link = (any::<bool>(), 0..4_u32, time(), 0..3_u64, 0..3_u64).prop_map(
        |(connected, generation, heartbeat_age_ns, stops, estops)| Link {
            connected,
            generation,
            heartbeat_age_ns,
            stops,
            estops,
        },
    );
    let latched = prop::option::weighted(0.3, Just((Cause::BusFault, 1)));
    let health = (latched, time(), time(), time(), time(), any::<bool>()).prop_map(
        |(latched, g, d, h, s, real_time_lost)| Health {
            latched,
            interlocks: 0,
            guardian_beat_age_ns: g,
            deadline_beat_age_ns: d,
            housekeeping_beat_age_ns: h,
            suspended_ns: s,
            real_time_lost,
        },
    );
    (
        prop::option::weighted(0.1, prop::collection::vec(axis(), 0..4)),
        prop::option::weighted(0.8, claim()),
        action(),
        prop::option::weighted(0.1, link),
        prop::option::weighted(0.1, health),
        prop::option::weighted(0.1, time()),
        0..120_usize,
    )
        .prop_map(|(axes, claim, action, link, health, passed_ns, calm)| Moment {
            axes,
            claim,
            action,
            link,
            health,
            passed_ns,
            calm,
        })
}

fn sound(machine: &Machine) -> Result<(), TestCaseError> {
    let outputs = &machine.outputs;
    prop_assert_eq!(outputs.axes.len(), machine.config.axes.len());
    let energised = outputs.mode.is_energised();
    for axis in &outputs.axes {
        prop_assert!(axis.position_rad.is_finite());
        prop_assert!(axis.velocity_rad_s.is_finite() && axis.acceleration_rad_s2.is_finite());
        prop_assert_eq!(axis.goal == Goal::Enabled, energised);
    }
    prop_assert!(outputs.energised || !energised);
    let c = &outputs.counters;
    let ended = c.preempted + c.completed + c.expired + c.aborted;
    prop_assert_eq!(c.accepted + c.clamped, ended + c.active);
    prop_assert_eq!(outputs.verdicts_reserved as u64, c.active);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_comes_in_what_goes_out_is_sound(
        moments in prop::collection::vec(moment(), 1..30),
    ) {
        let mut machine = Machine::armed(config(3));
        let mut number = 1;
        for moment in moments {
            let healthy = machine.inputs.clone();
            if let Some(axes) = moment.axes {
                machine.inputs.axes = axes.into_iter().collect();
            }
            machine.inputs.link = moment.link.unwrap_or(machine.inputs.link);
            machine.inputs.health = moment.health.unwrap_or(machine.inputs.health);
            if let Some(passed_ns) = moment.passed_ns {
                let room = u64::MAX / 2;
                let later = machine.inputs.now_ns.saturating_add(passed_ns).min(room);
                machine.inputs.now_ns = later;
            }
            if let Some((mut claim, fits)) = moment.claim {
                let intent = &mut claim.intent;
                if fits {
                    number += 1;
                    intent.number = number;
                    intent.epoch = machine.kernel.epoch();
                    intent.issued_ns = machine.inputs.now_ns;
                    intent.lease_until_ns = machine.inputs.now_ns.saturating_add(2_000_000_000);
                    intent.axes_mask = intent.axes_mask % 7 + 1;
                }
                machine.inputs.claim = Some(claim);
            }
            machine.inputs.operator = moment.action.map(|action| OperatorCommand { id: 9, action });
            let taken = u64::from(machine.inputs.claim.is_some());
            let asked = machine.inputs.operator.is_some();
            let before = machine.outputs.counters;
            machine.tick();
            let after = machine.outputs.counters;
            // The claim had its admission in the very tick that took it.
            let judged = |c: &shm_protocol::records::IntentCounters| c.accepted + c.clamped + c.refused;
            prop_assert_eq!(judged(&after) - judged(&before), taken);
            prop_assert_eq!(machine.outputs.answer.is_some(), asked);
            sound(&machine)?;
            // What was strange passes; time and what is latched stay.
            machine.inputs.axes = healthy.axes;
            machine.inputs.health = Health {
                suspended_ns: machine.inputs.health.suspended_ns,
                ..Health::default()
            };
            machine.inputs.link.heartbeat_age_ns = 0;
            for _ in 0..moment.calm {
                machine.tick();
                sound(&machine)?;
            }
        }
    }
}
