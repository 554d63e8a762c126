//! Preemption, throttling, isolation, CPUs.

use super::super::demand::Demand;
use super::super::finding::Severity::{Failure, Note, Ok as Right, Unknown, Warning};
use super::Bench;

#[test]
fn a_kernel_without_preempt_rt_gives_no_real_time() {
    let bench = Bench::good("preempt");
    bench.remove("sys/kernel/realtime");
    assert_eq!(bench.find("kernel.preempt_rt").severity, Right, "the version says it too");
    let version = "proc/sys/kernel/version";
    let mend = bench.turns(version, "#1 SMP PREEMPT_DYNAMIC", "kernel.preempt_rt", Failure);
    assert!(mend.starts_with("sudo apt install linux-image-rt-"), "{mend}");
    bench.write("etc/os-release", "ID=ubuntu");
    assert!(bench.find("kernel.preempt_rt").mend.unwrap().contains("pro enable realtime-kernel"));
    let simulated = Demand { is_strict: false, ..bench.demand.clone() };
    assert_eq!(Bench { demand: simulated, ..bench }.find("kernel.preempt_rt").severity, Warning);
}

#[test]
fn the_throttle_is_wanted_only_where_watchers_share_a_cpu() {
    let file = "proc/sys/kernel/sched_rt_runtime_us";
    let mut bench = Bench::good("throttle");
    let mend = bench.turns(file, "950000", "kernel.rt_throttling", Warning);
    assert!(mend.contains("echo -1 | sudo tee /proc/sys/kernel/sched_rt_runtime_us"), "{mend}");
    bench.demand.threads.shared_cpu = true;
    assert_eq!(bench.find("kernel.rt_throttling").severity, Right);
    bench.write(file, "-1");
    assert_eq!(bench.find("kernel.rt_throttling").severity, Note);
    // The control thread spins for longer than the throttle lets it run.
    bench.demand.busy_percent_max = 96;
    bench.write(file, "950000");
    assert_eq!(bench.find("kernel.rt_throttling").severity, Failure);
    bench.write(file, "0");
    assert_eq!(bench.find("kernel.rt_throttling").severity, Failure);
}

#[test]
fn kernel_housekeeping_is_noted() {
    let bench = Bench::good("housekeeping");
    let sys = "proc/sys";
    bench.turns(&format!("{sys}/kernel/timer_migration"), "1", "kernel.timer_migration", Note);
    bench.turns(&format!("{sys}/vm/stat_interval"), "1", "kernel.stat_interval", Note);
    bench.turns(&format!("{sys}/kernel/numa_balancing"), "1", "memory.numa_balancing", Note);
    let mask = format!("{sys}/kernel/watchdog_cpumask");
    let mend = bench.turns(&mask, "0-3", "kernel.watchdog", Note);
    assert!(mend.starts_with("echo 0,2-3 | sudo tee /proc/sys/kernel/watchdog_cpumask"), "{mend}");
    bench.write(&format!("{sys}/kernel/nmi_watchdog"), "1");
    assert!(bench.find("kernel.watchdog").mend.unwrap().contains("nmi_watchdog"));
    bench.write("proc/self/cgroup", "4:cpu,cpuacct:/user.slice\n0::/user.slice");
    bench.write("sys/fs/cgroup/cpu/user.slice/cpu.rt_runtime_us", "0");
    let group = bench.find("kernel.rt_group");
    assert_eq!(group.severity, Failure, "{group:#?}");
    bench.write("proc/self/uid_map", "0 1000 1");
    assert_eq!(bench.find("kernel.container").severity, Warning);
}

#[test]
fn isolation_is_mended_by_one_line_for_the_right_cpus() {
    let mut bench = Bench::good("isolation");
    let mend = bench.turns("sys/devices/system/cpu/isolated", "", "cpu.isolcpus", Warning);
    assert!(mend.contains("isolcpus=managed_irq,domain,1\"'"), "{mend}");
    bench.write("sys/devices/system/cpu/nohz_full", "(null)");
    bench.write("proc/cmdline", "quiet");
    bench.demand.threads.control.cpu = 2;
    bench.demand.threads.bus.cpu = 3;
    for id in ["cpu.isolcpus", "cpu.nohz_full", "cpu.rcu_nocbs"] {
        let found = bench.find(id);
        assert_eq!(found.severity, Warning);
        let mend = found.mend.unwrap();
        let wanted = "isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2-3";
        assert!(mend.contains(wanted) && mend.contains("update-grub"), "{mend}");
    }
    // nohz_full takes the callbacks away by itself.
    bench.write("sys/devices/system/cpu/nohz_full", "2-3");
    assert_eq!(bench.find("cpu.rcu_nocbs").severity, Right);
}

#[test]
fn cpu_0_and_an_only_cpu_cannot_be_isolated() {
    let mut bench = Bench::good("cpu0");
    bench.write("sys/devices/system/cpu/isolated", "");
    bench.demand.threads.control.cpu = 0;
    let found = bench.find("cpu.isolcpus");
    assert!(found.mend.unwrap().contains("in my.toml, [threads]: cpu = 3"));
    assert_eq!(bench.find("cpu.apart").severity, Warning, "the deadline thread is there too");
    bench.write("sys/devices/system/cpu/online", "0");
    bench.demand.threads.bus.cpu = 0;
    assert_eq!(bench.find("cpu.isolcpus").severity, Note);
    assert_eq!(bench.find("cpu.apart").severity, Note);
}

#[test]
fn a_missing_cpu_stops_the_daemon() {
    let online = "sys/devices/system/cpu/online";
    let mut bench = Bench::good("online");
    let mend = bench.turns(online, "0,2-3", "cpu.online", Failure);
    assert!(mend.contains("echo 1 | sudo tee /sys/devices/system/cpu/cpu1/online"), "{mend}");
    bench.demand.threads.control.cpu = 9;
    assert!(bench.find("cpu.online").mend.unwrap().contains("name CPUs out of 0,2-3"));
    assert_eq!(bench.find("irq.affinity").severity, Unknown);
    bench.write("sys/fs/cgroup/user.slice/cpuset.cpus.effective", "2-3");
    assert_eq!(bench.find("cpu.cpuset").severity, Failure);
}

#[test]
fn a_busy_hardware_thread_is_switched_off_unless_the_robot_needs_it() {
    let bench = Bench::good("smt");
    let file = "sys/devices/system/cpu/cpu1/topology/thread_siblings_list";
    let mend = bench.turns(file, "1,3", "cpu.smt", Warning);
    assert_eq!(mend, "echo 0 | sudo tee /sys/devices/system/cpu/cpu3/online");
    bench.write(file, "0-1");
    assert!(bench.find("cpu.smt").mend.unwrap().contains("CPU 0 shares a core with CPU 1"));
}
