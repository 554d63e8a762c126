//! Memory that does not fault: locked, and touched before it is needed.

use std::fs;
use std::hint::black_box;
use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::HostError;

/// How much stack a real-time thread touches before it begins, bytes.
pub const STACK_TOUCHED_BYTES: usize = 256 * 1024;

/// Memory that need not be locked, bytes: pages that the kernel itself maps into every process.
const EXEMPT_BYTES: u64 = 512 * 1024;

/// Locks everything that this process has mapped and will map.
///
/// Without CAP_IPC_LOCK and with a finite limit nothing is locked: the next mapping past the limit
/// would fail, and with it an allocation in the middle of a run.
///
/// # Errors
/// [`HostError::Lock`], with the limit in force.
pub fn lock_all() -> Result<(), HostError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap_or((0, 0));
    let limit_bytes = if hard > soft && setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).is_ok() {
        hard
    } else {
        soft
    };
    let refused = |source| HostError::Lock { source, limit_bytes };
    if limit_bytes != RLIM_INFINITY && !has_cap_ipc_lock() {
        return Err(refused(io::Error::from_raw_os_error(libc::EPERM)));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
        .map_err(|errno| refused(errno.into()))
}

/// How much memory the kernel holds locked for this process now, bytes.
#[must_use]
pub fn locked_bytes() -> u64 {
    kib(&status_file("self"), "VmLck:").unwrap_or(0).saturating_mul(1024)
}

/// Whether all resident memory of this process is locked now.
#[must_use]
pub fn is_all_locked() -> bool {
    is_all_locked_in(&status_file("self"))
}

/// Whether all resident memory of another process is locked now.
#[must_use]
pub fn is_all_locked_of(pid: i32) -> bool {
    is_all_locked_in(&status_file(&pid.to_string()))
}

fn is_all_locked_in(status: &str) -> bool {
    let resident = kib(status, "VmRSS:").unwrap_or(u64::MAX).saturating_mul(1024);
    let locked = kib(status, "VmLck:").unwrap_or(0).saturating_mul(1024);
    locked > 0 && locked.saturating_add(EXEMPT_BYTES) >= resident
}

/// Touches the stack below the caller, so that using it later faults no more.
#[inline(never)]
pub fn prefault_stack() {
    let mut stack = [0u8; STACK_TOUCHED_BYTES];
    // Seen by the optimiser as used, so that every page is really written.
    black_box(&mut stack);
}

/// The right to lock memory past the limit (capabilities(7), number 14).
fn has_cap_ipc_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .is_some_and(|bits| bits >> CAP_IPC_LOCK & 1 == 1)
}

/// proc_pid_status(5); empty for a process that is gone.
fn status_file(process: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default()
}

/// A "Key:  123 kB" line of it.
fn kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lock_all_says_is_what_the_kernel_reports() {
        match lock_all() {
            Ok(()) => {
                assert!(locked_bytes() > 0);
                assert!(is_all_locked());
            }
            Err(HostError::Lock { limit_bytes, .. }) => {
                assert_ne!(limit_bytes, RLIM_INFINITY);
                assert!(!is_all_locked());
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn touching_the_stack_returns() {
        prefault_stack();
    }
}
