//! CPUs: whether those of the robot file exist, and whether anything else runs on them.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::{Cpus, Host, Unread};
use super::mend;

const FOLDER: &str = "/sys/devices/system/cpu";

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![present(facts, demand)];
    found.extend(allowed(facts, demand));
    found.push(apart(facts, demand));
    found.extend(isolation(facts, demand));
    found.push(sibling(facts, demand));
    found
}

fn present(facts: &Facts, demand: &Demand) -> Finding {
    let source = format!("{FOLDER}/online");
    let finding = Finding::new("cpu.online", "CPUs of the robot file").wanted(
        format!("CPU {} online", demand.all_cpus()),
        "The daemon pins its threads to these numbers and does not start where one is missing.",
    );
    let online = match facts.host.cpus(&source) {
        Ok(online) => online,
        Err(unread) => return finding.read(unread, source),
    };
    let missing = demand.all_cpus().without(&online);
    let severity = if missing.is_empty() { Severity::Ok } else { Severity::Failure };
    let finding = finding.read(format!("CPU {online} online"), source).judged(severity);
    let asleep = facts.host.cpus(&format!("{FOLDER}/present")).unwrap_or_default().and(&missing);
    if asleep == missing && !missing.is_empty() {
        let paths: Vec<String> =
            missing.iter().map(|cpu| format!("{FOLDER}/cpu{cpu}/online")).collect();
        return finding.mend(mend::sysfs(&facts.host, "cpu-online", "1", &paths));
    }
    finding.mend(format!(
        "# in {}, [threads]: name CPUs out of {online}{}",
        demand.file_words(),
        if online.count() == 1 { " everywhere, and shared_cpu = true" } else { "" }
    ))
}

/// A cpuset may take CPUs away that the kernel has.
fn allowed(facts: &Facts, demand: &Demand) -> Option<Finding> {
    let groups = facts.host.text("/proc/self/cgroup")?;
    let mut files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        match controllers {
            "" => Some(format!("/sys/fs/cgroup{path}/cpuset.cpus.effective")),
            names if names.split(',').any(|name| name == "cpuset") => {
                Some(format!("/sys/fs/cgroup/cpuset{path}/cpuset.effective_cpus"))
            }
            _ => None,
        }
    });
    let (file, cpus) = files.find_map(|file| {
        let file = file.replace("//", "/");
        facts.host.cpus(&file).ok().map(|cpus| (file, cpus))
    })?;
    let missing = demand.all_cpus().without(&cpus);
    let severity = if missing.is_empty() { Severity::Ok } else { Severity::Failure };
    let finding = Finding::new("cpu.cpuset", "CPUs of this control group")
        .read(format!("CPU {cpus}"), file)
        .wanted(
            format!("CPU {} among them", demand.all_cpus()),
            "A thread cannot be pinned to a CPU that its control group does not have.",
        )
        .judged(severity);
    Some(
        finding.mend(format!(
            "sudo systemctl set-property user.slice AllowedCPUs={}",
            cpus.or(&missing)
        )),
    )
}

/// Those that watch run apart from those that they watch.
fn apart(facts: &Facts, demand: &Demand) -> Finding {
    let threads = demand.threads;
    let online = facts.host.cpus(&format!("{FOLDER}/online")).unwrap_or_default();
    let watchers: Cpus = [threads.deadline.cpu, threads.guardian.cpu].into_iter().collect();
    let cyclic = demand.cyclic_cpus();
    let severity = match (watchers.and(&cyclic).is_empty(), online.count()) {
        (true, _) => Severity::Ok,
        (false, 0 | 1) => Severity::Note,
        (false, _) => demand.disturbance(),
    };
    let source = format!("[threads] of {}", demand.file_words());
    Finding::new("cpu.apart", "watchers apart from the watched")
        .read(format!("deadline, guardian on CPU {watchers}; control, bus on CPU {cyclic}"), source)
        .wanted(
            "no CPU in common",
            "A looping thread on a shared CPU keeps the deadline thread and the guardian from \
             stopping it; then only the drives' own watchdogs are left.",
        )
        .judged(severity)
        .mend(if online.count() > 1 {
            let other = online.without(&cyclic).iter().next().unwrap_or(0);
            format!(
                "# in {}, [threads]: cpu = {other} for deadline and guardian, without shared_cpu",
                demand.file_words()
            )
        } else {
            "# a host with a second CPU; no command gives one".to_owned()
        })
}

