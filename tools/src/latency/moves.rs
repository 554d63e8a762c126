//! What the measuring planner asks for, and when: every axis a little way there and back, at times
//! that fall evenly over the tick.

use shm_protocol::records::{
    AXES_MAX, AxisDescription, AxisRequest, Description, INTENT_VERSION, Intent, IntentKind,
    Telemetry, TraceId,
};

/// Intents per second, where the robot's gate takes twice that.
const PER_SECOND: u64 = 20;
/// How far an axis goes to each side, rad (m), where its limits are not closer.
const WAY_RAD: f64 = 0.01;
/// The lease of one intent, ns, where the robot grants it.
const LEASE_NS: u64 = 1_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The moves.
#[derive(Clone, Debug)]
pub struct Moves {
    axes: Vec<AxisDescription>,
    centre_rad: Option<Vec<f64>>,
    period_ns: u64,
    every_ns: u64,
    lease_ns: u64,
    random: u64,
    beat_ns: u64,
    due_ns: u64,
    there: bool,
}

impl Moves {
    /// Moves for this machine, from now on.
    pub fn new(description: &Description, seed: u64, now_ns: u64) -> Moves {
        let gate = u64::from(description.intents_per_second_max / 2).max(1);
        let used = usize::from(description.axis_count).min(AXES_MAX);
        let mut moves = Moves {
            axes: description.axes.iter().take(used).copied().collect(),
            centre_rad: None,
            period_ns: description.period_ns.max(1),
            every_ns: SECOND_NS / PER_SECOND.min(gate),
            lease_ns: LEASE_NS.min(description.lease_max_ns),
            random: seed,
            beat_ns: now_ns,
            due_ns: now_ns,
            there: false,
        };
        moves.advance(now_ns);
        moves
    }

    /// When the next intent is to be written.
    pub fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// The next intent, written now.
    pub fn next(&mut self, newest: &Telemetry, number: u64, now_ns: u64) -> Intent {
        self.there = !self.there;
        let side = if self.there { 1.0 } else { -1.0 };
        let from = || newest.axes.iter().map(|axis| axis.setpoint_rad);
        let limits = self.axes.iter();
        let centre_rad = self
            .centre_rad
            .get_or_insert_with(|| from().zip(limits).map(|(at, axis)| centre(axis, at)).collect());
        let mut axes = [AxisRequest::default(); AXES_MAX];
        for ((request, axis), centre) in axes.iter_mut().zip(&self.axes).zip(centre_rad) {
            request.position_rad = *centre + side * way(axis);
        }
        let mask = (1_u64 << self.axes.len()) - 1;
        let mut trace = [0; 16];
        for (place, byte) in trace.iter_mut().zip(number.to_le_bytes()) {
            *place = byte;
        }
        self.advance(now_ns);
        Intent {
            number,
            version: INTENT_VERSION,
            kind: IntentKind::MoveJoints,
            agent: 0,
            epoch: newest.epoch,
            issued_ns: now_ns,
            lease_until_ns: now_ns + self.lease_ns,
            trace: TraceId(trace),
            axes_mask: u32::try_from(mask).unwrap_or(u32::MAX),
            axes,
        }
    }

    /// Chooses the next time: a beat, and a random share of one period.
    fn advance(&mut self, now_ns: u64) {
        self.beat_ns += self.every_ns;
        if self.beat_ns < now_ns {
            // Held up: what was left out is not made up for, the gate would refuse it.
            self.beat_ns = now_ns + self.every_ns;
        }
        self.due_ns = self.beat_ns + self.random() % self.period_ns;
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

fn way(axis: &AxisDescription) -> f64 {
    WAY_RAD.min((axis.position_max_rad - axis.position_min_rad) / 100.0)
}

/// Around where it stands, but clear of its limits.
fn centre(axis: &AxisDescription, at: f64) -> f64 {
    let room = 4.0 * way(axis);
    at.max(axis.position_min_rad + room).min(axis.position_max_rad - room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_protocol::records::{AxisTelemetry, Cause, IntentCounters, ModeCode};

    fn description() -> Description {
        let axis = AxisDescription {
            position_min_rad: -1.0,
            position_max_rad: 2.0,
            ..AxisDescription::default()
        };
        Description {
            name: [0; 24],
            period_ns: 1_000_000,
            lease_max_ns: 500_000_000,
            heartbeat_timeout_ns: 1,
            intents_per_second_max: 50,
            axis_count: 2,
            axes: [axis; AXES_MAX],
        }
    }

    fn telemetry(setpoints: [f64; 2]) -> Telemetry {
        let mut axes = [AxisTelemetry::default(); AXES_MAX];
        for (axis, setpoint) in axes.iter_mut().zip(setpoints) {
            axis.setpoint_rad = setpoint;
        }
        Telemetry {
            tick: 1,
            published_ns: 0,
            mode: ModeCode::Armed,
            cause: Cause::None,
            cause_detail: 0,
            epoch: 7,
            operator_has_control: false,
            active_intent: 0,
            counters: IntentCounters::default(),
            axis_count: 2,
            axes,
        }
    }

    #[test]
    fn an_intent_is_small_leased_and_of_this_epoch() {
        let mut moves = Moves::new(&description(), 1, 0);
        let intent = moves.next(&telemetry([0.5, 2.0]), 3, 1_000);
        assert_eq!((intent.axes_mask, intent.epoch, intent.number), (3, 7, 3));
        assert_eq!(intent.lease_until_ns, 500_001_000);
        assert!((intent.axes[0].position_rad - 0.51).abs() < 1e-9);
        // It stood at its limit: it moves clear of it.
        assert!(intent.axes[1].position_rad < 1.98);
        let back = moves.next(&telemetry([0.51, 1.97]), 4, 2_000);
        assert!((back.axes[0].position_rad - 0.49).abs() < 1e-9);
    }

    #[test]
    fn times_fall_evenly_over_the_tick_and_repeat_for_a_seed() {
        let times = |seed| {
            let mut moves = Moves::new(&description(), seed, 0);
            (0..4_000)
                .map(|number| {
                    let now = moves.due_ns();
                    moves.next(&telemetry([0.0; 2]), number, now);
                    now
                })
                .collect::<Vec<_>>()
        };
        let mut quarters = [0; 4];
        for time in times(5) {
            quarters[usize::try_from(time % 1_000_000 / 250_000).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|count| (850..1_150).contains(count)), "{quarters:?}");
        assert_eq!(times(5), times(5));
        assert_ne!(times(5), times(6));
    }

    #[test]
    fn the_gates_rate_is_never_reached_even_after_a_pause() {
        let mut moves = Moves::new(&description(), 1, 0);
        let mut last = 0;
        for number in 0..100 {
            let now = if number == 50 { last + 10_000_000_000 } else { moves.due_ns() };
            assert!(now - last > 20_000_000, "{number}: {now} after {last}");
            moves.next(&telemetry([0.0; 2]), number, now);
            last = now;
        }
    }
}
