//! A slot that one side overwrites while others look: a stamp in front tells what it holds.
//!
//! Word 0 is the stamp, `2 n` for the complete value number `n` and `2 n - 1` while it is being
//! written; the value follows. Numbers begin with 1. A reader names the number that it wants, copies,
//! and looks at the stamp again.

use std::sync::atomic::Ordering;

use crate::words::{Load, Store, copy_in, copy_out};

/// Words before the value.
pub const HEAD: usize = 1;

/// Overwrites the slot with value number `number`. Real time.
#[inline]
pub fn write<W: Store, const N: usize>(
    (stamp, words): (&W, &[W; N]),
    number: u64,
    value: &[u64; N],
) {
    let complete = number.wrapping_mul(2);
    stamp.store(complete.wrapping_sub(1), Ordering::Relaxed);
    // Pairs with the Acquire fence in `read`: who copied any word of this value finds, when it looks
    // at the stamp again, that the slot was being written.
    W::fence(Ordering::Release);
    copy_in(words, value);
    // Pairs with the Acquire load in `read`: who finds this stamp finds the whole value.
    stamp.store(complete, Ordering::Release);
}

/// Copies value number `number` out; false when the slot holds another, or was overwritten
/// meanwhile (then `value` holds nothing of use). Real time.
#[inline]
pub fn read<R: Load, const N: usize>(
    (stamp, words): (&R, &[R; N]),
    number: u64,
    value: &mut [u64; N],
) -> bool {
    let complete = number.wrapping_mul(2);
    // Pairs with the Release store of the complete stamp in `write`.
    // A stamp of 0 is that of a slot never written.
    if complete == 0 || stamp.load(Ordering::Acquire) != complete {
        return false;
    }
    copy_out(words, value);
    // Pairs with the Release fence in `write`.
    R::fence(Ordering::Acquire);
    stamp.load(Ordering::Relaxed) == complete
}
