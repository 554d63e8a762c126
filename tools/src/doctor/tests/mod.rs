//! Good hosts and bad ones, as trees of files: each finding turns with what it reads, and the mends
//! name the right CPUs.

mod can;
mod devices;
mod kernel_and_cpus;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use mechos_robot::Robot;

use super::capability::{CAP_IPC_LOCK, CAP_SYS_NICE, FileCapabilities};
use super::demand::Demand;
use super::facts::{Facts, Live, Window};
use super::finding::{Finding, Severity};
use super::host::Host;
use super::trial::Trial;
use crate::testing::Folder;

/// A host of four CPUs on which nothing is wrong for arm6: CPU 1 is the cycle's.
const GOOD: [(&str, &str); 37] = [
    ("sys/kernel/realtime", "1"),
    ("proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian 6.12.9-1 (2025-01-10)"),
    ("proc/sys/kernel/sched_rt_runtime_us", "-1"),
    ("proc/sys/kernel/sched_rt_period_us", "1000000"),
    ("proc/sys/kernel/timer_migration", "0"),
    ("proc/sys/kernel/nmi_watchdog", "0"),
    ("proc/sys/kernel/watchdog", "1"),
    ("proc/sys/kernel/watchdog_cpumask", "0,2-3"),
    ("proc/sys/kernel/numa_balancing", "0"),
    ("proc/sys/vm/stat_interval", "10"),
    ("proc/self/uid_map", "         0          0 4294967295"),
    ("proc/self/cgroup", "0::/user.slice"),
    ("proc/self/status", "CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0"),
    ("sys/fs/cgroup/user.slice/cpuset.cpus.effective", "0-3"),
    ("sys/devices/system/cpu/online", "0-3"),
    ("sys/devices/system/cpu/present", "0-3"),
    ("sys/devices/system/cpu/isolated", "1"),
    ("sys/devices/system/cpu/nohz_full", "1"),
    ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state0/name", "POLL"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state0/latency", "0"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state1/name", "C6"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state1/latency", "133"),
    ("proc/cmdline", "root=/dev/sda1 isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1"),
    ("proc/interrupts", "     CPU0   CPU1   CPU2   CPU3\n 24:   90   0   0   0  PCI-MSI  eth0"),
    ("proc/irq/24/effective_affinity_list", "0"),
    ("proc/swaps", "Filename\tType\tSize\tUsed\tPriority"),
    ("proc/cpuinfo", "flags\t\t: fpu tsc constant_tsc"),
    ("proc/stat", "cpu  1 0 1 9 0 0 0 0 0 0\ncpu0 1 0 1 9 0 0 0 0 0 0\ncpu1 0 0 0 9 0 0 0 0 0 0"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm"),
    ("dev/cpu_dma_latency", ""),
    ("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\""),
    ("etc/os-release", "ID=debian"),
];

/// A tree of files, and what no file tells.
struct Bench {
    folder: Folder,
    facts: Facts,
    demand: Demand,
}

impl Bench {
    fn good(test: &str) -> Bench {
        let folder = Folder::new(&format!("doctor-{test}"));
        let robot = Robot::parse(crate::up::ARM6, "arm6.toml").unwrap();
        let file = Some("my.toml".to_owned());
        let demand = Demand { is_strict: true, file, ..Demand::from_robot(&robot) };
        let facts = Facts {
            host: Host::below(folder.path()),
            live: Some(live()),
            window: Window { smi: [(0, Ok((7, 7))), (1, Ok((7, 7)))].into(), ..Window::default() },
        };
        let bench = Bench { folder, facts, demand };
        GOOD.iter().for_each(|(path, text)| bench.write(path, text));
        bench
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.folder.path().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }

    fn all(&self) -> Vec<Finding> {
        let mut facts = self.facts.clone();
        if facts.window.stat.is_none() {
            let stat = facts.host.text("/proc/stat");
            facts.window.stat = stat.clone().zip(stat);
        }
        super::examine(&facts, &self.demand).into_iter().flat_map(|(_, found)| found).collect()
    }

    fn find(&self, id: &str) -> Finding {
        let all = self.all();
        let found = all.iter().find(|finding| finding.id == id);
        found.unwrap_or_else(|| panic!("no {id} among {all:#?}")).clone()
    }

    /// Writes one file and expects one finding to turn.
    fn turns(&self, path: &str, text: &str, id: &str, severity: Severity) -> String {
        assert_eq!(self.find(id).severity, Severity::Ok, "{id} before");
        self.write(path, text);
        let found = self.find(id);
        assert_eq!(found.severity, severity, "{found:#?}");
        found.mend.unwrap_or_else(|| panic!("nothing mends {id}"))
    }
}

fn live() -> Live {
    let both = FileCapabilities::with(&[CAP_SYS_NICE, CAP_IPC_LOCK]);
    let binary = |name: &str| (PathBuf::from("/opt/mechos").join(name), Ok(both));
    Live {
        is_root: false,
        user: "ada".into(),
        sudo_user: None,
        group: "robots".into(),
        rtprio: Some(0),
        memlock_bytes: Some(8 << 20),
        trial: Trial::Refused("Operation not permitted".into()),
        binaries: vec![binary("mechos-rt"), binary("mechos-guardian")],
        links: BTreeMap::new(),
    }
}

use Severity::{Failure, Note, Ok as Right, Warning};

#[test]
fn a_good_host_has_nothing_above_a_note() {
    let bench = Bench::good("good");
    let bad: Vec<Finding> = bench.all().into_iter().filter(|found| found.severity > Note).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn every_line_says_what_why_and_from_where() {
    let good = Bench::good("complete");
    let bad = Bench::good("complete-empty");
    GOOD.iter().for_each(|(path, _)| bad.write(path, "?"));
    for finding in good.all().into_iter().chain(bad.all()) {
        let Finding { id, read, source, wanted, why, .. } = &finding;
        for text in [read, source, wanted, why] {
            assert!(!text.is_empty() && !text.contains("  "), "{id}: {finding:#?}");
        }
        assert!(why.ends_with('.'), "{id}: {why}");
        assert!(finding.mend.is_none() || finding.severity != Right, "{id}");
        if matches!(finding.severity, Warning | Failure) {
            assert!(finding.mend.is_some(), "nothing mends {id}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_never_right() {
    let bench = Bench::good("empty");
    for (path, _) in GOOD {
        bench.remove(path);
    }
    let bench = Bench { facts: Facts { live: None, ..bench.facts.clone() }, ..bench };
    let right: Vec<String> =
        bench.all().into_iter().filter(|one| one.severity == Right).map(|one| one.id).collect();
    // Their files are absent where the kernel does not have the thing itself.
    let absent = ["cpu.apart", "memory.swap", "memory.huge_pages", "kernel.watchdog", "clock.smi"];
    assert!(right.iter().all(|id| absent.contains(&id.as_str())), "{right:?}");
}

#[test]
fn root_needs_no_sudo() {
    let mend = "echo 0 | sudo tee /x && sudo reboot";
    assert_eq!(super::mend::for_user(mend, true), "echo 0 | tee /x && reboot");
    assert_eq!(super::mend::for_user(mend, false), mend);
}
