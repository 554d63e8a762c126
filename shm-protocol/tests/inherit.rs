//! Neither a page's descriptor nor its mapping reaches a child: an inherited writable mapping would
//! bypass every seal. Alone in its process, as it looks at all of the process' mappings.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::*;
use nix::fcntl::{FcntlArg, fcntl};
use shm_protocol::PageSet;

#[test]
fn a_page_is_not_inherited() {
    let set = PageSet::create(&description(), 1).unwrap();
    for descriptor in set.descriptors() {
        let flags = fcntl(descriptor, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
    // `dc`: not copied into a child (VM_DONTCOPY, proc(5)).
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    let mut found = 0;
    for line in maps.lines() {
        if line.contains('-') && line.contains("memfd:") {
            inside = line.contains("memfd:mechos-");
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            if inside {
                assert!(flags.split_whitespace().any(|flag| flag == "dc"), "{flags}");
                found += 1;
            }
            inside = false;
        }
    }
    assert!(found >= 2, "{found} mappings of pages");
}
