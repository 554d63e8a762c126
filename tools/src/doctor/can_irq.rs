//! Who brings a CAN interface's frames to the bus thread: its interrupt's thread, or a thread of its
//! NAPI, each with a priority.

use super::can::Interface;
use super::finding::{Finding, Severity};
use super::host::Host;
use super::trial::{POLICY_FIFO, scheduling};

/// Checks of one interface with a device behind it.
pub(super) fn checks(interface: &Interface<'_>) -> Vec<Finding> {
    vec![napi(interface), interrupt(interface)]
}

const WHY_PRIORITY: &str = "A frame reaches the bus thread only when this thread has run: it goes \
    above the bus thread that waits for it, and below the guardian.";

fn napi(interface: &Interface<'_>) -> Finding {
    let host = &interface.facts.host;
    let priority = interface.demand.interrupt_priority();
    let source = interface.file("threaded");
    let finding = interface
        .finding("napi", "threaded NAPI")
        .wanted(format!("off, or its thread at SCHED_FIFO {priority}"), WHY_PRIORITY);
    match host.number(&source) {
        Ok(0) => finding.read("off", source).judged(Severity::Ok),
        Ok(_) => {
            let begin = format!("napi/{}-", interface.name);
            let pattern = format!("{begin}[0-9]+");
            threads(interface, finding, |name| name.starts_with(&begin), &pattern, "on: ")
        }
        Err(unread) => finding.read(unread, source),
    }
}

fn interrupt(interface: &Interface<'_>) -> Finding {
    let priority = interface.demand.interrupt_priority();
    let finding = interface
        .finding("irq", "interrupt's thread")
        .wanted(format!("SCHED_FIFO {priority}"), WHY_PRIORITY);
    if interface.facts.host.link(&interface.file("device")).contains("usb") {
        let read = "a USB adapter: its frames come with those of the whole USB controller";
        return finding.read(read, interface.file("device")).mend(
            "# an adapter on PCIe or on the board: USB adds milliseconds now and then that no setting \
             takes away",
        );
    }
    let names = |name: &str| is_of(name, interface.name);
    let pattern = format!("irq/[0-9]+-(s-)?{}", interface.name);
    threads(interface, finding, names, &pattern, "")
}

/// "irq/44-can0", and "irq/44-s-can0" for the second half of a shared one.
fn is_of(thread: &str, interface: &str) -> bool {
    let named = thread.strip_prefix("irq/").and_then(|rest| rest.split_once('-'));
    named.is_some_and(|(_, rest)| rest.strip_prefix("s-").unwrap_or(rest) == interface)
}

/// Judges the threads of that name.
fn threads(
    interface: &Interface<'_>,
    finding: Finding,
    is_one: impl Fn(&str) -> bool,
    pattern: &str,
    read: &str,
) -> Finding {
    let host = &interface.facts.host;
    let found: Vec<(u32, String)> =
        host.processes().into_iter().filter(|(_, name)| is_one(name)).collect();
    let (Some((first, name)), wanted) = (found.first(), interface.demand.interrupt_priority())
    else {
        return finding.read(format!("{read}no such thread"), "/proc/*/comm").mend(
            "# the interface is down, or the kernel runs its interrupts without threads: PREEMPT_RT \
             (kernel.preempt_rt above), else the kernel argument threadirqs",
        );
    };
    let source = format!("/proc/{first}/stat");
    let Some((policy, priority)) = scheduling_of(host, *first) else {
        return finding.read(format!("{name}, unreadable"), source);
    };
    let words = if policy == POLICY_FIFO {
        format!("{name} at SCHED_FIFO {priority}")
    } else {
        format!("{name} at no real-time priority")
    };
    let is_right = found
        .iter()
        .all(|(pid, _)| scheduling_of(host, *pid) == Some((POLICY_FIFO, u32::from(wanted))));
    let demand = interface.demand;
    let bus = u32::from(demand.threads.bus.priority);
    let below =
        |pid| !scheduling_of(host, pid).is_some_and(|(p, found)| p == POLICY_FIFO && found > bus);
    let severity = match () {
        () if is_right => Severity::Ok,
        () if found.iter().any(|(pid, _)| below(*pid)) => demand.disturbance(),
        () => Severity::Note,
    };
    // By its name: the thread is another one each time that the interface is set up.
    let mend = format!(
        "for p in $(pgrep -x '{pattern}'); do sudo chrt --fifo --pid {wanted} $p; done   # after every \
         `ip link set {} up`",
        interface.name
    );
    finding.read(format!("{read}{words}"), source).judged(interface.severity(severity)).mend(mend)
}

fn scheduling_of(host: &Host, pid: u32) -> Option<(u32, u32)> {
    scheduling(&host.text(&format!("/proc/{pid}/stat"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupts_thread_is_known_by_its_whole_name() {
        assert!(is_of("irq/44-can0", "can0") && is_of("irq/44-s-can0", "can0"));
        assert!(!is_of("irq/44-can01", "can0") && !is_of("irq/44-vcan0", "can0"));
    }
}
