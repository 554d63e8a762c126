//! The system calls that a real-time thread may make, each with its reason. Anything else is
//! refused, counted and named (`host/sigsys.rs`).
//!
//! A list holds from the thread's start. Most threads need little to run; what they need for a
//! panic, for an abort and for their end stands beside it, because a process that died of its own
//! list would leave the stop to the next layer.

use libc::c_long;

/// A kind of real-time thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadKind {
    /// The control thread.
    Control,
    /// A bus thread.
    Bus,
    /// The deadline thread.
    Deadline,
    /// The guardian's watcher.
    Guardian,
}

/// One permitted call.
#[derive(Clone, Copy, Debug)]
pub struct Permitted {
    /// The kernel's number.
    pub call: c_long,
    /// What for.
    pub reason: &'static str,
}

const fn may(call: c_long, reason: &'static str) -> Permitted {
    Permitted { call, reason }
}

/// Every real-time thread.
const EVERY: &[Permitted] = &[
    may(libc::SYS_clock_gettime, "CPU time of the thread; any clock where the vDSO falls back"),
    may(libc::SYS_sendto, "the stop frame, from a thread that unwinds too; signals' self-pipe"),
    may(libc::SYS_write, "the bell of a bus thread; signals' self-pipe; an abort's last words"),
    may(libc::SYS_rt_sigreturn, "the way out of every signal handler, the refusals' own too"),
    may(libc::SYS_restart_syscall, "the kernel's own way on after SIGSTOP and SIGCONT"),
    may(
        libc::SYS_clock_nanosleep,
        "the sleep until the next tick, look or turn; the pause after a refused lock",
    ),
    // The heap. A call refused here would make an allocation fail, and a failed allocation aborts:
    // what allocates is counted by the allocator instead.
    may(libc::SYS_brk, "the heap of a thread that panics or ends; counted by the allocator"),
    may(libc::SYS_mmap, "the heap, as above"),
    may(libc::SYS_munmap, "the heap, as above; the alternate signal stack at the thread's end"),
    may(libc::SYS_mprotect, "the heap, as above"),
    may(libc::SYS_madvise, "the heap, as above; the stack at the thread's end"),
    // The end. Signals are blocked there: a refused call would kill the process.
    may(libc::SYS_rt_sigprocmask, "the thread's end, an abort"),
    may(libc::SYS_sigaltstack, "the alternate signal stack at the thread's end"),
    may(libc::SYS_exit, "the thread's end"),
    may(libc::SYS_exit_group, "the process' end"),
    // An abort must end as one (SIGABRT), for whoever reads the exit status.
    may(libc::SYS_getpid, "an abort"),
    may(libc::SYS_gettid, "an abort"),
    may(libc::SYS_tgkill, "an abort"),
    may(libc::SYS_rt_sigaction, "an abort; a stack overflow's handler puts the default back"),
];

/// Threads that hear a bus.
const HEARS: &[Permitted] = &[
    may(libc::SYS_recvfrom, "a frame of a simulated bus"),
    may(libc::SYS_recvmsg, "a frame of a CAN socket with its time; words of the other process"),
];

/// The control thread alone.
const CONTROL: &[Permitted] =
    &[may(libc::SYS_getrusage, "its own faults and switches, to name the cause of a miss")];

/// A bus thread alone.
const BUS: &[Permitted] = &[
    may(libc::SYS_getrusage, "its own faults and switches, to name the cause of a late sending"),
    #[cfg(target_arch = "x86_64")]
    may(libc::SYS_poll, "the sleep until a frame or the bell"),
    may(libc::SYS_ppoll, "the sleep until a frame or the bell"),
    may(libc::SYS_read, "its bell"),
];

/// The guardian's watcher alone.
const GUARDIAN: &[Permitted] = &[
    #[cfg(target_arch = "x86_64")]
    may(libc::SYS_poll, "whether mechos-rt has hung up or ended; asked without waiting"),
    may(libc::SYS_ppoll, "whether mechos-rt has hung up or ended; asked without waiting"),
];

/// Threads that open their bus again when it is gone, only while the machine is not armed.
const OPENS: &[Permitted] = &[
    may(libc::SYS_socket, "opening a bus again"),
    may(libc::SYS_connect, "opening a simulated bus again"),
    may(libc::SYS_bind, "opening a CAN socket again"),
    may(libc::SYS_ioctl, "the number of a CAN interface, and its size of frames"),
    may(libc::SYS_fcntl, "a socket that does not wait, and is not inherited"),
    may(libc::SYS_setsockopt, "its filter, its priority, its time stamps"),
    may(libc::SYS_getsockopt, "what of that the kernel took"),
    may(libc::SYS_close, "the old socket"),
    #[cfg(target_arch = "x86_64")]
    may(libc::SYS_poll, "the simulator's welcome"),
    may(libc::SYS_ppoll, "the simulator's welcome"),
];

