use super::*;
use crate::records::*;
use proptest::prelude::*;

/// Filled words, none zero, so that a field that is left out shows.
fn filled<const N: usize>(seed: u64) -> [u64; N] {
    std::array::from_fn(|index| {
        (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed)
    })
}

#[test]
fn an_intent_is_read_back_with_every_field() {
    let axes = std::array::from_fn(|axis| AxisRequest {
        position_rad: axis as f64 + 0.5,
        velocity_end_rad_s: axis as f32 + 0.25,
        velocity_peak_rad_s: axis as f32 + 1.0,
        acceleration_peak_rad_s2: axis as f32 + 2.0,
        jerk_peak_rad_s3: axis as f32 + 3.0,
        effort_max_nm: axis as f32 + 4.0,
    });
    let kinds = [IntentKind::MoveJoints, IntentKind::Hold, IntentKind::Stop, IntentKind::EStop];
    for kind in kinds.into_iter().chain([IntentKind::Unknown(0), IntentKind::Unknown(200)]) {
        let sent = Intent {
            number: u64::MAX - 1,
            version: 0xfedc,
            kind,
            agent: 0xabcd,
            epoch: 0x8000_0001,
            issued_ns: 3,
            lease_until_ns: 4,
            trace: TraceId(std::array::from_fn(|byte| byte as u8 + 1)),
            axes_mask: 0xf000_000f,
            axes,
        };
        let mut words = [0; intent::WORDS];
        intent::put(&sent, &mut words);
        assert_eq!(intent::take(&words), sent);
        for count in [0, 1, 6, AXES_MAX, usize::MAX] {
            let mut of_first = sent;
            of_first.axes.iter_mut().skip(count).for_each(|axis| *axis = AxisRequest::default());
            assert_eq!(intent::take_first(&words, count), of_first);
        }
    }
}

#[test]
fn nan_and_infinity_cross_as_they_are_for_the_gate_to_refuse() {
    let mut words = [0; intent::WORDS];
    words[7] = f64::NAN.to_bits();
    words[8] = f64::INFINITY.to_bits();
    let read = intent::take(&words);
    assert!(read.axes[0].position_rad.is_nan() && read.axes[1].position_rad.is_infinite());
}

#[test]
fn a_verdict_is_read_back_for_every_kind_rule_and_cause() {
    for (rule, cause) in verdict::RULES.iter().cycle().zip(Cause::ALL) {
        for kind in [VerdictKind::Accepted, VerdictKind::Refused, VerdictKind::Aborted] {
            let sent = Verdict {
                number: 7,
                trace: TraceId([9; 16]),
                kind,
                rule: *rule,
                axis: AXIS_NONE,
                cause,
                epoch: 5,
                tick: 6,
                decided_ns: 8,
                value: -1.5,
                limit: 1.25,
                nearest: 1e300,
            };
            let mut words = [0; verdict::WORDS];
            verdict::put(&sent, &mut words);
            assert_eq!(verdict::take(&words), Some(sent));
        }
    }
}

#[test]
fn every_rule_stands_at_its_number() {
    for (number, rule) in verdict::RULES.into_iter().enumerate() {
        assert_eq!(rule as usize, number);
    }
    for (number, kind) in (1..).zip(EventKind::ALL) {
        assert_eq!(kind as usize, number);
    }
    for (number, cause) in Cause::ALL.into_iter().enumerate() {
        assert_eq!(cause as usize, number);
    }
}

#[test]
fn telemetry_and_description_are_read_back_with_every_field() {
    let mut words = filled::<{ telemetry::WORDS }>(1);
    words[2] = 2 | 6 << 8 | 1 << 16 | 12 << 32;
    let first = telemetry::take(&words);
    assert_eq!(
        (first.mode, first.axis_count, first.cause),
        (ModeCode::Armed, 6, Cause::NotStoppable)
    );
    let mut again = [0; telemetry::WORDS];
    telemetry::put(&first, &mut again);
    assert_eq!(telemetry::take(&again), first);

    let mut words = filled::<{ description::WORDS }>(2);
    words[6] = 50 | 6 << 32;
    let first = description::take(&words);
    let mut again = [0; description::WORDS];
    description::put(&first, &mut again);
    assert_eq!(again, words);
}

#[test]
fn an_event_is_read_back() {
    for kind in EventKind::ALL {
        let sent = Event {
            tick: 1,
            time_ns: 2,
            kind,
            mode: ModeCode::Stopping,
            cause: Cause::DriveLost,
            detail: u32::MAX,
        };
        let mut words = [0; event::WORDS];
        event::put(&sent, &mut words);
        assert_eq!(event::take(&words), Some(sent));
    }
}

#[test]
fn what_is_not_known_is_never_taken_for_a_permission() {
    let mut words = [0; telemetry::WORDS];
    words[2] = 77 | 255 << 8;
    let read = telemetry::take(&words);
    assert_eq!((read.mode, usize::from(read.axis_count)), (ModeCode::Halted, AXES_MAX));
    assert_eq!(verdict::take(&[0; verdict::WORDS]), None);
    assert_eq!(event::take(&[0; event::WORDS]), None);
}

proptest! {
    #[test]
    fn decoding_is_total(seed: u64, words in prop::collection::vec(any::<u64>(), 16)) {
        let mut intents = filled::<{ intent::WORDS }>(seed);
        intents[..16].copy_from_slice(&words);
        let read = intent::take(&intents);
        let mut again = [0; intent::WORDS];
        intent::put(&read, &mut again);
        // All but the bits that carry nothing come back, NaNs included.
        intents[1] &= 0x0000_ffff_00ff_ffff;
        prop_assert_eq!(again, intents);
        let _ = verdict::take(&std::array::from_fn(|index| words[index]));
        let _ = event::take(&std::array::from_fn(|index| words[index]));
        let _ = telemetry::take(&filled(seed));
        let _ = description::take(&filled(seed));
    }
}
