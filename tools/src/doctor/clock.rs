//! Time: the clock that is read, the time that a hypervisor or the firmware takes.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::{Host, Unread};
use super::mend;

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    vec![source(facts, demand), steal(facts, demand), management_interrupts(facts, demand)]
}

/// Name of the hypervisor below this kernel, if there is one.
pub fn hypervisor(host: &Host) -> Option<String> {
    if let Some(kind) = host.text("/sys/hypervisor/type") {
        return Some(kind);
    }
    let info = host.text("/proc/cpuinfo")?;
    let flags = info.lines().find(|line| line.starts_with("flags"))?;
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return None;
    }
    let maker = host.text("/sys/class/dmi/id/sys_vendor").filter(|name| !name.is_empty());
    let product = host.text("/sys/class/dmi/id/product_name").filter(|name| !name.is_empty());
    let named: Vec<String> = [maker, product].into_iter().flatten().collect();
    Some(if named.is_empty() { "no name given".to_owned() } else { named.join(" ") })
}

fn source(facts: &Facts, demand: &Demand) -> Finding {
    const FOLDER: &str = "/sys/devices/system/clocksource/clocksource0";
    let host = &facts.host;
    let file = format!("{FOLDER}/current_clocksource");
    let finding = Finding::new("clock.source", "clock source").wanted(
        "a counter of the CPU: tsc, arch_sys_counter",
        "A tick reads the clock several times; outside the CPU each reading takes a microsecond or a \
         system call, and some jump.",
    );
    let current = match host.read(&file) {
        Ok(current) => current,
        Err(unread) => return finding.read(unread, file),
    };
    let severity = match current.as_str() {
        "tsc" | "arch_sys_counter" | "riscv_clocksource" | "timebase" => Severity::Ok,
        // Read from a page that the hypervisor keeps, without a system call.
        "kvm-clock" | "hyperv_clocksource_tsc_page" => Severity::Note,
        "xen" | "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" => demand.disturbance(),
        _ => Severity::Note,
    };
    let others = host.text(&format!("{FOLDER}/available_clocksource")).unwrap_or_default();
    let mend = if others.split_whitespace().any(|name| name == "tsc") {
        format!(
            "echo tsc | sudo tee {file}\n{}",
            mend::kernel_argument(host, "clock", "clocksource=tsc")
        )
    } else {
        let log = "sudo dmesg | grep -i -e tsc -e clocksource   # why the kernel gave the tsc up";
        format!("{log}\n{}", mend::kernel_argument(host, "clock", "tsc=reliable"))
    };
    finding.read(current, file).judged(severity).mend(mend)
}

/// Ticks of `/proc/stat`, of one CPU or of several together.
#[derive(Clone, Copy, Default)]
struct Ticks {
    all: u64,
    stolen: u64,
}

/// The ticks of the named CPUs. The columns: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks(stat: &str, demand: &Demand) -> Option<Ticks> {
    let cpus = demand.all_cpus();
    let mut sum = Ticks::default();
    let mut seen = false;
    for line in stat.lines() {
        let Some((head, rest)) = line.split_once(' ') else { continue };
        let Some(cpu) = head.strip_prefix("cpu").and_then(|number| number.parse().ok()) else {
            continue;
        };
        if cpus.has(cpu) {
            let values: Vec<u64> =
                rest.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
            sum.stolen += values.get(7)?;
            sum.all += values.iter().sum::<u64>();
            seen = true;
        }
    }
    seen.then_some(sum)
}

fn steal(facts: &Facts, demand: &Demand) -> Finding {
    const FILE: &str = "/proc/stat";
    let name = hypervisor(&facts.host);
    let finding = Finding::new("clock.steal", "time that a hypervisor takes").wanted(
        "a physical machine, or no stolen time on CPUs pinned for this guest",
        "While the hypervisor runs something else, this kernel and all its priorities stand still, \
         and nothing inside can see or bound it.",
    );
    let Some((before, after)) = &facts.window.stat else {
        return finding.read("not there", FILE);
    };
    let (Some(before), Some(after)) = (ticks(before, demand), ticks(after, demand)) else {
        return finding.read("no such columns", FILE);
    };
    let (passed, stolen) =
        (after.all.saturating_sub(before.all), after.stolen.saturating_sub(before.stolen));
    let read = format!(
        "{}; {}% since boot, {stolen} of {passed} ticks in the last {} ms",
        name.as_ref().map_or("no hypervisor".to_owned(), |name| format!("hypervisor ({name})")),
        percent(after.stolen, after.all),
        facts.window.ms,
    );
    let severity = match (&name, stolen, after.stolen) {
        (_, 1.., _) => demand.lack(),
        (Some(_), ..) | (_, _, 1..) => demand.disturbance(),
        (None, 0, 0) => Severity::Ok,
    };
    let cpus = demand.all_cpus();
    finding.read(read, FILE).judged(severity).mend(format!(
        "# a physical machine; else on the hypervisor's host give CPU {cpus} of this guest each a CPU \
         of its own\n# virsh vcpupin GUEST {} HOST_CPU",
        cpus.iter().next().unwrap_or(0)
    ))
}

/// Hundredths of a percent are enough, and 0 means none at all.
fn percent(part: u64, all: u64) -> String {
    let hundredths = part.saturating_mul(10_000).checked_div(all).unwrap_or(0);
    match (part, hundredths) {
        (1.., 0) => "under 0.01".to_owned(),
        _ => format!("{}.{:02}", hundredths / 100, hundredths % 100),
    }
}

fn management_interrupts(facts: &Facts, demand: &Demand) -> Finding {
    let cpus = demand.all_cpus();
    let first = cpus.iter().next().unwrap_or(0);
    let source = format!("/dev/cpu/{first}/msr, register 34h");
    let finding = Finding::new("clock.smi", "system management interrupts").wanted(
        "none",
        "The firmware stops all CPUs for its own errands, for up to milliseconds, behind the \
         kernel's back.",
    );
    let listen = "sudo hwlatdetect --duration=600 --threshold=10";
    if let Some(name) = hypervisor(&facts.host) {
        let read = format!("they hit the machine below the hypervisor ({name}), unseen from here");
        return finding.read(read, source).mend("# mechos doctor, on that machine");
    }
    let (mut since_boot, mut now) = (0, 0);
    for (cpu, found) in &facts.window.smi {
        match found {
            Ok((before, after)) => {
                since_boot = after.max(&since_boot).to_owned();
                now += after.saturating_sub(*before);
            }
            Err(unread) => {
                let source = format!("/dev/cpu/{cpu}/msr, register 34h");
                let mend = match unread {
                    Unread::Absent => "sudo modprobe msr && sudo mechos doctor".to_owned(),
                    Unread::Denied => "sudo mechos doctor".to_owned(),
                    // Only Intel's processors have the register.
                    Unread::Other(_) => format!("{listen}   # this processor keeps no count"),
                };
                return finding.read(unread, source).mend(mend);
            }
        }
    }
    if facts.window.smi.is_empty() {
        return finding.read("not there", source);
    }
    let read = format!("{now} in {} ms, {since_boot} since boot", facts.window.ms);
    let severity = if now > 0 { demand.disturbance() } else { Severity::Ok };
    finding.read(read, source).judged(severity).mend(format!(
        "# in the firmware's set-up switch off USB legacy support, power capping and error reporting; \
         then\n{listen}"
    ))
}
