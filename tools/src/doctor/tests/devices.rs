//! Interrupts, power, memory, clocks, rights.

use super::super::capability::FileCapabilities;
use super::super::finding::Severity::{Failure, Note, Ok as Right, Unknown, Warning};
use super::super::host::Unread;
use super::super::trial::Trial;
use super::Bench;

#[test]
fn interrupts_are_sent_to_the_other_cpus() {
    let bench = Bench::good("irq");
    let table = "     CPU0   CPU1   CPU2   CPU3\n 24:   90   5   0   0  PCI-MSI  eth0\n \
                 25: 0 0 0 0 PCI-MSI nvme0q1\n 30: 1 1 1 1 IO-APIC acpi";
    bench.write("proc/interrupts", table);
    bench.write("proc/irq/25/effective_affinity_list", "1");
    bench.write("proc/irq/30/smp_affinity_list", "2");
    let found = bench.find("irq.affinity");
    assert_eq!(found.severity, Note, "it never came there");
    let mend = found.mend.unwrap();
    assert!(!mend.contains("smp_affinity_list"), "a managed one cannot be moved: {mend}");
    assert!(mend.contains("isolcpus=managed_irq,domain,1"), "{mend}");
    bench.write("proc/irq/24/effective_affinity_list", "0-1");
    let found = bench.find("irq.affinity");
    assert_eq!(found.severity, Warning);
    assert!(found.read.contains("2 may come, 1 did since boot: 24 eth0"), "{}", found.read);
    let mend = found.mend.unwrap();
    let wanted = "for n in 24; do echo 0,2-3 | sudo tee /proc/irq/$n/smp_affinity_list; done";
    assert!(mend.contains(wanted) && mend.contains("irqaffinity=0,2-3"), "{mend}");
    // Sent away, and not come again since.
    bench.write("proc/irq/24/smp_affinity_list", "0,2-3");
    assert!(bench.find("irq.affinity").read.starts_with("1 may come, 0 did"));
}

#[test]
fn irqbalance_is_kept_off() {
    let bench = Bench::good("irqbalance");
    bench.write("proc/812/comm", "irqbalance");
    let found = bench.find("irq.irqbalance");
    assert_eq!(found.severity, Warning);
    assert!(found.mend.unwrap().contains("IRQBALANCE_BANNED_CPULIST=1'"));
    bench.write("etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=\"1\"");
    assert_eq!(bench.find("irq.irqbalance").severity, Right);
}

#[test]
fn power_saving_is_switched_off_on_the_robots_cpus() {
    let bench = Bench::good("power");
    let file = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
    let mend = bench.turns(file, "powersave", "power.governor", Warning);
    assert_eq!(mend, format!("echo performance | sudo tee /{file}"));
    bench.write("run/systemd/system/x", "");
    let mend = bench.find("power.governor").mend.unwrap();
    assert!(mend.contains(&format!("'w /{file} - - - - performance'")), "{mend}");
    // Deep states do no harm while the daemon may keep out of them.
    assert_eq!(bench.find("power.idle_states").severity, Right);
    bench.remove("dev/cpu_dma_latency");
    let found = bench.find("power.idle_states");
    assert_eq!(found.severity, Warning);
    assert!(found.read.contains("C6, 133 us"), "{}", found.read);
    bench.write("sys/devices/system/cpu/cpu1/cpuidle/state1/disable", "1");
    assert_eq!(bench.find("power.idle_states").severity, Right);
}

#[test]
fn memory_that_moves_is_found() {
    let bench = Bench::good("memory");
    let swaps = "Filename Type Size Used Priority\n/dev/sda2 partition 8388604 0 -2";
    let mend = bench.turns("proc/swaps", swaps, "memory.swap", Warning);
    assert!(mend.starts_with("sudo swapoff -a"), "{mend}");
    let file = "sys/kernel/mm/transparent_hugepage/enabled";
    let mend = bench.turns(file, "[always] madvise never", "memory.huge_pages", Warning);
    assert_eq!(mend, format!("echo madvise | sudo tee /{file}"));
}

