//! What the planner's process may not do, whatever it runs: reach a CAN bus past the real-time
//! side, or look into other processes.
//!
//! The filter goes onto one short-lived thread, which then starts the process: a filter is
//! inherited over exec. It sets no_new_privs on that thread too, so nothing else is started from
//! it: file capabilities of mechos-rt would be lost.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Why a confined process did not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The filter could not be made or installed.
    #[error("the planner cannot be kept from CAN sockets on this host, so it is not started: {0}")]
    Filter(String),
    /// The process could not be started.
    #[error(transparent)]
    Spawn(#[from] io::Error),
}

/// Number of x32's system calls on x86-64 (asm/unistd.h, __X32_SYSCALL_BIT): the same calls by
/// another number.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: &[i64] = &[0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: &[i64] = &[];

/// Calls that are refused whatever their arguments: io_uring opens sockets past a filter, the
/// others read or write another process.
const REFUSED: [i64; 5] = [
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
];

/// Starts a process that can open no CAN socket, nor can what it starts.
///
/// # Errors
/// [`ConfineError`]; without its filter nothing is started.
pub fn spawn(mut command: Command) -> Result<Child, ConfineError> {
    let filter = filter()?;
    let starter = std::thread::Builder::new().name("confine".to_owned()).spawn(move || {
        seccompiler::apply_filter(&filter)
            .map_err(|error| ConfineError::Filter(error.to_string()))?;
        Ok(command.spawn()?)
    })?;
    let failed = |_| ConfineError::Filter("the starting thread failed".to_owned());
    starter.join().map_err(failed)?
}

fn filter() -> Result<BpfProgram, ConfineError> {
    let failed = |error: seccompiler::BackendError| ConfineError::Filter(error.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for offset in [0].iter().chain(OTHER_NUMBERS) {
        // The kernel reads the family as an int.
        let can = u64::from(libc::AF_CAN.unsigned_abs());
        let is_can = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, can);
        let rule = SeccompRule::new(vec![is_can.map_err(failed)?]).map_err(failed)?;
        rules.insert(libc::SYS_socket | offset, vec![rule]);
        rules.extend(REFUSED.iter().map(|call| (call | offset, Vec::new())));
    }
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().map_err(failed)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(failed)?;
    filter.try_into().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use std::process::Stdio;

    #[test]
    fn can_sockets_are_refused_and_others_are_not() {
        let filter = filter().unwrap();
        let (can, unix) = std::thread::spawn(move || {
            seccompiler::apply_filter(&filter).unwrap();
            let open = |family| socket(family, SockType::Datagram, SockFlag::empty(), None);
            (open(AddressFamily::Can).map(drop), open(AddressFamily::Unix).map(drop))
        })
        .join()
        .unwrap();
        assert_eq!(can, Err(Errno::EPERM));
        assert_eq!(unix, Ok(()));
    }

    #[test]
    fn the_filter_outlives_exec_and_touches_only_that_process() {
        let mut command = Command::new("cat");
        command.arg("/proc/self/status").stdout(Stdio::piped());
        let output = spawn(command).unwrap().wait_with_output().unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        assert!(status.contains("Seccomp:\t2"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let before = std::fs::read_to_string("/proc/self/status").unwrap();
        let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
        let other = String::from_utf8(output.stdout).unwrap();
        let line =
            |text: &str| text.lines().find(|l| l.starts_with("NoNewPrivs")).map(str::to_owned);
        assert_eq!(line(&other), line(&before));
    }
}
