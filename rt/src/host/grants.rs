//! What each thread really got: read back from the kernel at every question.

use std::fs;
use std::sync::{Mutex, PoisonError};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::memory;
use super::slots::{self, Slot, SlotCounters};
use super::threads::ThreadPlan;

/// One thread as the kernel has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadGrant {
    /// Its name.
    pub name: String,
    /// "SCHED_FIFO", "SCHED_OTHER", ... or "ended".
    pub policy: &'static str,
    /// Priority under SCHED_FIFO or SCHED_RR, else 0.
    pub priority: u8,
    /// The CPU, when it may run on one only.
    pub cpu: Option<usize>,
    /// The CPUs it may run on, as "0-1,3".
    pub cpus: String,
    /// All resident memory of the process is locked.
    pub locked: bool,
    /// The kernel's number of the thread.
    pub tid: i32,
    /// Page faults and switches so far.
    pub counters: ThreadCounters,
    /// What it did that it may not do after arming.
    pub slot: SlotCounters,
    /// It runs under its list of system calls.
    pub filtered: bool,
    /// What was asked.
    pub asked: ThreadPlan,
}

/// What disturbed a thread since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounters {
    /// Page faults served without a disk.
    pub faults_minor: u64,
    /// Page faults that waited for a disk.
    pub faults_major: u64,
    /// Switches that the thread asked for, by sleeping.
    pub switches_voluntary: u64,
    /// Switches that took the CPU from it.
    pub switches_involuntary: u64,
}

impl ThreadGrant {
    /// Whether the thread has what was asked for it: policy, priority, CPU, and for a real-time
    /// thread locked memory.
    #[must_use]
    pub fn is_as_asked(&self) -> bool {
        let scheduled = match self.asked.priority {
            Some(priority) => self.policy == FIFO && self.priority == priority && self.locked,
            None => self.policy != ENDED,
        };
        scheduled && self.asked.cpu.is_none_or(|cpu| self.cpu == Some(cpu))
    }
}

impl ThreadGrant {
    /// A thread that is there and that the kernel does not let this process look at.
    #[must_use]
    pub fn unread(plan: &ThreadPlan) -> Self {
        Self {
            name: plan.name.clone(),
            policy: UNREAD,
            priority: 0,
            cpu: None,
            cpus: UNREAD.to_owned(),
            locked: false,
            tid: 0,
            counters: ThreadCounters::default(),
            slot: SlotCounters::default(),
            filtered: false,
            asked: plan.clone(),
        }
    }
}

/// CPUs that a thread may run on.
pub(super) struct Cpus {
    /// The only one, if it is one.
    pub(super) single: Option<usize>,
    /// As "0-1,3".
    pub(super) text: String,
}

const FIFO: &str = "SCHED_FIFO";
const ENDED: &str = "ended";
const UNREAD: &str = "not readable";

/// A listed thread.
#[derive(Clone)]
struct Listed {
    plan: ThreadPlan,
    tid: Pid,
    slot: &'static Slot,
}

static THREADS: Mutex<Vec<Listed>> = Mutex::new(Vec::new());

/// Keeps a thread listed; belongs to that thread.
#[derive(Debug)]
pub struct Registration {
    slot: &'static Slot,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // No lock: a real-time thread may not wait for one, at its end either.
        self.slot.end();
    }
}

/// The living threads. The kernel may give an ended one's number to another thread, so that it must
/// not stay.
fn living() -> std::sync::MutexGuard<'static, Vec<Listed>> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|listed| !listed.slot.has_ended());
    threads
}

/// Lists the calling thread; a real-time one counts in its slot from here on.
pub(super) fn register(plan: ThreadPlan, tid: Pid) -> Registration {
    let slot = Slot::leak();
    if plan.priority.is_some() {
        slots::own(slot);
    }
    living().push(Listed { plan, tid, slot });
    Registration { slot }
}

/// Every listed thread that lives, in the order of their start, as the kernel has it now. Reads
/// /proc: not for a real-time thread.
#[must_use]
pub fn grants() -> Vec<ThreadGrant> {
    let threads = living().clone();
    let locked = memory::is_all_locked();
    threads.into_iter().map(|listed| read_back(listed, locked)).collect()
}

fn read_back(Listed { plan: asked, tid, slot }: Listed, locked: bool) -> ThreadGrant {
    let (policy, priority) = scheduling_of(tid);
    let cpus = cpus_of(tid);
    ThreadGrant {
        name: asked.name.clone(),
        policy,
        priority,
        cpu: cpus.single,
        cpus: cpus.text,
        locked,
        tid: tid.as_raw(),
        counters: counters_of(tid).unwrap_or_default(),
        slot: slot.counters(),
        filtered: slot.is_filtered(),
        asked,
    }
}

/// A thread of another process, by its name there, as the kernel has it now; `asked` holds the name.
/// Its slot is its own process' to read. Reads /proc: not for a real-time thread.
#[must_use]
pub fn grant_of_peer(pid: i32, asked: &ThreadPlan) -> Option<ThreadGrant> {
    let tid = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().find_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        let tid = entry.file_name().to_str()?.parse().ok()?;
        (name.trim_end() == asked.name).then(|| Pid::from_raw(tid))
    })?;
    let (policy, priority) = scheduling_of(tid);
    let cpus = cpus_of(tid);
    Some(ThreadGrant {
        name: asked.name.clone(),
        policy,
        priority,
        cpu: cpus.single,
        cpus: cpus.text,
        locked: memory::is_all_locked_of(pid),
        tid: tid.as_raw(),
        counters: ThreadCounters::default(),
        slot: SlotCounters::default(),
        filtered: false,
        asked: asked.clone(),
    })
}

