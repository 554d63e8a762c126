//! Threads as planned: name, SCHED_FIFO priority, CPU.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nix::unistd::Pid;

pub use super::grants::{Registration, ThreadCounters, ThreadGrant, counters_of_current, grants};
use super::{HostError, grants as listed, memory};

/// Room for a thread's stack, bytes; all of it is locked where memory is.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Timers of the thread fire this exactly, ns (prctl PR_SET_TIMERSLACK; 0 would mean the default).
const TIMER_SLACK_NS: libc::c_ulong = 1;

/// What a thread is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Its name; the kernel shows the first 15 bytes.
    pub name: String,
    /// SCHED_FIFO priority, 1 to 99; `None`: SCHED_OTHER.
    pub priority: Option<u8>,
    /// The CPU it is pinned to, by the kernel's number; `None`: wherever its maker may run.
    pub cpu: Option<usize>,
}

impl ThreadPlan {
    /// A real-time thread.
    #[must_use]
    pub fn real_time(name: impl Into<String>, priority: u8, cpu: usize) -> Self {
        Self { name: name.into(), priority: Some(priority), cpu: Some(cpu) }
    }

    /// A thread of ordinary priority on any CPU.
    #[must_use]
    pub fn ordinary(name: impl Into<String>) -> Self {
        Self { name: name.into(), priority: None, cpu: None }
    }
}

/// Starts a thread as planned and returns once it runs so. A host that refuses SCHED_FIFO is no
/// error: the thread then runs under SCHED_OTHER, and [`grants`] says so. A panic of
/// `body` ends the thread; catching it is the body's business.
///
/// # Errors
/// [`HostError`]: no thread, a CPU that may not be used, a priority that does not exist.
pub fn spawn<T: Send + 'static>(
    plan: ThreadPlan,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, HostError> {
    check_priority(&plan)?;
    let name = plan.name.clone();
    let (begun, wait) = mpsc::sync_channel(1);
    let handle = thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let registration = match adopt(plan) {
                Ok(registration) => registration,
                Err(error) => {
                    let _ = begun.send(Err(error));
                    // Ends this thread without a result; nobody keeps its handle.
                    resume_unwind(Box::new(()));
                }
            };
            let _ = begun.send(Ok(()));
            drop(begun);
            let result = body();
            drop(registration);
            result
        })
        .map_err(|source| HostError::Spawn { name: name.clone(), source })?;
    match wait.recv() {
        Ok(Ok(())) => Ok(handle),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(HostError::Spawn { name, source: io::Error::other("it ended at once") }),
    }
}

/// Makes the calling thread as planned, and lists it among [`grants`] until the returned
/// registration is dropped.
///
/// # Errors
/// As [`spawn`].
pub fn adopt(plan: ThreadPlan) -> Result<Registration, HostError> {
    check_priority(&plan)?;
    if let Some(cpu) = plan.cpu {
        pin(&plan.name, cpu)?;
    }
    set_timer_slack();
    if let Some(priority) = plan.priority {
        memory::prefault_stack();
        // Refused to an ordinary user; the read-back shows it.
        let _ = set_fifo(Pid::from_raw(0), priority);
    }
    Ok(listed::register(plan, nix::unistd::gettid()))
}

fn check_priority(plan: &ThreadPlan) -> Result<(), HostError> {
    match plan.priority {
        Some(priority) if !(1..=99).contains(&priority) => {
            Err(HostError::Priority { name: plan.name.clone(), priority })
        }
        _ => Ok(()),
    }
}

fn pin(name: &str, cpu: usize) -> Result<(), HostError> {
    // By the kernel's number. The bound is that of the set which the crate hands to the kernel.
    let exists = cpu < nix::sched::CpuSet::count();
    if exists && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    let allowed = listed::cpus_of(Pid::from_raw(0)).text;
    Err(HostError::Cpu { name: name.to_owned(), cpu, allowed })
}

fn set_timer_slack() {
    // SAFETY: a prctl that takes one number and touches no memory of ours; nix has no name for it.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS) };
}

/// Asks for SCHED_FIFO; threads and processes started from there begin as SCHED_OTHER.
/// (`thread-priority` takes no SCHED_RESET_ON_FORK, hence the call itself.)
pub(crate) fn set_fifo(thread: Pid, priority: u8) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: i32::from(priority) };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `parameter` outlives the call, which only reads it.
    match unsafe { libc::sched_setscheduler(thread.as_raw(), policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_and_gives_its_result() {
        let handle = spawn(ThreadPlan::ordinary("answer"), || 42).unwrap();
        assert_eq!(handle.join().unwrap(), 42);
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_refused_by_name() {
        for cpu in [1023, 1024, usize::MAX] {
            let plan = ThreadPlan { cpu: Some(cpu), ..ThreadPlan::ordinary("nowhere") };
            let Err(HostError::Cpu { name, cpu: found, allowed }) = spawn(plan, || ()) else {
                panic!("CPU {cpu} exists?")
            };
            assert_eq!((name.as_str(), found), ("nowhere", cpu));
            assert!(!allowed.is_empty());
        }
    }

    #[test]
    fn a_priority_that_does_not_exist_is_refused() {
        for priority in [0, 100, 255] {
            let plan = ThreadPlan { priority: Some(priority), ..ThreadPlan::ordinary("p") };
            assert!(matches!(spawn(plan, || ()), Err(HostError::Priority { .. })));
        }
    }

    #[test]
    fn a_panic_ends_the_thread_only() {
        let handle = spawn(ThreadPlan::ordinary("unwinds"), || resume_unwind(Box::new("x")));
        let result: thread::Result<()> = handle.unwrap().join();
        assert!(result.is_err());
    }
}
