//! Puts a real-time thread under its list of system calls (`host/syscalls.rs`): a seccomp filter
//! of that thread alone, from its start until its end.
//!
//! The kernel asks for PR_SET_NO_NEW_PRIVS before it takes a filter; it is set for the same thread
//! alone, which starts no process. The rest of the process keeps its rights.

use super::slots;
pub use super::syscalls::ThreadKind;

/// Puts the calling thread under the list of `kind`. A kernel that refuses is no error: the thread
/// then runs without, its slot says so, and housekeeping warns.
pub fn confine(kind: ThreadKind) {
    if arch::apply(kind).is_ok() {
        slots::set_filtered();
    }
}

/// Architectures whose registers `host/sigsys.rs` knows.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod arch {
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::super::{sigsys, syscalls};
    use super::ThreadKind;

    /// FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME: what stands beside the operation.
    const FUTEX_FLAGS: i32 = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;

    pub(super) fn apply(kind: ThreadKind) -> Result<(), ()> {
        static HANDLER: OnceLock<bool> = OnceLock::new();
        let handled = *HANDLER.get_or_init(|| sigsys::install().is_ok());
        if !handled {
            // Without the handler a refused call would end the process.
            return Err(());
        }
        let program = program(kind).map_err(|_| ())?;
        seccompiler::apply_filter(&program).map_err(|_| ())
    }

    fn program(kind: ThreadKind) -> Result<BpfProgram, seccompiler::BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            syscalls::permitted(kind).map(|permitted| (permitted.call, Vec::new())).collect();
        // Waiting for a lock is what the list is against; waking whoever waits for one that this
        // thread held (the heap's, in a panic) is not, and he would sleep for ever.
        rules.insert(libc::SYS_futex, vec![SeccompRule::new(vec![wakes()?])?]);
        // The heap's memory holds no code, and a bus is no other kind of socket. A list without these
        // calls stays without them.
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            only(&mut rules, call, vec![SeccompRule::new(vec![no_code()?])?]);
        }
        let family = |family: i32| {
            let family = u64::from(family.cast_unsigned());
            let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?;
            SeccompRule::new(vec![is])
        };
        only(&mut rules, libc::SYS_socket, vec![family(libc::AF_UNIX)?, family(libc::AF_CAN)?]);
        let arch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?.try_into()
    }

    /// Narrows a call, where it is on the list.
    fn only(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, call: i64, to: Vec<SeccompRule>) {
        if let Some(rule) = rules.get_mut(&call) {
            *rule = to;
        }
    }

    /// The third argument of mmap(2) and mprotect(2) has no PROT_EXEC.
    fn no_code() -> Result<SeccompCondition, seccompiler::BackendError> {
        let execute = u64::from(libc::PROT_EXEC.cast_unsigned());
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(execute), 0)
    }

    /// The second argument of futex(2), without its flags, is FUTEX_WAKE.
    fn wakes() -> Result<SeccompCondition, seccompiler::BackendError> {
        let operation = u64::from(!FUTEX_FLAGS.cast_unsigned());
        let wake = u64::from(libc::FUTEX_WAKE.cast_unsigned());
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(operation), wake)
    }
}

/// Elsewhere no thread is put under a list, and the status says so.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    use super::ThreadKind;

    pub(super) fn apply(_: ThreadKind) -> Result<(), ()> {
        Err(())
    }
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
