//! What this host can do for real time, and for each thing that it cannot, the command that mends
//! it.

use std::fs;

use nix::unistd::Pid;

use super::{grants, latency, memory, threads};

/// The highest priority that any process here asks for; a right to less is no right.
const PRIORITY_PROBED: u8 = 90;

/// The host, as found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostReport {
    /// SCHED_FIFO at the highest priority used here was really granted.
    pub realtime: bool,
    /// The kernel is a PREEMPT_RT kernel.
    pub preempt_rt: bool,
    /// What is missing, each with the command that mends it.
    pub warnings: Vec<String>,
}

/// Tries what the daemon needs. Takes a short-lived thread; nothing stays changed but locked
/// memory, which every caller asks for anyway.
#[must_use]
pub fn probe() -> HostReport {
    let realtime = is_fifo_granted();
    let preempt_rt = is_preempt_rt();
    let mut warnings = Vec::new();
    if !realtime {
        warnings.push(format!(
            "no real-time priorities: the host refuses SCHED_FIFO {PRIORITY_PROBED}; mend: \
             `sudo setcap cap_sys_nice,cap_ipc_lock=ep BINARY` for mechos-rt and mechos-guardian"
        ));
    }
    if !preempt_rt {
        warnings.push(
            "the kernel is not PREEMPT_RT, its delays have no bound; mend on Debian: \
             `sudo apt install linux-image-rt-amd64` and boot it"
                .to_owned(),
        );
    }
    if let Err(error) = memory::lock_all() {
        warnings.push(error.to_string());
    }
    if !latency::is_permitted() {
        warnings.push(
            "idle CPUs wake up late: /dev/cpu_dma_latency is closed to this user; mend: \
             `sudo chgrp GROUP /dev/cpu_dma_latency && sudo chmod 0660 /dev/cpu_dma_latency`"
                .to_owned(),
        );
    }
    warnings.extend(slow_governor());
    HostReport { realtime, preempt_rt, warnings }
}

fn is_fifo_granted() -> bool {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let own = Pid::from_raw(0);
                threads::set_fifo(own, PRIORITY_PROBED).is_ok()
                    && grants::scheduling_of(own) == ("SCHED_FIFO", PRIORITY_PROBED)
            })
            .join()
            .unwrap_or(false)
    })
}

fn is_preempt_rt() -> bool {
    let file_is_one = fs::read_to_string("/sys/kernel/realtime").is_ok_and(|t| t.trim() == "1");
    file_is_one
        || fs::read_to_string("/proc/sys/kernel/version").is_ok_and(|t| t.contains("PREEMPT_RT"))
}

/// A CPU that lowers its clock when idle answers late.
fn slow_governor() -> Option<String> {
    let governor =
        fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok()?;
    let governor = governor.trim();
    (governor != "performance").then(|| {
        format!(
            "the CPU's clock follows its load (governor '{governor}'); mend: \
             `sudo cpupower frequency-set --governor performance`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_a_command() {
        let report = probe();
        for warning in &report.warnings {
            assert!(warning.contains('`'), "no command in: {warning}");
        }
        assert_eq!(report.realtime, !report.warnings.iter().any(|w| w.contains("SCHED_FIFO")));
    }
}
