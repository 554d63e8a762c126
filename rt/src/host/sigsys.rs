//! What happens to a system call that is not on a real-time thread's list: it fails, and it is
//! counted. The kernel sends SIGSYS in its place (SECCOMP_RET_TRAP); the handler writes the result
//! that the thread sees. So the thread goes on, latches and sends.

use std::io;
use std::mem::zeroed;

use super::slots::count_call;

/// `si_code` of a SIGSYS that seccomp sent (linux, asm-generic/siginfo.h).
const SYS_SECCOMP: i32 = 1;

/// Pause between two tries for a lock, ns.
const PAUSE_NS: libc::c_long = 50_000;

/// What the kernel writes for a SIGSYS (sigaction(2)), as far as it is read here. `libc` names no
/// field of it.
#[repr(C)]
struct SigsysInfo {
    signo: i32,
    errno: i32,
    code: i32,
    /// On 64-bit systems the union that follows is aligned for pointers.
    padding: i32,
    call_address: *const libc::c_void,
    call: i32,
    arch: u32,
}

const _: () = assert!(size_of::<SigsysInfo>() <= size_of::<libc::siginfo_t>());

/// Installs the handler, once a process, before any thread runs under a list.
///
/// # Errors
/// The kernel's.
pub(super) fn install() -> io::Result<()> {
    // SAFETY: a sigaction of zeros is a valid value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    // On the thread's own stack, which is locked and touched; SA_NODEFER, so that a second refused
    // call inside another handler does not find SIGSYS blocked, which would kill the process.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: `action` outlives the call, and `handler` has the signature that SA_SIGINFO asks
    // for. std and nix hand on no `ucontext`, which the handler must change.
    match unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The refusal. Async-signal-safe: it touches the calling thread's slot (atomics behind a
/// thread-local word) and the interrupted registers, and makes at most one system call.
extern "C" fn handler(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t that lives as long as the handler; its
    // first fields are those of `SigsysInfo`, and it is at least as long (asserted above).
    let info = unsafe { &*info.cast::<SigsysInfo>() };
    if info.code != SYS_SECCOMP {
        // Sent by somebody: nothing was refused.
        return;
    }
    count_call(info.call);
    if is_futex(info.call) {
        pause();
    }
    // SAFETY: with SA_SIGINFO the third argument is the interrupted ucontext_t, which belongs to
    // the handler until it returns; the register below holds the refused call's result.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    set_result(context, -i64::from(errno_of(info.call)));
}

/// A lock's wait that fails is tried again by every library (EAGAIN is among its documented
/// answers; with another one glibc aborts): the thread tries for the lock again and again, counted at
/// every turn, and one that tries too long is the deadline thread's.
fn errno_of(call: i32) -> i32 {
    if is_futex(call) { libc::EAGAIN } else { libc::EPERM }
}

fn is_futex(call: i32) -> bool {
    libc::c_long::from(call) == libc::SYS_futex
}

/// Lets whoever holds the lock run: on the only CPU a thread of lower priority never would beside
/// one that only tries again.
fn pause() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: PAUSE_NS };
    let nothing = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: a plain system call with a pointer to a living timespec and a null one, which
    // clock_nanosleep(2) allows; the call is on every thread's list, touches no lock and no heap,
    // and `errno`, which it may set, is set anew by the call that was interrupted.
    unsafe {
        libc::syscall(
            libc::SYS_clock_nanosleep,
            libc::CLOCK_MONOTONIC,
            0,
            &raw const time,
            nothing,
        );
    }
}

#[cfg(target_arch = "x86_64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    let register = usize::try_from(libc::REG_RAX).unwrap_or(0);
    if let Some(rax) = context.uc_mcontext.gregs.get_mut(register) {
        *rax = result;
    }
}

#[cfg(target_arch = "aarch64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    if let Some(x0) = context.uc_mcontext.regs.first_mut() {
        *x0 = result.cast_unsigned();
    }
}
