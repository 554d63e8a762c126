//! The allocation trap: the system's allocator, which counts what real-time threads ask of it while
//! the machine is armed.

use std::alloc::{GlobalAlloc, Layout, System};

use super::slots::count_allocation;

/// For `#[global_allocator]`: counts, and hands every call to the system's allocator. A call by a
/// real-time thread is counted, not refused: a thread that panics allocates its way to the stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged; counting neither allocates nor
// unwinds. There is no other way to see what a thread asks of the heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_allocation();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count_allocation();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}
