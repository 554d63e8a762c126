//! No descriptor is left open, also where the kernel can hand out only part of what a peer sent.
//!
//! One test, in a process of its own: it counts the descriptors of the process and lowers their limit.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::os::fd::AsFd;

use common::*;
use shm_protocol::{GuardianServer, LinkServer};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mapped_pages() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:mechos-")).count()
}

/// The soft limit of descriptors; the one before.
fn limit_descriptors(soft: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the struct that they are given, which outlives them.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = soft;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

#[test]
fn nothing_stays_open() {
    a_connection_that_ends_leaves_no_descriptor_and_no_mapping();
    descriptors_that_are_cut_off_at_the_process_limit_are_closed();
}

fn a_connection_that_ends_leaves_no_descriptor_and_no_mapping() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let before = (open_descriptors(), mapped_pages());
    for generation in 1..20 {
        let (client, peer) = connect_pair(&mut server, &path, generation);
        // Each side maps both pages; of descriptors only the sockets and the pidfd are left.
        assert_eq!(mapped_pages(), before.1 + 4);
        assert_eq!(open_descriptors(), before.0 + 3);
        drop(client);
        drop(peer);
        assert_eq!((open_descriptors(), mapped_pages()), before);
    }
}

fn descriptors_that_are_cut_off_at_the_process_limit_are_closed() {
    let directory = Directory::new();
    let path = directory.path("guardian.sock");
    let mut guardian = GuardianServer::bind(&path, own_uid()).unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let peer = Raw::connect(&path);
    peer.send(message(HELLO, [2, 1, 0]), &vec![writer.as_fd(); 250]);
    drop(writer);
    let before = open_descriptors();
    // Room for the accepted socket, its pidfd and a few of the 250.
    let limit = limit_descriptors(before as u64 + 5);
    wait_for(|| {
        assert!(guardian.turn(false, None).is_none());
        guardian.take_refused()
    });
    limit_descriptors(limit);
    assert_eq!(open_descriptors(), before);
    // The last copy is gone: the pipe is at its end.
    assert_eq!(nix::unistd::read(&reader, &mut [0]), Ok(0));
}
