//! The kernel: preemption, throttling, groups, and the work that it does of itself.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::{Host, Unread};
use super::mend;

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![preemption(facts, demand), throttling(facts, demand)];
    found.extend(group_scheduling(facts));
    found.extend(container(facts, demand));
    found.push(timer_migration(facts));
    found.push(watchdog(facts, demand));
    found.push(stat_interval(facts));
    found
}

fn preemption(facts: &Facts, demand: &Demand) -> Finding {
    const VERSION: &str = "/proc/sys/kernel/version";
    let finding = Finding::new("kernel.preempt_rt", "preemption").wanted(
        "PREEMPT_RT",
        "On any other kernel a driver may keep the CPU for as long as it likes, so that no delay \
         has a bound.",
    );
    if facts.host.text("/sys/kernel/realtime").as_deref() == Some("1") {
        return finding.read("PREEMPT_RT", "/sys/kernel/realtime").judged(Severity::Ok);
    }
    match facts.host.read(VERSION) {
        Ok(version) if version.split_whitespace().any(|word| word == "PREEMPT_RT") => {
            finding.read("PREEMPT_RT", VERSION).judged(Severity::Ok)
        }
        Ok(version) => {
            let model = version.split_whitespace().find(|word| word.starts_with("PREEMPT"));
            let model = model.unwrap_or("no preemption named").to_owned();
            finding.read(model, VERSION).judged(demand.lack()).mend(install(&facts.host))
        }
        Err(unread) => finding.read(unread, VERSION),
    }
}

/// The command that installs a PREEMPT_RT kernel.
fn install(host: &Host) -> String {
    if host.text("/etc/os-release").is_some_and(|text| text.lines().any(|line| line == "ID=ubuntu"))
    {
        return "sudo pro enable realtime-kernel && sudo reboot".to_owned();
    }
    let package = match std::env::consts::ARCH {
        "x86_64" => "linux-image-rt-amd64",
        "aarch64" => "linux-image-rt-arm64",
        "arm" => "linux-image-rt-armmp",
        _ => "linux-image-rt-ARCHITECTURE",
    };
    let install = format!("sudo apt install {package}");
    if mend::has_boot_loader(host) {
        return format!("{install} && sudo reboot");
    }
    format!("{install}   # then boot it: no boot loader's file was found here")
}

/// The throttle freezes every real-time thread of a CPU that has been busy for its share of a
/// period; without it a looping thread keeps its CPU. Which one is the smaller evil depends on who
/// else lives there.
fn throttling(facts: &Facts, demand: &Demand) -> Finding {
    const RUNTIME: &str = "/proc/sys/kernel/sched_rt_runtime_us";
    const PERIOD: &str = "/proc/sys/kernel/sched_rt_period_us";
    let shared = demand.threads.shared_cpu;
    let (wanted, why) = if shared {
        (
            "950000 of 1000000 us",
            "Watchers and watched share a CPU: without the throttle one looping thread takes it for \
             good, with it the machine stays reachable (and its drives' watchdogs act).",
        )
    } else {
        (
            "-1 (off)",
            "The throttle freezes every real-time thread of a busy CPU for what is left of a second, \
             also the one that sends the stop. Off, a looping thread hangs its CPU, but deadline \
             thread and guardian run on another and stop the drives.",
        )
    };
    let finding = Finding::new("kernel.rt_throttling", "real-time throttling").wanted(wanted, why);
    let (runtime, period) = match (facts.host.number(RUNTIME), facts.host.number(PERIOD)) {
        (Ok(runtime), Ok(period)) => (runtime, period),
        (Err(unread), _) | (_, Err(unread)) => return finding.read(unread, RUNTIME),
    };
    let off = runtime == -1 || runtime >= period;
    let read = if off { format!("off ({runtime})") } else { format!("{runtime} of {period} us") };
    let percent = runtime.saturating_mul(100).checked_div(period).unwrap_or(0);
    let suffices = u64::try_from(percent).is_ok_and(|percent| percent > demand.busy_percent_max);
    let severity = match (runtime, off, shared) {
        // The control thread alone would be frozen in every period.
        (0, ..) => demand.lack(),
        (_, false, _) if !suffices => demand.lack(),
        (_, true, false) => Severity::Ok,
        (_, true, true) => Severity::Note,
        (_, false, true) => Severity::Ok,
        (_, false, false) => demand.disturbance(),
    };
    let value = if shared { "950000" } else { "-1" };
    let mend = mend::sysctl("kernel.sched_rt_runtime_us", value);
    finding.read(read, RUNTIME).judged(severity).mend(mend)
}

/// A control group with no share of real time refuses SCHED_FIFO to everybody in it, root too.
fn group_scheduling(facts: &Facts) -> Option<Finding> {
    let path = cpu_group(&facts.host)?;
    let file = format!("/sys/fs/cgroup/cpu{path}/cpu.rt_runtime_us").replace("//", "/");
    let finding = Finding::new("kernel.rt_group", "real-time share of the control group").wanted(
        "more than 0, or no such file",
        "In a control group without a share of real time the kernel refuses SCHED_FIFO even to root.",
    );
    match facts.host.number(&file) {
        Err(Unread::Absent) => None,
        Err(unread) => Some(finding.read(unread, file)),
        Ok(share) => {
            let severity = if share == 0 { Severity::Failure } else { Severity::Ok };
            let mend = format!("echo 950000 | sudo tee {file}");
            Some(finding.read(format!("{share} us"), file).judged(severity).mend(mend))
        }
    }
}

