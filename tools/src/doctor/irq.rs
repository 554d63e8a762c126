//! Interrupts that may come to the CPUs of the cycle.

use super::demand::Demand;
use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::host::{Cpus, Host};
use super::mend;

/// More numbers than this make no line that a person reads.
const NAMED_MAX: usize = 4;

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![affinity(facts, demand)];
    found.extend(balancer(facts, demand));
    found
}

/// One interrupt that may come to a cyclic CPU.
struct Interrupt {
    number: u32,
    name: String,
    is_managed: bool,
    /// How often it came to a cyclic CPU since boot.
    came: u64,
}

fn affinity(facts: &Facts, demand: &Demand) -> Finding {
    let host = &facts.host;
    let cyclic = demand.cyclic_cpus();
    let finding = Finding::new("irq.affinity", "device interrupts").wanted(
        format!("none on CPU {cyclic}"),
        "A device's interrupt stops the control thread where it stands, for as long as its handler \
         takes.",
    );
    let source = "/proc/irq/*/effective_affinity_list";
    let online = host.cpus("/sys/devices/system/cpu/online").unwrap_or_default();
    let elsewhere = online.without(&cyclic);
    if !cyclic.without(&online).is_empty() {
        return finding.read(format!("CPU {cyclic} is not online"), source);
    }
    if !host.exists("/proc/irq") {
        return finding.read("not there", "/proc/irq");
    }
    let found = on_cpus(host, &cyclic);
    if found.is_empty() {
        return finding.read("none", source).judged(Severity::Ok);
    }
    let active: Vec<&Interrupt> = found.iter().filter(|one| one.came > 0).collect();
    let read = format!(
        "{} may come, {} did since boot{}",
        found.len(),
        active.len(),
        names(if active.is_empty() { found.iter().collect() } else { active.clone() })
    );
    if elsewhere.is_empty() {
        let mend = "# a host with a second CPU: on the only one every interrupt comes to the cycle";
        return finding.read(read, source).judged(Severity::Note).mend(mend);
    }
    let severity = if active.is_empty() { Severity::Note } else { demand.disturbance() };
    let numbers = |managed: bool| {
        let chosen = found.iter().filter(move |one| one.is_managed == managed);
        chosen.map(|one| one.number.to_string()).collect::<Vec<_>>().join(" ")
    };
    let mut lines = Vec::new();
    let (free, managed) = (numbers(false), numbers(true));
    if !free.is_empty() {
        lines.push(format!(
            "for n in {free}; do echo {elsewhere} | sudo tee /proc/irq/$n/smp_affinity_list; done"
        ));
        lines.push(mend::kernel_argument(host, "irqaffinity", &format!("irqaffinity={elsewhere}")));
    }
    if !managed.is_empty() && !cyclic.has(0) {
        // The driver spread these over all CPUs; only the kernel's command line keeps them off.
        lines.push(mend::kernel_argument(
            host,
            "managed-irq",
            &format!("isolcpus=managed_irq,domain,{cyclic}"),
        ));
    }
    finding.read(read, source).judged(severity).mend(lines.join("\n"))
}

fn names(interrupts: Vec<&Interrupt>) -> String {
    let named = interrupts.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(|one| format!("{} {}", one.number, one.name)).collect();
    let more = if interrupts.len() > NAMED_MAX { ", ..." } else { "" };
    format!(": {}{more}", named.join(", "))
}

/// Numbered interrupts that may come to one of these CPUs.
fn on_cpus(host: &Host, cpus: &Cpus) -> Vec<Interrupt> {
    let table = host.text("/proc/interrupts").unwrap_or_default();
    let head: Vec<usize> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("CPU")?.parse().ok())
        .collect();
    let numbers = host.names("/proc/irq").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let found = numbers.filter_map(|number| {
        let effective = host.cpus(&format!("/proc/irq/{number}/effective_affinity_list"));
        let asked = host.cpus(&format!("/proc/irq/{number}/smp_affinity_list"));
        let affinity = match (effective, asked) {
            // A change of what was asked takes effect with the next interrupt.
            (Ok(effective), Ok(asked)) if !effective.is_empty() => effective.and(&asked),
            (Ok(effective), Err(_)) => effective,
            // An interrupt that is not in use has no effective one.
            (_, Ok(asked)) => asked,
            (Err(_), Err(_)) => return None,
        };
        let row = row_of(&table, number)?;
        if affinity.and(cpus).is_empty() {
            return None;
        }
        let words: Vec<&str> = row.split_whitespace().collect();
        let counts = head.iter().zip(&words).filter(|(cpu, _)| cpus.has(**cpu));
        let came = counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum();
        let name = words.get(head.len()..).and_then(<[&str]>::last).unwrap_or(&"").to_string();
        // The boot timer of x86 belongs to one CPU for good.
        if name == "timer" {
            return None;
        }
        Some(Interrupt { number, is_managed: is_managed(host, number, &name), name, came })
    });
    found.collect()
}

/// The row of an interrupt, behind its number. Without a row nobody uses it.
fn row_of(table: &str, number: u32) -> Option<&str> {
    table.lines().find_map(|line| {
        let (head, row) = line.split_once(':')?;
        (head.trim().parse() == Ok(number)).then_some(row)
    })
}

/// Whether the kernel keeps its affinity to itself: told to root, else guessed by the drivers that
/// are known for it.
fn is_managed(host: &Host, number: u32, name: &str) -> bool {
    match host.text(&format!("/sys/kernel/debug/irq/irqs/{number}")) {
        Some(text) => text.contains("IRQD_AFFINITY_MANAGED"),
        None => name.starts_with("nvme") && name.contains('q') && !name.ends_with("q0"),
    }
}

/// irqbalance moves interrupts around for throughput.
fn balancer(facts: &Facts, demand: &Demand) -> Option<Finding> {
    const FILE: &str = "/etc/default/irqbalance";
    let cyclic = demand.cyclic_cpus();
    let (number, _) = facts.host.processes().into_iter().find(|(_, name)| name == "irqbalance")?;
    let settings = facts.host.text(FILE).unwrap_or_default();
    let banned = settings.lines().find_map(|line| line.strip_prefix("IRQBALANCE_BANNED_CPULIST="));
    let banned = banned.and_then(|list| Cpus::parse(list.trim_matches('"'))).unwrap_or_default();
    let is_kept_off = cyclic.without(&banned).is_empty();
    let severity = if is_kept_off { Severity::Ok } else { demand.disturbance() };
    let finding = Finding::new("irq.irqbalance", "irqbalance")
        .read(format!("runs (process {number}), kept off CPU {banned}"), FILE)
        .wanted(
            format!("kept off CPU {cyclic}, or not running"),
            "It moves interrupts between CPUs every ten seconds, also onto the control thread's.",
        )
        .judged(severity);
    Some(finding.mend(format!(
        "echo 'IRQBALANCE_BANNED_CPULIST={}' | sudo tee -a {FILE} && sudo systemctl restart irqbalance",
        banned.or(&cyclic)
    )))
}
