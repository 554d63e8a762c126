//! Who runs where, and who may interrupt whom.

use toml::Spanned;

use crate::error::Objection;
use crate::file::{self, WakeWord};
use crate::rules::whole;
use crate::spec::{ThreadSpec, Threads, Wake};

/// Checks priorities, CPUs and the wake-up, for ticks of `period_ns`.
pub(crate) fn threads(table: &file::ThreadsTable, period_ns: u64) -> Result<Threads, Objection> {
    let threads = Threads {
        control: thread(&table.control)?,
        bus: thread(&table.bus)?,
        deadline: thread(&table.deadline)?,
        guardian: thread(&table.guardian)?,
        housekeeping_cpu: whole("housekeeping_cpu", &table.housekeeping_cpu)?,
        shared_cpu: table.shared_cpu,
        wake: wake(table, period_ns)?,
    };
    order(table, &threads)?;
    separate(table, &threads)?;
    Ok(threads)
}

fn thread(table: &file::Thread) -> Result<ThreadSpec, Objection> {
    let priority = whole("priority", &table.priority)?;
    Ok(ThreadSpec { priority, cpu: whole("cpu", &table.cpu)? })
}

/// The margin is written out: it must be longer than this very host's wake-up delays, which only its
/// owner has measured.
fn wake(table: &file::ThreadsTable, period_ns: u64) -> Result<Wake, Objection> {
    let spins = table.wake.as_ref().filter(|word| *word.get_ref() == WakeWord::Spin);
    match (spins, &table.spin_margin_us) {
        (None, None) => Ok(Wake::Sleep),
        (None, Some(margin)) => {
            let found = "a margin without wake = \"spin\"";
            Err(Objection::at(margin.span(), found, "wake = \"spin\" beside it, or no margin"))
        }
        (Some(word), None) => {
            let mend =
                "Measure the host's longest wake-up with `mechos latency`; twice that is a start.";
            Err(Objection::at(word.span(), "no spin_margin_us", "spin_margin_us beside it")
                .mend(mend))
        }
        (Some(_), Some(raw)) => {
            let margin_ns = whole::<u64>("spin_margin_us", raw)?.saturating_mul(1000);
            if margin_ns > period_ns / 2 {
                let allowed = format!("at most half a period, {} us", period_ns / 2000);
                let found = format!("{} us", margin_ns / 1000);
                return Err(Objection::at(raw.span(), found, allowed));
            }
            Ok(Wake::Spin { margin_ns })
        }
    }
}

/// A watcher must be able to interrupt what it watches.
fn order(table: &file::ThreadsTable, threads: &Threads) -> Result<(), Objection> {
    let pairs = [
        ("control", threads.control, "bus", threads.bus, &table.bus),
        ("bus", threads.bus, "guardian", threads.guardian, &table.guardian),
        ("guardian", threads.guardian, "deadline", threads.deadline, &table.deadline),
    ];
    for (low, below, high, above, raw) in pairs {
        if above.priority <= below.priority {
            let found = format!("{} for {high}, with {} for {low}", above.priority, below.priority);
            let allowed = "deadline above guardian above bus above control";
            let mend = "A start: deadline 90, guardian 89, bus 75, control 70.";
            return Err(Objection::at(raw.priority.span(), found, allowed).mend(mend));
        }
    }
    Ok(())
}

/// An endless loop in the control or a bus thread must not starve those that watch it, nor one in
/// a watcher those that watch the watcher.
fn separate(table: &file::ThreadsTable, threads: &Threads) -> Result<(), Objection> {
    if threads.shared_cpu {
        return Ok(());
    }
    let taken = [("control", threads.control.cpu), ("bus", threads.bus.cpu)];
    let watchers: [(&str, &Spanned<i64>, usize); 3] = [
        ("deadline", &table.deadline.cpu, threads.deadline.cpu),
        ("guardian", &table.guardian.cpu, threads.guardian.cpu),
        ("housekeeping", &table.housekeeping_cpu, threads.housekeeping_cpu),
    ];
    for (watcher, raw, cpu) in watchers {
        if let Some((watched, _)) = taken.iter().find(|(_, taken)| *taken == cpu) {
            let found = format!("CPU {cpu} for {watcher}, where {watched} runs");
            let allowed = "deadline, guardian and housekeeping apart from control and bus";
            let mend = "On a host with one CPU write threads.shared_cpu = true to accept that an \
                        endless loop in a watcher is seen by the drives' watchdogs only.";
            return Err(Objection::at(raw.span(), found, allowed).mend(mend));
        }
    }
    Ok(())
}
