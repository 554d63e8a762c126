//! Lines of memory brought near before they are needed. `unsafe` is needed for the instruction.

use std::sync::atomic::AtomicU64;

/// Asks the processor to bring the line of this word into its nearest cache. Changes nothing else.
/// Real time.
#[inline]
pub fn prefetch(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction (SSE). It is a hint: it reads nothing into
        // the program, writes nothing, and faults at no address; this one is a reference besides.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above, of every 64-bit Arm processor.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) std::ptr::from_ref(word),
            options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = word;
}