/// Policy by name, and priority.
pub(super) fn scheduling_of(tid: Pid) -> (&'static str, u8) {
    let mut parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: plain numbers in, a number out; nix has no such call.
    let policy = unsafe { libc::sched_getscheduler(tid.as_raw()) };
    // SAFETY: `parameter` outlives the call, which writes one sched_param.
    let result = unsafe { libc::sched_getparam(tid.as_raw(), &raw mut parameter) };
    if policy < 0 || result != 0 {
        return (ENDED, 0);
    }
    let name = match policy & !libc::SCHED_RESET_ON_FORK {
        libc::SCHED_OTHER => "SCHED_OTHER",
        libc::SCHED_FIFO => FIFO,
        libc::SCHED_RR => "SCHED_RR",
        libc::SCHED_BATCH => "SCHED_BATCH",
        libc::SCHED_IDLE => "SCHED_IDLE",
        libc::SCHED_DEADLINE => "SCHED_DEADLINE",
        _ => "unknown",
    };
    (name, u8::try_from(parameter.sched_priority).unwrap_or(0))
}

/// The CPUs that a thread may run on; none when it has ended.
pub(super) fn cpus_of(tid: Pid) -> Cpus {
    let set = sched_getaffinity(tid).unwrap_or_default();
    let cpus: Vec<usize> =
        (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
    let single = match cpus.as_slice() {
        [cpu] => Some(*cpu),
        _ => None,
    };
    Cpus { single, text: ranges(&cpus) }
}

/// Ascending numbers as "0-1,3".
fn ranges(numbers: &[usize]) -> String {
    numbers
        .chunk_by(|left, right| left + 1 == *right)
        .filter_map(|run| match run {
            [] => None,
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// proc_pid_stat(5) fields 10 and 12, and the switches of the status file.
fn counters_of(tid: Pid) -> Option<ThreadCounters> {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/self/task/{tid}/status")).ok()?;
    let switches = |key: &str| {
        status.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
    };
    // The name, field 2, may hold blanks and brackets; the last bracket ends it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(ThreadCounters {
        faults_minor: field(10)?,
        faults_major: field(12)?,
        switches_voluntary: switches("voluntary_ctxt_switches:")?,
        switches_involuntary: switches("nonvoluntary_ctxt_switches:")?,
    })
}

/// The calling thread's own counters, to name the cause of a miss: one system call, no allocation.
#[must_use]
pub fn counters_of_current() -> ThreadCounters {
    let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD)
    else {
        return ThreadCounters::default();
    };
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    ThreadCounters {
        faults_minor: count(usage.minor_page_faults()),
        faults_major: count(usage.major_page_faults()),
        switches_voluntary: count(usage.voluntary_context_switches()),
        switches_involuntary: count(usage.involuntary_context_switches()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::threads::spawn;
    use super::*;

    fn grant_while_running(plan: ThreadPlan) -> ThreadGrant {
        let name = plan.name.clone();
        let (end, wait) = mpsc::channel::<()>();
        let handle = spawn(plan, move || wait.recv()).unwrap();
        let grant = grants().into_iter().find(|grant| grant.name == name).unwrap();
        drop(end);
        let _ = handle.join().unwrap();
        assert!(!grants().iter().any(|grant| grant.name == name), "an ended thread stays listed");
        grant
    }

    #[test]
    fn an_ordinary_thread_reads_back_as_such() {
        let grant = grant_while_running(ThreadPlan::ordinary("grants-ordinary"));
        assert_eq!((grant.policy, grant.priority), ("SCHED_OTHER", 0));
        assert!(grant.is_as_asked());
    }

    #[test]
    fn a_thread_that_cannot_be_read_has_nothing_of_what_was_asked() {
        assert!(!ThreadGrant::unread(&ThreadPlan::real_time("x", 50, 0)).is_as_asked());
    }

    #[test]
    fn a_pinned_thread_reads_back_its_cpu() {
        let cpu = core_affinity::get_core_ids().unwrap().last().unwrap().id;
        let plan = ThreadPlan { cpu: Some(cpu), ..ThreadPlan::ordinary("grants-pinned") };
        let grant = grant_while_running(plan);
        assert_eq!(grant.cpu, Some(cpu));
        assert_eq!(grant.cpus, cpu.to_string());
    }

    #[test]
    fn a_refused_priority_is_shown_not_hidden() {
        let plan = ThreadPlan { priority: Some(1), ..ThreadPlan::ordinary("grants-fifo") };
        let grant = grant_while_running(plan);
        match grant.policy {
            "SCHED_FIFO" => assert_eq!((grant.priority, grant.is_as_asked()), (1, grant.locked)),
            policy => assert_eq!((policy, grant.is_as_asked()), ("SCHED_OTHER", false)),
        }
    }

    #[test]
    fn cpu_lists_are_written_as_the_kernel_writes_them() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[0, 1, 3]), "0-1,3");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[0, 2, 3, 4, 9]), "0,2-4,9");
    }

    #[test]
    fn a_threads_own_counters_only_grow() {
        let first = counters_of_current();
        let second = counters_of_current();
        assert!(second.faults_minor >= first.faults_minor);
        assert!(second.switches_involuntary >= first.switches_involuntary);
    }
}