/// isolcpus, nohz_full, rcu_nocbs: each keeps another kind of work off the cyclic CPUs.
fn isolation(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let host = &facts.host;
    let cyclic = demand.cyclic_cpus();
    let isolated = host.cpus(&format!("{FOLDER}/isolated"));
    let quiet = match host.cpus(&format!("{FOLDER}/nohz_full")) {
        // A kernel built without it has no such file, and takes no such argument either.
        Err(Unread::Absent) => argument(host, "nohz_full"),
        read => read,
    };
    let callbacks = argument(host, "rcu_nocbs").map(|named| match &quiet {
        // The kernel takes callbacks off every nohz_full CPU by itself.
        Ok(quiet) => named.or(quiet),
        Err(_) => named,
    });
    let kinds = [
        (
            "isolcpus",
            isolated,
            "/sys/devices/system/cpu/isolated",
            "managed_irq,domain,",
            "The scheduler puts any program onto an ordinary CPU, and each leaves its cache and its \
             interrupts to the control thread.",
        ),
        (
            "nohz_full",
            quiet,
            "/sys/devices/system/cpu/nohz_full",
            "",
            "Otherwise the scheduler's tick interrupts the CPU 100 to 1000 times a second, also when \
             one thread runs there alone.",
        ),
        (
            "rcu_nocbs",
            callbacks,
            "/proc/cmdline",
            "",
            "Otherwise the kernel runs its deferred frees on the control thread's CPU, in bursts.",
        ),
    ];
    // All that is missing goes into one command: one line of the boot loader, one reboot.
    let missing = kinds.iter().filter_map(|(name, read, _, flags, _)| {
        let read = read.as_ref().ok()?;
        let lacks = !cyclic.without(read).is_empty();
        lacks.then(|| format!("{name}={flags}{}", read.or(&cyclic)))
    });
    let arguments = missing.collect::<Vec<_>>().join(" ");
    let found = kinds.into_iter().map(|(name, read, source, _, why)| {
        let finding =
            Finding::new(format!("cpu.{name}"), name).wanted(format!("CPU {cyclic}"), why);
        let read = match read {
            Ok(read) => read,
            Err(unread) => return finding.read(unread, source),
        };
        let missing = cyclic.without(&read);
        let words = if read.is_empty() { "no CPU".to_owned() } else { format!("CPU {read}") };
        let finding = finding.read(words, source);
        if missing.is_empty() {
            return finding.judged(Severity::Ok);
        }
        let (severity, mend) = match obstacle(host, demand, &cyclic) {
            Some((severity, what)) => (severity, what),
            None => (demand.disturbance(), mend::kernel_argument(host, "cpus", &arguments)),
        };
        finding.judged(severity).mend(mend)
    });
    found.collect()
}

/// Why the cyclic CPUs cannot be isolated as they stand.
fn obstacle(host: &Host, demand: &Demand, cyclic: &Cpus) -> Option<(Severity, String)> {
    let online = host.cpus(&format!("{FOLDER}/online")).unwrap_or_default();
    if online.count() < 2 {
        let what = "# a host with a second CPU: the only one cannot be isolated";
        return Some((Severity::Note, what.to_owned()));
    }
    if cyclic.has(0) {
        let other = online.iter().next_back().unwrap_or(1);
        let what = format!(
            "# in {}, [threads]: cpu = {other} for control and bus (CPU 0 keeps the kernel's time and \
             cannot be isolated), then ask again",
            demand.file_words()
        );
        return Some((demand.disturbance(), what));
    }
    None
}

/// The CPUs in an argument of the kernel's command line, without its flags.
fn argument(host: &Host, name: &str) -> Result<Cpus, Unread> {
    let line = host.read("/proc/cmdline")?;
    let mut values =
        line.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let is_number = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    let cpus =
        values.next_back().map(|value| value.split(',').filter(is_number).collect::<Vec<_>>());
    let text = cpus.unwrap_or_default().join(",");
    Cpus::parse(&text).ok_or_else(|| Unread::Other(format!("'{name}' is no list of CPUs")))
}

/// Another hardware thread of a cyclic CPU's core takes its execution units at any time.
fn sibling(facts: &Facts, demand: &Demand) -> Finding {
    let host = &facts.host;
    let cyclic = demand.cyclic_cpus();
    let online = host.cpus(&format!("{FOLDER}/online")).unwrap_or_default();
    let file = |cpu| format!("{FOLDER}/cpu{cpu}/topology/thread_siblings_list");
    let source = file(cyclic.iter().next().unwrap_or(0));
    let finding = Finding::new("cpu.smt", "hardware threads of the same core").wanted(
        format!("none online beside CPU {cyclic}"),
        "Two hardware threads share one core's execution units and caches, so that a busy neighbour \
         makes a tick up to twice as long.",
    );
    if !cyclic.without(&online).is_empty() {
        return finding.read(format!("CPU {cyclic} is not online"), source);
    }
    let mut siblings = Cpus::default();
    for cpu in cyclic.iter() {
        match host.cpus(&file(cpu)) {
            Ok(cpus) => siblings = siblings.or(&cpus),
            Err(unread) => return finding.read(unread, file(cpu)),
        }
    }
    let busy = siblings.without(&cyclic).and(&online);
    if busy.is_empty() {
        return finding.read("none online", source).judged(Severity::Ok);
    }
    let needed = busy.and(&demand.all_cpus());
    let finding = finding.read(format!("CPU {busy} online"), source).judged(demand.disturbance());
    finding.mend(if needed.is_empty() {
        let paths: Vec<String> =
            busy.iter().map(|cpu| format!("{FOLDER}/cpu{cpu}/online")).collect();
        mend::sysfs(host, "smt", "0", &paths)
    } else {
        format!(
            "# in {}, [threads]: CPU {needed} shares a core with CPU {cyclic}; take CPUs of two cores",
            demand.file_words()
        )
    })
}
