//! The kernel as a whole, tick by tick.

mod faults;
mod hostile;
mod intents;
mod operator;
mod properties;

use shm_protocol::records::{
    AXES_MAX, AxisRequest, Claim, INTENT_VERSION, Intent, IntentKind, TraceId, Verdict, VerdictKind,
};

use crate::fixture::Machine;

/// A good intent for this machine now: the axes of the mask to `position_rad`.
fn intent(machine: &Machine, number: u64, mask: u32, position_rad: f64) -> Intent {
    let now_ns = machine.inputs.now_ns;
    let request = AxisRequest { position_rad, ..AxisRequest::default() };
    Intent {
        number,
        version: INTENT_VERSION,
        kind: IntentKind::MoveJoints,
        agent: 0,
        epoch: machine.kernel.epoch(),
        issued_ns: now_ns,
        lease_until_ns: now_ns + 8_000_000_000,
        trace: TraceId([number as u8; 16]),
        axes_mask: mask,
        axes: [request; AXES_MAX],
    }
}

fn claim(machine: &mut Machine, intent: Intent) {
    machine.inputs.claim = Some(Claim { intent, intact: true });
}

fn kinds(verdicts: &[Verdict]) -> Vec<(u64, VerdictKind)> {
    verdicts.iter().map(|verdict| (verdict.number, verdict.kind)).collect()
}

/// A connected planner with a fresh heartbeat.
fn connect(machine: &mut Machine) {
    machine.inputs.link.connected = true;
    machine.inputs.link.generation += 1;
    machine.inputs.link.stops = 0;
    machine.inputs.link.estops = 0;
}
