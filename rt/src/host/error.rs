//! What the host can refuse.

use std::io;

/// An operation of the host that failed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The kernel made no thread.
    #[error("thread '{name}' could not be started: {source}; see `ulimit -u` and free memory")]
    Spawn {
        /// The thread asked for.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The CPU does not exist, or this process may not use it.
    #[error(
        "thread '{name}' cannot run on CPU {cpu}: this process may use CPUs {allowed}; \
         name one of these in the robot file's [threads]"
    )]
    Cpu {
        /// The thread asked for.
        name: String,
        /// The CPU asked for.
        cpu: usize,
        /// The CPUs that are allowed.
        allowed: String,
    },
    /// The priority is not one of SCHED_FIFO.
    #[error("thread '{name}' asks for SCHED_FIFO priority {priority}: allowed are 1 to 99")]
    Priority {
        /// The thread asked for.
        name: String,
        /// The priority asked for.
        priority: u8,
    },
    /// Memory could not be locked.
    #[error(
        "memory is not locked ({source}; RLIMIT_MEMLOCK is {limit_bytes} bytes): give the binary \
         the right with `setcap cap_ipc_lock,cap_sys_nice=ep BINARY`, or set `memlock unlimited`"
    )]
    Lock {
        /// What the kernel said.
        source: io::Error,
        /// The limit in force, bytes; `u64::MAX`: none.
        limit_bytes: u64,
    },
}
