//! mechos-rt and the guardian over a real socket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::path::Path;

use common::*;
use shm_protocol::layout::VERSION;
use shm_protocol::records::{Cause, ModeCode};
use shm_protocol::{
    GuardianEnd, GuardianLink, GuardianServer, LinkError, Refusal, RtBeat, RtMessage,
};

fn server(directory: &Directory) -> (GuardianServer, std::path::PathBuf) {
    let path = directory.path("guardian.sock");
    (GuardianServer::bind(&path, own_uid()).unwrap(), path)
}

fn connect_pair(
    server: &mut GuardianServer,
    path: &Path,
    latched: Option<(Cause, u64)>,
) -> (GuardianLink, GuardianEnd) {
    std::thread::scope(|scope| {
        let link = scope.spawn(|| GuardianLink::connect(path, 1, PATIENCE).unwrap());
        let end = wait_for(|| server.turn(false, latched));
        (link.join().unwrap(), end)
    })
}

#[test]
fn beats_cross_both_ways() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (mut link, mut end) = connect_pair(&mut server, &path, None);
    assert_eq!((link.pid, end.pid()), (std::process::id() as i32, std::process::id() as i32));
    assert!(end.pidfd().is_some() && link.pidfd.is_some());
    assert_eq!((link.latched, end.rt_beat()), (None, None));
    let mut beat = link.beat.take().unwrap();
    for tick in 1..1000 {
        beat.beat(tick, tick * 1000, ModeCode::Armed, tick % 2 == 0);
        let seen = RtBeat { tick, t_ns: tick * 1000, mode: 2, energised: tick % 2 == 0 };
        assert_eq!(end.rt_beat(), Some(seen));
    }
    for count in 1..100 {
        end.beat();
        assert_eq!(link.fence.guardian_beat(), count);
    }
    assert!(!link.fence.socket_proved());
    end.set_proved(true);
    assert!(link.fence.socket_proved());
    end.set_proved(false);
    assert!(!link.fence.socket_proved());
}

#[test]
fn the_fence_goes_up_and_down_for_every_reader() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (link, mut end) = connect_pair(&mut server, &path, None);
    let other = link.fence.clone();
    assert!(!link.fence.is_up() && link.fence.cause().is_none());
    end.set_fence(Some((Cause::RtLost, 77)));
    assert!(link.fence.is_up() && other.is_up());
    assert_eq!((other.cause(), other.since_ns()), (Some(Cause::RtLost), 77));
    // A cause that is none is a fence all the same.
    end.set_fence(Some((Cause::None, 78)));
    assert_eq!(other.cause(), Some(Cause::RtLost));
    end.set_fence(None);
    assert!(!other.is_up() && other.cause().is_none());
    drop(end);
    drop(link);
    assert!(!other.is_up(), "a reader outlives the connection");
}

#[test]
fn a_latched_loss_is_up_before_the_first_tick_of_a_new_life() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let latched = Some((Cause::RtLost, 12));
    let (link, _end) = connect_pair(&mut server, &path, latched);
    assert_eq!(link.latched, Some(Cause::RtLost));
    assert_eq!((link.fence.cause(), link.fence.since_ns()), (Some(Cause::RtLost), 12));
}

#[test]
fn messages_and_the_end_arrive() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    let (link, mut end) = connect_pair(&mut server, &path, None);
    assert_eq!(end.message(), None);
    link.reset(7).unwrap();
    link.goodbye().unwrap();
    assert!(link.is_alive());
    assert_eq!(end.message(), Some(RtMessage::Reset(7)));
    assert_eq!(end.message(), Some(RtMessage::Goodbye));
    assert_eq!(end.message(), None);
    drop(link);
    assert_eq!(end.message(), Some(RtMessage::HungUp));
    assert_eq!(end.message(), Some(RtMessage::HungUp));

    let (link, end) = connect_pair(&mut server, &path, None);
    drop(end);
    assert!(!link.is_alive());
    assert!(link.reset(7).is_err());
}

#[test]
fn a_second_daemon_is_turned_away() {
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    std::thread::scope(|scope| {
        let link = scope.spawn(|| GuardianLink::connect(&path, 1, PATIENCE).map(drop));
        let refused = wait_for(|| {
            assert!(server.turn(true, None).is_none());
            server.take_refused()
        });
        assert_eq!(refused.refusal, Refusal::Busy);
        let error = link.join().unwrap().unwrap_err();
        assert!(matches!(error, LinkError::Refused(Refusal::Busy)), "{error}");
    });
    assert_eq!(server.take_refused(), None);
}

#[test]
fn another_user_and_another_version_are_refused() {
    let directory = Directory::new();
    let path = directory.path("other.sock");
    let mut server = GuardianServer::bind(&path, own_uid() + 1).unwrap();
    let expected = Refusal::User { found: own_uid(), allowed: own_uid() + 1 };
    std::thread::scope(|scope| {
        let link = scope.spawn(|| GuardianLink::connect(&path, 1, PATIENCE).map(drop));
        let refused = wait_for(|| {
            assert!(server.turn(false, None).is_none());
            server.take_refused()
        });
        assert_eq!(refused.refusal, expected);
        let error = link.join().unwrap().unwrap_err();
        assert!(matches!(error, LinkError::Refused(found) if found == expected), "{error}");
    });

    let path = directory.path("guardian.sock");
    let mut server = GuardianServer::bind(&path, own_uid()).unwrap();
    let no_pages = message(HELLO, [2, 1, 0]);
    let mut version = no_pages;
    version[1] += 1;
    for (words, expected) in [
        (version, Refusal::Version { found: VERSION + 1, allowed: VERSION }),
        (no_pages, Refusal::Malformed),
        (hello(), Refusal::Service),
        (message(GO, [0; 3]), Refusal::Malformed),
    ] {
        let peer = Raw::connect(&path);
        peer.send(words, &[]);
        let refused = wait_for(|| {
            assert!(server.turn(false, None).is_none());
            server.take_refused()
        });
        assert_eq!(refused.refusal, expected);
        assert_eq!(peer.receive().unwrap().0[3], REFUSED);
    }
}

#[test]
fn the_guardian_takes_no_page_that_somebody_else_could_write() {
    use std::os::fd::AsFd;
    let directory = Directory::new();
    let (mut server, path) = server(&directory);
    // A guardian by hand, to get hold of the pages as mechos-rt makes them.
    let raw_path = directory.path("raw.sock");
    let listener = Raw::listen(&raw_path);
    let (words, pages) = std::thread::scope(|scope| {
        let link = scope.spawn(|| GuardianLink::connect(&raw_path, 9, PATIENCE).unwrap());
        let peer = listener.accept();
        let (words, pages) = peer.receive().unwrap();
        peer.send(message(WELCOME, [0; 3]), &[]);
        assert_eq!(peer.receive().unwrap().0[3], GO);
        drop(link.join().unwrap());
        (words, pages)
    });
    let [beat, fence] = &pages[..] else { panic!("two pages") };
    // Swapped, of another generation, and a fence page that is closed already: nothing is mapped.
    for (generation, descriptors) in [
        (9, [fence.as_fd(), beat.as_fd()]),
        (8, [beat.as_fd(), fence.as_fd()]),
        (9, [beat.as_fd(), fence.as_fd()]),
    ] {
        let peer = Raw::connect(&path);
        let mut hello = words;
        hello[5] = generation;
        peer.send(hello, &descriptors);
        wait_for(|| {
            assert!(server.turn(false, None).is_none());
            server.take_refused()
        });
        assert_eq!(peer.receive().unwrap().0[3], REFUSED);
    }
}
