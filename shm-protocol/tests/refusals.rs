//! Who is refused, why, and that both sides say so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod common;

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use common::*;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use shm_protocol::layout::{LAYOUT_HASH, VERSION};
use shm_protocol::{
    Client, GuardianLink, GuardianServer, LinkError, LinkNews, LinkServer, Refusal,
};

/// What the client and the server say of one attempt to connect.
fn attempt(
    server: &mut LinkServer,
    path: &std::path::Path,
    busy: bool,
) -> (Result<Client, LinkError>, LinkNews) {
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(path, PATIENCE));
        let news = wait_for(|| server.turn(busy, &mut || None));
        (client.join().unwrap(), news)
    })
}

fn refused_alike((client, news): (Result<Client, LinkError>, LinkNews), expected: Refusal) {
    let Err(LinkError::Refused(told)) = client else { panic!("the client got {client:?}") };
    let LinkNews::Refused { pid, refusal } = news else { panic!("the server got {news:?}") };
    assert_eq!((told, refusal), (expected, expected));
    assert_eq!(pid, std::process::id() as i32);
}

#[test]
fn another_user_is_refused() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid() + 1, 0o600).unwrap();
    let expected = Refusal::User { found: own_uid(), allowed: own_uid() + 1 };
    refused_alike(attempt(&mut server, &path, false), expected);
    let text = LinkError::Refused(expected).to_string();
    assert!(text.contains(&own_uid().to_string()) && text.contains("user"), "{text}");
}

#[test]
fn a_second_planner_and_one_without_pages_are_refused() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    refused_alike(attempt(&mut server, &path, true), Refusal::Busy);
    refused_alike(attempt(&mut server, &path, false), Refusal::Pages);
}

#[test]
fn another_version_or_layout_is_refused_by_the_server() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    for (word, value, expected) in [
        (0, 5, Refusal::Malformed),
        (1, VERSION + 1, Refusal::Version { found: VERSION + 1, allowed: VERSION }),
        (2, 77, Refusal::Layout { found: 77, allowed: LAYOUT_HASH }),
        (4, 9, Refusal::Service),
        (4, 2, Refusal::Service),
        (3, MAPPED, Refusal::Malformed),
        (3, 99, Refusal::Malformed),
    ] {
        let peer = Raw::connect(&path);
        let mut words = hello();
        words[word] = value;
        peer.send(words, &[]);
        let LinkNews::Refused { refusal, .. } = news(&mut server, 1) else { panic!() };
        assert_eq!(refusal, expected);
        let (told, _) = peer.receive().unwrap();
        assert_eq!(told[3], REFUSED);
        match expected {
            Refusal::Version { found, allowed } => assert_eq!(told[4..7], [2, found, allowed]),
            Refusal::Layout { found, allowed } => assert_eq!(told[4..7], [3, found, allowed]),
            _ => {}
        }
        assert!(peer.receive().is_none(), "closed after it");
    }
}

#[test]
fn a_server_of_another_version_is_refused_by_the_client() {
    let directory = Directory::new();
    for (word, found) in [(1, VERSION + 7), (2, 123)] {
        let path = directory.path(&format!("{word}.sock"));
        let listener = Raw::listen(&path);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| Client::connect(&path, PATIENCE));
            let peer = listener.accept();
            assert_eq!(peer.receive().unwrap().0, hello());
            let mut words = message(PAGES, [1, 0, 0]);
            words[word] = found;
            peer.send(words, &[]);
            let (told, _) = peer.receive().unwrap();
            assert_eq!((told[3], told[5]), (REFUSED, found), "the server is told");
            let Err(LinkError::Refusing(refusal)) = client.join().unwrap() else { panic!() };
            let text = refusal.to_string();
            assert!(text.contains("version") || text.contains("layout"), "{text}");
        });
    }
}

#[test]
fn pages_that_are_not_what_was_announced_are_not_taken() {
    use shm_protocol::PageSet;
    let directory = Directory::new();
    let set = PageSet::create(&description(), 5).unwrap();
    let [intent, telemetry] = set.descriptors();
    let file = std::fs::File::create(directory.path("file")).unwrap();
    for (name, generation, descriptors) in [
        ("another generation", 6, vec![intent, telemetry]),
        ("swapped", 5, vec![telemetry, intent]),
        ("only one", 5, vec![intent]),
        ("a file", 5, vec![intent, file.as_fd()]),
        ("too many", 5, vec![intent, telemetry, telemetry]),
    ] {
        let path = directory.path(&format!("{name}.sock"));
        let listener = Raw::listen(&path);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| Client::connect(&path, PATIENCE));
            let peer = listener.accept();
            peer.receive().unwrap();
            peer.send(message(PAGES, [generation, 0, 0]), &descriptors);
            let error = client.join().unwrap().map(drop).unwrap_err();
            assert!(
                matches!(error, LinkError::Memory(_) | LinkError::Broken(_)),
                "{name}: {error}"
            );
        });
    }
}

#[test]
fn a_page_that_was_never_closed_is_not_begun_with() {
    use shm_protocol::PageSet;
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let listener = Raw::listen(&path);
    let set = PageSet::create(&description(), 5).unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(&path, PATIENCE));
        let peer = listener.accept();
        peer.receive().unwrap();
        peer.send(message(PAGES, [5, 0, 0]), &set.descriptors());
        assert_eq!(peer.receive().unwrap().0[3], MAPPED);
        peer.send(message(GO, [0; 3]), &[]);
        let error = client.join().unwrap().map(drop).unwrap_err();
        assert!(error.to_string().contains("seals"), "{error}");
    });
}

