//! The ledger in words: which thread, what was asked, what was found. Pure.

use mechos_operator::ThreadStatus;

use super::since::Since;
use crate::host::grants::ThreadGrant;
use crate::host::syscalls;
use crate::host::threads::ThreadPlan;

/// What was asked for a thread: `SCHED_FIFO 70, CPU 1, locked memory`.
#[must_use]
pub fn asked(plan: &ThreadPlan) -> String {
    let policy = match plan.priority {
        Some(priority) => format!("SCHED_FIFO {priority}"),
        None => "SCHED_OTHER".to_owned(),
    };
    let cpu = plan.cpu.map_or_else(String::new, |cpu| format!(", CPU {cpu}"));
    let memory = if plan.priority.is_some() { ", locked memory" } else { "" };
    format!("{policy}{cpu}{memory}")
}

/// What was found.
fn found(grant: &ThreadGrant) -> String {
    let memory = if grant.locked { "locked memory" } else { "memory not locked" };
    match grant.priority {
        0 => format!("{}, CPU {}, {memory}", grant.policy, grant.cpus),
        priority => format!("{} {priority}, CPU {}, {memory}", grant.policy, grant.cpus),
    }
}

/// A thread that lacks what was asked for it, and how that is mended.
#[must_use]
pub fn difference(grant: &ThreadGrant) -> Option<String> {
    if grant.is_as_asked() {
        return None;
    }
    let (name, asked) = (&grant.name, asked(&grant.asked));
    Some(format!("{name}: asked {asked}; found {} (`mechos doctor` names the mend)", found(grant)))
}

/// A real-time thread that is gone.
#[must_use]
pub fn ended(plan: &ThreadPlan) -> String {
    format!("{}: asked {}; the thread has ended", plan.name, asked(plan))
}

/// A real-time thread whose system calls nobody watches.
#[must_use]
pub fn warning(grant: &ThreadGrant) -> Option<String> {
    let unwatched = grant.asked.priority.is_some() && !grant.filtered;
    unwatched.then(|| {
        format!(
            "thread {} runs without its list of system calls: this kernel takes no seccomp \
             filter; mend: boot a kernel built with `CONFIG_SECCOMP_FILTER=y`",
            grant.name
        )
    })
}

/// A thread for the status.
#[must_use]
pub fn status(grant: &ThreadGrant, since: Since) -> ThreadStatus {
    ThreadStatus {
        name: grant.name.clone(),
        policy: grant.policy.to_owned(),
        priority: i32::from(grant.priority),
        cpu: grant.cpu,
        locked: grant.locked,
        tid: grant.tid,
        real_time: grant.asked.priority.is_some(),
        asked: asked(&grant.asked),
        as_asked: grant.is_as_asked(),
        filtered: grant.filtered,
        faults_minor: since.counters.faults_minor,
        faults_major: since.counters.faults_major,
        switches_voluntary: since.counters.switches_voluntary,
        switches_involuntary: since.counters.switches_involuntary,
        allocations: since.slot.allocations,
        calls_unlisted: since.slot.calls_unlisted,
        last_call: since.slot.last_call.map(syscalls::name),
    }
}