#[test]
fn a_slow_clock_is_found() {
    let bench = Bench::good("clock");
    let file = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let mend = bench.turns(file, "hpet", "clock.source", Warning);
    assert!(mend.starts_with("echo tsc | sudo tee /sys/devices"), "{mend}");
    bench.write("sys/devices/system/clocksource/clocksource0/available_clocksource", "hpet");
    assert!(bench.find("clock.source").mend.unwrap().contains("tsc=reliable"));
}

#[test]
fn stolen_time_is_found() {
    let mut bench = Bench::good("steal");
    assert_eq!(bench.find("clock.steal").severity, Right);
    bench.write("proc/cpuinfo", "flags\t\t: fpu hypervisor tsc");
    assert_eq!(bench.find("clock.steal").severity, Warning, "a hypervisor may at any time");
    assert_eq!(bench.find("clock.smi").severity, Unknown, "they hit another machine");
    let stat = |steal: u32| format!("cpu0 9 0 0 90 0 0 0 {steal} 0 0\ncpu1 9 0 0 90 0 0 0 0 0 0");
    bench.facts.window.stat = Some((stat(2), stat(5)));
    let found = bench.find("clock.steal");
    assert_eq!(found.severity, Failure);
    assert!(found.read.contains("3 of 3 ticks"), "{}", found.read);
}

#[test]
fn system_management_interrupts_are_counted_or_unknown() {
    let mut bench = Bench::good("smi");
    bench.facts.window.smi.insert(1, Ok((7, 9)));
    assert_eq!(bench.find("clock.smi").severity, Warning);
    for unread in [Unread::Absent, Unread::Denied, Unread::Other("Input/output error".into())] {
        bench.facts.window.smi.insert(1, Err(unread));
        assert_eq!(bench.find("clock.smi").severity, Unknown);
    }
}

#[test]
fn rights_come_from_the_user_or_from_the_files() {
    let mut bench = Bench::good("rights");
    let both = ["rights.priority", "rights.locked_memory"];
    both.iter().for_each(|id| assert_eq!(bench.find(id).severity, Right));
    let live = bench.facts.live.as_mut().unwrap();
    live.binaries[1].1 = Ok(FileCapabilities::default());
    for id in both {
        let found = bench.find(id);
        assert_eq!(found.severity, Failure, "the guardian has none");
        let line = "sudo setcap cap_sys_nice,cap_ipc_lock=ep /opt/mechos/mechos-guardian";
        assert!(found.mend.unwrap().contains(line));
    }
    let live = bench.facts.live.as_mut().unwrap();
    live.trial = Trial::Granted;
    live.memlock_bytes = None;
    both.iter().for_each(|id| assert_eq!(bench.find(id).severity, Right));
    // What root may says nothing of the user who will start the daemon.
    bench.facts.live.as_mut().unwrap().sudo_user = Some("ada".into());
    both.iter().for_each(|id| assert_eq!(bench.find(id).severity, Failure));
}

#[test]
fn capabilities_that_count_for_nothing_are_not_advised() {
    let bench = Bench::good("void");
    let status = "CapEff:\t0\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t1";
    let mend = bench.turns("proc/self/status", status, "rights.priority", Failure);
    assert!(mend.contains("prlimit --pid $$ --rtprio=90") && !mend.contains("setcap"), "{mend}");
    bench.write("proc/self/status", "CapEff:\t0\nCapBnd:\t000001ffff7fffff\nNoNewPrivs:\t0");
    assert_eq!(bench.find("rights.priority").severity, Failure, "not in the bounding set");
    bench.write("proc/self/status", "CapEff:\t0\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0");
    assert_eq!(bench.find("rights.priority").severity, Right);
    let mounts = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /opt rw,nosuid - ext4 b rw";
    bench.write("proc/self/mountinfo", mounts);
    let found = bench.find("rights.priority");
    assert_eq!(found.severity, Failure);
    assert!(found.read.contains("/opt is mounted nosuid"), "{}", found.read);
}