/// The control group of this process under the `cpu` controller of version 1.
fn cpu_group(host: &Host) -> Option<String> {
    let groups = host.text("/proc/self/cgroup")?;
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == "cpu").then(|| path.to_owned())
    })
}

fn container(facts: &Facts, demand: &Demand) -> Option<Finding> {
    let host = &facts.host;
    let marks = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    let mark = marks.into_iter().find(|path| host.exists(path));
    let map = host.text("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<&str> = map.split_whitespace().collect();
    // The first user name space maps every id onto itself.
    let nested = !words.is_empty() && words != ["0", "0", "4294967295"];
    let (read, source) = match (mark, nested) {
        (_, true) => ("a user name space of its own".to_owned(), "/proc/self/uid_map"),
        (Some(mark), false) => ("a container".to_owned(), mark),
        (None, false) => return None,
    };
    let priority = demand.priority_max();
    let finding = Finding::new("kernel.container", "container")
        .read(read, source)
        .wanted(
            "the host itself, or a container that is handed these rights",
            "A container takes away real-time priorities, locked memory, CAN interfaces and \
             /dev/cpu_dma_latency unless each is handed in; rights inside a user name space do \
             not count for any of them.",
        )
        .judged(if nested { demand.disturbance() } else { Severity::Note });
    Some(finding.mend(format!(
        "docker run --network host --cap-add SYS_NICE --cap-add IPC_LOCK --ulimit \
         rtprio={priority} --ulimit memlock=-1 --device /dev/cpu_dma_latency IMAGE"
    )))
}

fn timer_migration(facts: &Facts) -> Finding {
    const FILE: &str = "/proc/sys/kernel/timer_migration";
    let finding = Finding::new("kernel.timer_migration", "timer migration").wanted(
        "0",
        "With 1 an idle CPU's timers move to a busy one, and that may be the control thread's.",
    );
    match facts.host.number(FILE) {
        Ok(0) => finding.read(0, FILE).judged(Severity::Ok),
        Ok(value) => finding
            .read(value, FILE)
            .judged(Severity::Note)
            .mend(mend::sysctl("kernel.timer_migration", "0")),
        Err(unread) => finding.read(unread, FILE),
    }
}

fn watchdog(facts: &Facts, demand: &Demand) -> Finding {
    const NMI: &str = "/proc/sys/kernel/nmi_watchdog";
    const MASK: &str = "/proc/sys/kernel/watchdog_cpumask";
    const ON: &str = "/proc/sys/kernel/watchdog";
    let host = &facts.host;
    let cyclic = demand.cyclic_cpus();
    let finding = Finding::new("kernel.watchdog", "lock-up watchdogs").wanted(
        format!("none on CPU {cyclic}"),
        "They interrupt every CPU that they look after; MechOS watches its own threads.",
    );
    let (nmi, on) = (host.number(NMI), host.number(ON));
    match (nmi, on) {
        (Ok(1), _) => finding
            .read("NMI watchdog on", NMI)
            .judged(Severity::Note)
            .mend(mend::sysctl("kernel.nmi_watchdog", "0")),
        (_, Ok(0)) => finding.read("off", ON).judged(Severity::Ok),
        (_, Ok(_)) => match host.cpus(MASK) {
            Ok(cpus) if cpus.and(&cyclic).is_empty() => {
                finding.read(format!("on CPU {cpus}"), MASK).judged(Severity::Ok)
            }
            Ok(cpus) => {
                let rest = cpus.without(&cyclic);
                let mend = if rest.is_empty() {
                    mend::sysctl("kernel.watchdog", "0")
                } else {
                    mend::sysctl("kernel.watchdog_cpumask", &rest.to_string())
                };
                finding.read(format!("on CPU {cpus}"), MASK).judged(Severity::Note).mend(mend)
            }
            Err(unread) => finding.read(unread, MASK),
        },
        (Err(Unread::Absent), Err(Unread::Absent)) => {
            finding.read("not built into this kernel", ON).judged(Severity::Ok)
        }
        (_, Err(unread)) => finding.read(unread, ON),
    }
}

fn stat_interval(facts: &Facts) -> Finding {
    const FILE: &str = "/proc/sys/vm/stat_interval";
    const WANTED_S: i64 = 10;
    let finding = Finding::new("kernel.stat_interval", "memory statistics").wanted(
        "every 10 s or more seldom",
        "Each time, a kernel thread folds the counters of every CPU, the control thread's too.",
    );
    match facts.host.number(FILE) {
        Ok(s) => finding
            .read(format!("every {s} s"), FILE)
            .judged(if s >= WANTED_S { Severity::Ok } else { Severity::Note })
            .mend(mend::sysctl("vm.stat_interval", "10")),
        Err(unread) => finding.read(unread, FILE),
    }
}
