//! Memory that moves: swap, huge pages, balancing between nodes.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::Unread;
use super::mend;

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![swap(facts, demand), huge_pages(facts, demand)];
    found.extend(numa_balancing(facts));
    found
}

fn swap(facts: &Facts, demand: &Demand) -> Finding {
    const FILE: &str = "/proc/swaps";
    let finding = Finding::new("memory.swap", "swap").wanted(
        "none",
        "The daemon locks its own memory, but whoever it waits for (drivers, planner, log) may be \
         written to a disk and come back after milliseconds.",
    );
    match facts.host.read(FILE) {
        Ok(text) => {
            let used: Vec<&str> =
                text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
            if used.is_empty() {
                return finding.read("none", FILE).judged(Severity::Ok);
            }
            finding.read(used.join(", "), FILE).judged(demand.disturbance()).mend(
                "sudo swapoff -a && sudo sed -i '/[[:space:]]swap[[:space:]]/s/^[^#]/#&/' /etc/fstab",
            )
        }
        Err(Unread::Absent) => {
            finding.read("not built into this kernel", FILE).judged(Severity::Ok)
        }
        Err(unread) => finding.read(unread, FILE),
    }
}

fn huge_pages(facts: &Facts, demand: &Demand) -> Finding {
    const FILE: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    let finding = Finding::new("memory.huge_pages", "transparent huge pages").wanted(
        "madvise or never",
        "With `always` the kernel moves memory together behind the programs' backs, and a page that \
         is being moved makes a locked thread wait.",
    );
    match facts.host.read(FILE) {
        Ok(text) => {
            let chosen =
                text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
            let Some(chosen) = chosen else { return finding.read(text, FILE) };
            let severity = if chosen == "always" { demand.disturbance() } else { Severity::Ok };
            let mend = mend::sysfs(&facts.host, "huge-pages", "madvise", &[FILE.to_owned()]);
            finding.read(chosen, FILE).judged(severity).mend(mend)
        }
        Err(Unread::Absent) => {
            finding.read("not built into this kernel", FILE).judged(Severity::Ok)
        }
        Err(unread) => finding.read(unread, FILE),
    }
}

/// Only where the kernel offers it.
fn numa_balancing(facts: &Facts) -> Option<Finding> {
    const FILE: &str = "/proc/sys/kernel/numa_balancing";
    let value = match facts.host.number(FILE) {
        Err(Unread::Absent) => return None,
        value => value,
    };
    let finding = Finding::new("memory.numa_balancing", "balancing between memory nodes").wanted(
        "0",
        "It takes pages away now and then to see who touches them: page faults in a running thread.",
    );
    Some(match value {
        Ok(value) => finding
            .read(value, FILE)
            .judged(if value == 0 { Severity::Ok } else { Severity::Note })
            .mend(mend::sysctl("kernel.numa_balancing", "0")),
        Err(unread) => finding.read(unread, FILE),
    })
}
