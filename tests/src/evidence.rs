//! One row of the table of times: what was lost, who sent the stop, when every bus had it, when
//! every drive stood.

use std::io::Write;
use std::sync::Once;

use crate::frames::Frames;
use crate::machine::Machine;

/// What was measured after a fault.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// When the fault was made, ns.
    pub fault_ns: u64,
    /// Who sent the first stop frame, and from which process.
    pub first_stop: Option<(String, i32)>,
    /// When the last bus saw its first stop frame, ns.
    pub stop_ns: Option<u64>,
    /// When the last drive had come to rest, ns.
    pub standstill_ns: u64,
    /// Since when no drive followed setpoints any more, ns.
    pub off_ns: u64,
    /// The log up to then.
    pub frames: std::rc::Rc<Frames>,
}

/// Waits until every drive stands and follows no setpoints, and measures from the log.
pub fn measure(machine: &Machine, fault_ns: u64) -> Evidence {
    let drives = machine.robot.axes.len();
    // Drives report at SYNC, and whoever sent it may be the one that was lost.
    let _asking = machine.ask_the_drives();
    let (frames, (standstill_ns, off_ns)) =
        machine.frames_until("every drive to stand, off", |frames| {
            let at = frames.standstill_ns(fault_ns, drives)?;
            Some((at, frames.off_ns(fault_ns, drives)?))
        });
    let first = frames.stops(fault_ns).next().map(|line| (line.sender.clone(), line.pid));
    let stop_ns = frames.stopped_on_every_bus(fault_ns, machine.robot.buses.len());
    let frames = std::rc::Rc::new(frames);
    Evidence { fault_ns, first_stop: first, stop_ns, standstill_ns, off_ns, frames }
}

impl Evidence {
    /// From the fault to the last bus' first stop frame, ms.
    pub fn stop_ms(&self) -> Option<f64> {
        self.stop_ns.map(|t| t.saturating_sub(self.fault_ns) as f64 / 1e6)
    }

    /// From the fault to the last drive's standstill, ms.
    pub fn standstill_ms(&self) -> f64 {
        self.standstill_ns.saturating_sub(self.fault_ns) as f64 / 1e6
    }

    /// Prints the row, past the test runner's capture, so that the table stands in every run.
    pub fn print(&self, fault: &str, profile: &str) {
        static HEAD: Once = Once::new();
        let mut out = std::io::stderr().lock();
        HEAD.call_once(|| {
            let _ = writeln!(
                out,
                "\n{:<40} {:<16} {:>9} {:>15} {:>14}  profile",
                "fault", "first stop from", "stop, ms", "drives off, ms", "standstill, ms"
            );
        });
        let sender = self.first_stop.as_ref().map_or("the drives", |(sender, _)| sender);
        let stop = self.stop_ms().map_or("-".to_owned(), |ms| format!("{ms:.2}"));
        let rest = self.standstill_ms();
        let off = self.off_ns.saturating_sub(self.fault_ns) as f64 / 1e6;
        let _ =
            writeln!(out, "{fault:<40} {sender:<16} {stop:>9} {off:>15.2} {rest:>14.2}  {profile}");
    }
}