#[test]
fn who_leaves_or_babbles_harms_only_itself() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    drop(Raw::connect(&path));
    assert!(matches!(news(&mut server, 1), LinkNews::Broken { .. }));
    for bytes in [&[0u8; 1][..], &[0xff; 63], &[0xaa; 65], &[0; 5000]] {
        let peer = Raw::connect(&path);
        peer.send_bytes(bytes, &[]);
        let LinkNews::Refused { refusal, .. } = news(&mut server, 1) else { panic!() };
        assert_eq!(refusal, Refusal::Malformed);
    }
    let (peer, _pages) = raw_pages(&mut server, &path);
    drop(peer);
    assert!(matches!(news(&mut server, 2), LinkNews::Broken { .. }));
    let (peer, _pages) = raw_pages(&mut server, &path);
    peer.send(hello(), &[]);
    assert!(matches!(news(&mut server, 2), LinkNews::Refused { refusal: Refusal::Malformed, .. }));
    connect_pair(&mut server, &path, 3);
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let silent = Raw::connect(&path);
    assert!(matches!(news(&mut server, 1), LinkNews::Broken { .. }));
    assert!(silent.receive().is_none());
    connect_pair(&mut server, &path, 1);
}

#[test]
fn a_peer_that_never_says_mapped_is_given_up_and_its_pages_are_not_given_again() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, _pages) = raw_pages(&mut server, &path);
    // While it is waited for, another one waits: nobody is refused for it, nobody gets its pages.
    let begun = Instant::now();
    let news_of_it = wait_for(|| server.turn(false, &mut || panic!("it has its pages")));
    assert!(matches!(news_of_it, LinkNews::Broken { .. }), "{news_of_it:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "bounded");
    assert!(peer.receive().is_none());
    let (client, _peer) = connect_pair(&mut server, &path, 2);
    assert_eq!(client.generation(), 2);
}

#[test]
fn a_peer_that_seals_its_page_against_being_closed_is_not_begun_with() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let (peer, [intent, _telemetry]) = raw_pages(&mut server, &path);
    // No seal can be added any more: rt could not keep holes out of it.
    fcntl(&intent, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SEAL)).unwrap();
    peer.send(message(MAPPED, [0; 3]), &[]);
    assert!(matches!(news(&mut server, 2), LinkNews::Broken { .. }));
    assert!(peer.receive().is_none());
}

#[test]
fn a_server_that_leaves_in_the_middle_is_named() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let listener = Raw::listen(&path);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(&path, PATIENCE).map(drop).unwrap_err());
        let peer = listener.accept();
        peer.receive().unwrap();
        drop(peer);
        assert!(matches!(client.join().unwrap(), LinkError::Broken(_)));
        let link = scope.spawn(|| GuardianLink::connect(&path, 1, PATIENCE).map(drop).unwrap_err());
        // Closed with the hello unread: the connection is reset.
        drop(listener.accept());
        let error = link.join().unwrap();
        assert!(matches!(error, LinkError::Broken(_)), "{error}");
    });
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let guardian_path = directory.path("guardian.sock");
    let mut guardian = GuardianServer::bind(&guardian_path, own_uid()).unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let many = vec![writer.as_fd(); 250];
    let first = Raw::connect(&path);
    first.send(message(99, [0; 3]), &many);
    let second = Raw::connect(&guardian_path);
    second.send(message(HELLO, [2, 0, 0]), &many);
    drop(many);
    drop(writer);
    news(&mut server, 1);
    wait_for(|| {
        assert!(guardian.turn(false, None).is_none());
        guardian.take_refused()
    });
    // The last copy is gone: the pipe is at its end.
    let mut byte = [0];
    assert_eq!(nix::unistd::read(&reader, &mut byte), Ok(0));
}

#[test]
fn a_server_that_does_not_answer_or_is_not_there_is_named() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let error = Client::connect(&path, PATIENCE).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::Nobody { .. }), "{error}");
    let _listener = Raw::listen(&path);
    let error = Client::connect(&path, Duration::from_millis(20)).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
    let error = GuardianLink::connect(&path, 1, Duration::from_millis(20)).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::TimedOut { .. }), "{error}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    drop(Raw::listen(&path));
    let mut server = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = LinkServer::bind(&path, own_uid(), 0o600).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::Taken { .. }), "{error}");
    assert!(error.to_string().contains("already running"), "{error}");
    let error = GuardianServer::bind(&path, own_uid()).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::Taken { .. }), "{error}");
    assert!(matches!(news(&mut server, 1), LinkNews::Broken { .. }), "who only looked");
    assert!(matches!(news(&mut server, 1), LinkNews::Broken { .. }));
    connect_pair(&mut server, &path, 1);
    drop(server);
    assert!(!path.exists(), "removed with its server");
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    std::fs::write(&path, "precious").unwrap();
    let error = LinkServer::bind(&path, own_uid(), 0o600).map(drop).unwrap_err();
    assert!(matches!(error, LinkError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = LinkServer::bind(&directory.path(&"x".repeat(200)), own_uid(), 0o600);
    assert!(matches!(error, Err(LinkError::Path { .. })));
}

#[test]
fn a_server_removes_only_its_own_file() {
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let first = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = LinkServer::bind(&path, own_uid(), 0o600).unwrap();
    drop(first);
    assert!(path.exists());
}
