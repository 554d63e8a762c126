//! Bus load: what the configured frames need when each has the most stuff bits it can have.

use hal::frame::worst_case_bits;
use toml::Spanned;

use crate::budgets::Budgets;
use crate::error::Objection;
use crate::file;
use crate::spec::{AxisSpec, BusLoad, BusSpec};

/// A bus is refused at this load, percent of its bit rate.
pub const LOAD_MAX_PERCENT: f64 = 80.0;

/// RPDO1 (6040h, 607Ah), TPDO1 (6041h, 6064h) and TPDO2 (606Ch, 6077h) carry 6 bytes each.
const PDO_LEN: u8 = 6;
/// The stop RPDO carries a controlword.
const STOP_LEN: u8 = 2;
/// A heartbeat carries the NMT state.
const HEARTBEAT_LEN: u8 = 1;
/// SYNC carries nothing.
const SYNC_LEN: u8 = 0;

fn bits(len: u8) -> f64 {
    f64::from(worst_case_bits(usize::from(len), false))
}

/// Longest time that a stop frame handed to the controller needs until it is on the wire: the
/// frame that has just begun, then the stop itself; ns.
pub(crate) fn stop_blocking_ns(bitrate: u32) -> u64 {
    ns(bits(PDO_LEN) + bits(STOP_LEN), bitrate)
}

/// Time of one heartbeat frame on the wire, ns.
pub(crate) fn heartbeat_ns(bitrate: u32) -> u64 {
    ns(bits(HEARTBEAT_LEN), bitrate)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred bits, and at least 10,000 bit/s"
)]
fn ns(bits: f64, bitrate: u32) -> u64 {
    (bits * 1e9 / f64::from(bitrate.max(1))).ceil().max(0.0) as u64
}

/// Frames of one kind on a bus.
struct Stream {
    what: &'static str,
    bits_per_second: f64,
}

/// Everything cyclic on a bus, and one stop frame a watchdog time, which is room kept free: when
/// a stop is sent, setpoints are not.
fn streams(axes: &[&AxisSpec], budgets: &Budgets) -> [Stream; 6] {
    let per_second = |every_ns: u64| {
        #[expect(clippy::cast_precision_loss, reason = "at most 60 s, far below 2^53 ns")]
        let every_ns = every_ns.max(1) as f64;
        1e9 / every_ns
    };
    let ticks = per_second(budgets.period_ns);
    let drives: f64 = axes.iter().map(|_| 1.0).sum();
    let torque: f64 = axes.iter().map(|axis| 1.0 / f64::from(axis.drive.torque_pdo_every)).sum();
    let stream = |what, len, frames: f64| Stream { what, bits_per_second: bits(len) * frames };
    [
        stream("setpoints and positions", PDO_LEN, 2.0 * drives * ticks),
        stream("SYNC", SYNC_LEN, ticks),
        stream("velocity and torque", PDO_LEN, torque * ticks),
        stream("host heartbeat", HEARTBEAT_LEN, per_second(budgets.host_heartbeat_ns)),
        stream("drive heartbeats", HEARTBEAT_LEN, drives * per_second(budgets.drive_heartbeat_ns)),
        stream("room for the stop", STOP_LEN, per_second(budgets.watchdog_ns)),
    ]
}

/// Writes each bus' load into it, and refuses a bus that has too much.
pub(crate) fn check(
    raw: &Spanned<Vec<Spanned<file::Bus>>>,
    buses: &mut [BusSpec],
    axes: &[AxisSpec],
    budgets: &Budgets,
) -> Result<(), Objection> {
    for (index, (bus, table)) in buses.iter_mut().zip(raw.get_ref()).enumerate() {
        let on_bus: Vec<_> = axes.iter().filter(|axis| axis.bus == index).collect();
        let streams = streams(&on_bus, budgets);
        let bits_per_second = streams.iter().map(|stream| stream.bits_per_second).sum::<f64>();
        let percent = 100.0 * bits_per_second / f64::from(bus.bitrate);
        bus.load = BusLoad { bits_per_second, percent };
        if percent < LOAD_MAX_PERCENT {
            continue;
        }
        let share = |stream: &Stream| {
            let percent = 100.0 * stream.bits_per_second / f64::from(bus.bitrate);
            format!("{} {percent:.1}", stream.what)
        };
        let shares: Vec<_> = streams.iter().map(share).collect();
        let found = format!(
            "{} drives that load bus `{}` by {percent:.1} percent in the worst case ({})",
            on_bus.len(),
            bus.name,
            shares.join(", "),
        );
        let allowed = format!("less than {LOAD_MAX_PERCENT} percent of its bit rate");
        let mend = "Move a drive to another bus, raise bitrate or torque_pdo_every, or lower \
                    rate_hz.";
        return Err(Objection::at(table.span(), found, allowed).mend(mend));
    }
    Ok(())
}
