//! What saves power and costs time: clock frequency and idle states.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::{Host, Unread};
use super::{clock, mend};

const FOLDER: &str = "/sys/devices/system/cpu";

/// An idle state that takes longer to leave makes a wake-up late, us.
const EXIT_LATENCY_MAX_US: i64 = 10;

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    vec![governor(facts, demand), dma_latency(facts, demand), idle_states(facts, demand)]
}

fn governor(facts: &Facts, demand: &Demand) -> Finding {
    let host = &facts.host;
    let finding = Finding::new("power.governor", "clock frequency").wanted(
        "performance",
        "A CPU that lowers its clock when idle computes the first ticks after a pause slowly.",
    );
    let file = |cpu| format!("{FOLDER}/cpu{cpu}/cpufreq/scaling_governor");
    let cpus = demand.all_cpus();
    let mut slow = Vec::new();
    let mut first = None;
    for cpu in cpus.iter() {
        match host.read(&file(cpu)) {
            Ok(governor) if governor == "performance" => {}
            Ok(governor) => {
                slow.push(file(cpu));
                first.get_or_insert((governor, cpu));
            }
            Err(Unread::Absent) if !host.exists(&format!("{FOLDER}/cpu{cpu}/cpufreq")) => {
                let what = match clock::hypervisor(host) {
                    Some(name) => format!("the hypervisor ({name}) decides, and does not tell"),
                    None => "this kernel scales no frequency; the firmware may".to_owned(),
                };
                return finding.read(what, file(cpu)).mend(
                    "# on the physical machine: cpupower frequency-set --governor performance, or the \
                     firmware's set-up",
                );
            }
            Err(unread) => return finding.read(unread, file(cpu)),
        }
    }
    match first {
        None => {
            finding.read("performance", file(cpus.iter().next().unwrap_or(0))).judged(Severity::Ok)
        }
        Some((governor, cpu)) => finding
            .read(format!("{governor} on CPU {cpu}"), file(cpu))
            .judged(demand.disturbance())
            .mend(mend::sysfs(host, "governor", "performance", &slow)),
    }
}

const DMA_LATENCY: &str = "/dev/cpu_dma_latency";

fn dma_latency(facts: &Facts, demand: &Demand) -> Finding {
    let group = facts.live.as_ref().map_or("GROUP", |live| live.group.as_str());
    let finding = Finding::new("power.dma_latency", "the right to keep CPUs awake").wanted(
        "open for writing to the daemon's user",
        "While the daemon runs it holds 0 us there, which keeps every CPU out of idle states that \
         take long to leave.",
    );
    match facts.host.can_write(DMA_LATENCY) {
        Ok(()) => finding.read("open for writing", DMA_LATENCY).judged(Severity::Ok),
        Err(unread @ Unread::Denied) => {
            finding.read(unread, DMA_LATENCY).judged(demand.disturbance()).mend(format!(
                "sudo chgrp {group} {DMA_LATENCY} && sudo chmod 0660 {DMA_LATENCY}\n\
                 echo 'KERNEL==\"cpu_dma_latency\", GROUP=\"{group}\", MODE=\"0660\"' | sudo tee \
                 /etc/udev/rules.d/99-mechos.rules"
            ))
        }
        Err(unread) => {
            finding.read(unread, DMA_LATENCY).judged(match deepest(&facts.host, demand) {
                Ok(None) => Severity::Note,
                _ => Severity::Unknown,
            })
        }
    }
}

/// The idle state of the robot's CPUs that takes longest to leave: name, us, CPU. `None`: this
/// kernel has none.
fn deepest(host: &Host, demand: &Demand) -> Result<Option<(String, i64, usize)>, Unread> {
    let mut found: Option<(String, i64, usize)> = None;
    for cpu in demand.all_cpus().iter() {
        let folder = format!("{FOLDER}/cpu{cpu}/cpuidle");
        for state in host.names(&folder).iter().filter(|name| name.starts_with("state")) {
            if host.number(&format!("{folder}/{state}/disable")) == Ok(1) {
                continue;
            }
            let us = host.number(&format!("{folder}/{state}/latency"))?;
            if found.as_ref().is_none_or(|(_, most, _)| us > *most) {
                let name = host.read(&format!("{folder}/{state}/name"))?;
                found = Some((name, us, cpu));
            }
        }
    }
    Ok(found)
}

fn idle_states(facts: &Facts, demand: &Demand) -> Finding {
    let host = &facts.host;
    let source = format!("{FOLDER}/cpu*/cpuidle/state*/latency");
    let finding = Finding::new("power.idle_states", "idle states").wanted(
        format!("left within {EXIT_LATENCY_MAX_US} us, or kept out of by the daemon"),
        "A CPU in a deep idle state needs up to hundreds of us to wake up for the next tick.",
    );
    let line = host.text("/proc/cmdline").unwrap_or_default();
    let arguments = ["intel_idle.max_cstate=", "processor.max_cstate=", "idle="];
    let set: Vec<&str> = line
        .split_whitespace()
        .filter(|word| arguments.iter().any(|argument| word.starts_with(argument)))
        .collect();
    let set = if set.is_empty() { String::new() } else { format!("; {}", set.join(" ")) };
    let (name, us, cpu) = match deepest(host, demand) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let who = match clock::hypervisor(host) {
                Some(name) => {
                    format!("none shown; the hypervisor ({name}) decides how a CPU idles")
                }
                None => "none shown by this kernel; the firmware may have some".to_owned(),
            };
            return finding.read(format!("{who}{set}"), source).mend(
                "# on the physical machine: processor.max_cstate=1 intel_idle.max_cstate=1, or the \
                 firmware's set-up",
            );
        }
        Err(unread) => return finding.read(unread, source),
    };
    let read = format!("deepest {name}, {us} us to leave, on CPU {cpu}{set}");
    let finding = finding.read(read, source);
    if us <= EXIT_LATENCY_MAX_US {
        return finding.judged(Severity::Ok);
    }
    match host.can_write(DMA_LATENCY) {
        Ok(()) => {
            let read = format!("{}; the daemon keeps out of it", finding.read);
            Finding { read, ..finding }.judged(Severity::Ok)
        }
        Err(_) => {
            let arguments = "processor.max_cstate=1 intel_idle.max_cstate=1";
            finding.judged(demand.disturbance()).mend(format!(
                "# open {DMA_LATENCY} to the daemon (power.dma_latency above), or\n{}",
                mend::kernel_argument(host, "idle", arguments)
            ))
        }
    }
}
