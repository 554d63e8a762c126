//! A planner and mechos-rt over a real socket: what crosses, and what is counted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::*;
use shm_protocol::records::*;
use shm_protocol::{Client, LinkNews, LinkServer};

fn server(directory: &Directory) -> (LinkServer, std::path::PathBuf) {
    let path = directory.path("link.sock");
    (LinkServer::bind(&path, own_uid(), 0o600).unwrap(), path)
}

/// Whether the other side's socket, or the process of a pidfd, has ended.
fn has_ended(descriptor: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn both_ends_know_who_they_are_connected_to() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (client, peer) = connect_pair(&mut server, &path, 41);
    assert_eq!((client.generation(), peer.end.generation()), (41, 41));
    assert_eq!(client.description(), description());
    assert_eq!(peer.pid, std::process::id() as i32);
    assert_eq!(peer.uid, own_uid());
    assert!(peer.pidfd.is_some());
    assert!(client.is_alive());
    drop(peer.socket);
    assert!(!client.is_alive());
}

#[test]
fn everything_crosses() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (mut client, peer) = connect_pair(&mut server, &path, 1);
    let mut end = peer.end;

    assert_eq!(client.telemetry(), None);
    end.publish(&telemetry(5));
    assert_eq!(client.telemetry(), Some(telemetry(5)));
    for tick in 6..100 {
        end.publish(&telemetry(tick));
        assert_eq!(client.telemetry(), Some(telemetry(tick)));
    }

    assert_eq!((client.next_number(), client.next_number()), (1, 2));
    for number in 1..200 {
        client.submit(&intent(number)).unwrap();
        assert_eq!(end.queued(), 1);
        let claim = end.pop(AXES_MAX).unwrap();
        assert_eq!(claim, Claim { intent: intent(number), intact: true });
        end.push_verdict(&verdict(number)).unwrap();
        assert_eq!(client.poll_verdict(), Some(verdict(number)));
        assert_eq!((end.pop(AXES_MAX), client.poll_verdict()), (None, None));
    }

    assert_eq!((end.heartbeat(), end.stops(), end.estops()), (0, 0, 0));
    let heart = client.heart();
    std::thread::spawn(move || heart.beat()).join().unwrap();
    client.heartbeat();
    client.stop();
    client.estop();
    client.estop();
    assert_eq!((end.heartbeat(), end.stops(), end.estops()), (2, 1, 2));

    assert_eq!(client.poll_event(), None);
    for tick in 1..=300 {
        end.push_event(&event(tick));
    }
    for tick in 45..=300 {
        assert_eq!(client.poll_event(), Some(event(tick)));
    }
    assert_eq!((client.poll_event(), client.events_missed()), (None, 44));
    assert_eq!(client.verdicts_damaged(), 0);
}

#[test]
fn a_full_ring_gives_the_intent_back_and_the_sums_hold() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (mut client, peer) = connect_pair(&mut server, &path, 1);
    let mut end = peer.end;
    let mut given_back = 0;
    for number in 1..=100 {
        if let Err(full) = client.submit(&intent(number)) {
            assert_eq!(*full.0, intent(number));
            given_back += 1;
        }
    }
    assert_eq!((given_back, end.queued()), (36, 64));
    let sums = |end: &shm_protocol::ServerEnd| {
        assert_eq!(end.submitted(), end.taken() + u64::from(end.queued()) + end.returned());
    };
    sums(&end);
    for number in 1..=10 {
        assert_eq!(end.pop(AXES_MAX).unwrap().intent.number, number);
        sums(&end);
    }
    for number in 101..=110 {
        client.submit(&intent(number)).unwrap();
    }
    assert!(client.submit(&intent(111)).is_err());
    sums(&end);
    while end.pop(AXES_MAX).is_some() {}
    sums(&end);
    assert_eq!((end.submitted(), end.taken(), end.returned()), (111, 74, 37));
    // Stops never queue.
    client.stop();
    assert_eq!(end.stops(), 1);
}

#[test]
fn verdicts_are_reliable_and_their_slots_can_be_counted_on() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (mut client, peer) = connect_pair(&mut server, &path, 1);
    let mut end = peer.end;
    for number in 0..256 {
        assert_eq!(end.verdict_slots_free(), 256 - number);
        end.push_verdict(&verdict(number as u64)).unwrap();
    }
    assert_eq!(end.verdict_slots_free(), 0);
    assert_eq!(end.push_verdict(&verdict(999)), Err(verdict(999)));
    for number in 0..100 {
        assert_eq!(client.poll_verdict(), Some(verdict(number)));
    }
    assert_eq!(end.verdict_slots_free(), 100);
    for number in 256..356 {
        end.push_verdict(&verdict(number)).unwrap();
    }
    for number in 100..356 {
        assert_eq!(client.poll_verdict(), Some(verdict(number)));
    }
    assert_eq!(client.wait_verdict(Duration::from_millis(1)), None);
    end.push_verdict(&verdict(7)).unwrap();
    drop(peer.socket);
    assert_eq!(client.wait_verdict(PATIENCE), Some(verdict(7)), "sent before the end");
    assert_eq!(client.wait_verdict(PATIENCE), None, "the end is seen, not waited out");
}

#[test]
fn a_planner_that_starts_again_gets_pages_of_a_new_generation() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (mut first, old) = connect_pair(&mut server, &path, 1);
    first.submit(&intent(1)).unwrap();
    first.stop();
    drop(first);
    wait_for(|| has_ended(&old.socket).then_some(()));
    let (mut second, new) = connect_pair(&mut server, &path, 2);
    assert_eq!((second.generation(), new.end.generation()), (2, 2));
    assert_eq!((new.end.queued(), new.end.stops(), new.end.submitted()), (0, 0, 0));
    second.submit(&intent(2)).unwrap();
    let (mut old, mut new) = (old.end, new.end);
    assert_eq!(new.pop(AXES_MAX).unwrap().intent.number, 2);
    assert_eq!(
        (old.queued(), old.pop(AXES_MAX).unwrap().intent.number, old.pop(AXES_MAX)),
        (1, 1, None)
    );
}

/// The second process of `a_killed_planner_is_seen_and_leaves_what_it_sent`.
#[test]
fn planner_process() {
    let Some(path) = std::env::var_os("MECHOS_TEST_LINK") else { return };
    let mut client = Client::connect(path, PATIENCE).unwrap();
    for number in 1..=5 {
        client.submit(&intent(number)).unwrap();
    }
    client.heartbeat();
    while client.is_alive() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_killed_planner_is_seen_and_leaves_what_it_sent() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "planner_process"])
        .env("MECHOS_TEST_LINK", &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let LinkNews::Connected(peer) = news(&mut server, 1) else { panic!("not connected") };
    assert_eq!(peer.pid, child.id() as i32);
    let pidfd = peer.pidfd.unwrap();
    wait_for(|| (peer.end.heartbeat() == 1).then_some(()));
    assert!(!has_ended(&peer.socket) && !has_ended(&pidfd));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| (has_ended(&peer.socket) && has_ended(&pidfd)).then_some(()));
    let mut end = peer.end;
    for number in 1..=5 {
        assert_eq!(end.pop(AXES_MAX), Some(Claim { intent: intent(number), intact: true }));
    }
    assert_eq!(end.pop(AXES_MAX), None);
    end.publish(&telemetry(1));
    end.push_verdict(&verdict(1)).unwrap();
    // Nothing to clean up: the next planner connects.
    let (client, _peer) = connect_pair(&mut server, &path, 2);
    assert_eq!(client.generation(), 2);
}