/// The calls that a thread of this kind may make, but for waking whoever waits for a lock
/// (`host/confine.rs`).
pub fn permitted(kind: ThreadKind) -> impl Iterator<Item = &'static Permitted> {
    let own: &[&[Permitted]] = match kind {
        ThreadKind::Control => &[CONTROL],
        ThreadKind::Bus => &[HEARS, BUS, OPENS],
        ThreadKind::Deadline => &[HEARS, OPENS],
        ThreadKind::Guardian => &[HEARS, GUARDIAN],
    };
    EVERY.iter().chain(own.iter().copied().flatten())
}

/// The name of a call for the log: "getppid", or its number.
#[must_use]
pub fn name(call: i32) -> String {
    let mut names = NAMES.iter().chain(OLD_NAMES);
    let known = names.find(|(number, _)| *number == c_long::from(call));
    known.map_or_else(
        || format!("system call {call}"),
        |(_, name)| name.trim_start_matches("SYS_").to_owned(),
    )
}

macro_rules! named {
    ($($call:ident)*) => { &[$((libc::$call, stringify!($call))),*] };
}

/// Names of calls that a thread is likely to be found with.
const NAMES: &[(c_long, &str)] = named! {
    SYS_read SYS_write SYS_close SYS_fstat SYS_lseek SYS_mmap SYS_mprotect SYS_munmap SYS_brk
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_ioctl SYS_pread64 SYS_pwrite64
    SYS_readv SYS_writev SYS_sched_yield SYS_mremap SYS_madvise SYS_nanosleep SYS_getpid
    SYS_sendfile SYS_socket SYS_connect SYS_accept4 SYS_sendto SYS_recvfrom SYS_sendmsg
    SYS_recvmsg SYS_shutdown SYS_bind SYS_listen SYS_getsockname SYS_getpeername SYS_socketpair
    SYS_setsockopt SYS_getsockopt SYS_clone SYS_clone3 SYS_execve SYS_exit SYS_wait4 SYS_kill
    SYS_uname SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync SYS_ftruncate SYS_getcwd SYS_umask
    SYS_gettimeofday SYS_getrlimit SYS_getrusage SYS_sysinfo SYS_times SYS_getuid SYS_getgid
    SYS_geteuid SYS_getppid SYS_setsid SYS_sigaltstack SYS_statfs SYS_prctl SYS_gettid SYS_futex
    SYS_sched_setaffinity SYS_sched_getaffinity SYS_sched_setscheduler SYS_sched_getscheduler
    SYS_sched_setparam SYS_sched_getparam SYS_mlock SYS_munlock SYS_mlockall SYS_clock_settime
    SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_exit_group SYS_epoll_ctl
    SYS_tgkill SYS_openat SYS_mkdirat SYS_newfstatat SYS_unlinkat SYS_ppoll SYS_pselect6
    SYS_epoll_pwait SYS_timerfd_create SYS_eventfd2 SYS_pipe2 SYS_prlimit64 SYS_recvmmsg
    SYS_sendmmsg SYS_process_vm_readv SYS_getrandom SYS_memfd_create SYS_membarrier SYS_statx
    SYS_rseq SYS_pidfd_send_signal SYS_pidfd_open SYS_seccomp SYS_restart_syscall
};

/// Calls that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[(c_long, &str)] = named! {
    SYS_open SYS_stat SYS_lstat SYS_poll SYS_access SYS_pipe SYS_select SYS_pause SYS_alarm
    SYS_dup2 SYS_fork SYS_vfork SYS_mkdir SYS_unlink SYS_readlink SYS_arch_prctl SYS_time
    SYS_epoll_wait SYS_eventfd
};
#[cfg(not(target_arch = "x86_64"))]
const OLD_NAMES: &[(c_long, &str)] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ThreadKind; 4] =
        [ThreadKind::Control, ThreadKind::Bus, ThreadKind::Deadline, ThreadKind::Guardian];

    #[test]
    fn every_call_has_a_reason_and_a_name() {
        for permitted in KINDS.into_iter().flat_map(permitted) {
            assert!(!permitted.reason.is_empty());
        }
        assert_eq!(name(libc::SYS_getppid as i32), "getppid");
        assert_eq!(name(123_456), "system call 123456");
    }

    #[test]
    fn no_list_holds_what_waits_for_another_thread_or_starts_something() {
        let never = [
            libc::SYS_futex,
            libc::SYS_clone,
            libc::SYS_execve,
            libc::SYS_openat,
            libc::SYS_nanosleep,
            libc::SYS_sched_yield,
            libc::SYS_sched_setscheduler,
            libc::SYS_ptrace,
        ];
        for kind in KINDS {
            assert!(permitted(kind).all(|permitted| !never.contains(&permitted.call)), "{kind:?}");
        }
    }

    #[test]
    fn the_control_thread_and_the_guardian_open_and_close_nothing() {
        for kind in [ThreadKind::Control, ThreadKind::Guardian] {
            let opens = [libc::SYS_socket, libc::SYS_openat, libc::SYS_close, libc::SYS_connect];
            assert!(permitted(kind).all(|permitted| !opens.contains(&permitted.call)), "{kind:?}");
        }
    }
}
