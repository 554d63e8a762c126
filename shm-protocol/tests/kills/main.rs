//! Processes killed by SIGKILL at seeded random moments: planners under a living server, servers under
//! a living planner. Nothing is wedged, left behind, executed twice or half-read, and the sums hold.
//!
//! A child is this program started again, with the work to do in its environment. `MECHOS_KILLS` says
//! how many of each kind are killed, `MECHOS_SEED` repeats a run's moments.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "../common/mod.rs"]
mod common;
mod planner;
mod server;

use std::os::unix::process::{ExitStatusExt, parent_id};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::*;
use planner::Planner;
use server::{Counts, Server};
use shm_protocol::{Client, LinkError};

/// Kills of each kind when nothing else is asked for.
const KILLS: u64 = 200;
/// What a child is to do: a planner's socket to connect to, or a server's to offer.
const PLANNER: &str = "MECHOS_TEST_KILLED_PLANNER";
const SERVER: &str = "MECHOS_TEST_KILLED_SERVER";
/// The first generation of a server that is a child.
const GENERATION: &str = "MECHOS_TEST_GENERATION";
/// The moment of a kill: after the start of the process (its handshake lies in there), or after the
/// handshake.
const SINCE_START_MAX_US: u64 = 6_000;
const SINCE_CONNECTED_MAX_US: u64 = 3_000;

/// xorshift64*, seeded.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }

    fn delay(&mut self, max_us: u64) -> Duration {
        Duration::from_nanos(self.below(max_us * 1000))
    }
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// This program again, doing `what` at `path`. Whatever it might leave in a file system, it leaves in
/// that directory.
fn child(what: &str, path: &Path, generation: u64) -> Child {
    let directory = path.parent().unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--test-threads", "1", "--nocapture"])
        .env(what, path)
        .env(GENERATION, generation.to_string())
        .env("TMPDIR", directory)
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a child by SIGKILL, which is what must end it: one that found a fault ends by itself.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL), "the child found a fault: {status}");
}

/// Descriptors of this process, and its mappings of pages.
fn held() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let pages = maps.lines().filter(|line| line.contains("memfd:mechos-")).count();
    (std::fs::read_dir("/proc/self/fd").unwrap().count(), pages)
}

/// That the socket is all there is in its directory.
fn only_the_socket_is_left(path: &Path) {
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [path.file_name().unwrap()]);
}

/// What a child does until it is killed, or its parent has ended; nothing in the parent.
#[test]
fn child_process() {
    let parent = parent_id();
    if let Some(path) = std::env::var_os(PLANNER) {
        let mut planner = Planner::new(Client::connect(path, PATIENCE).unwrap());
        while parent_id() == parent {
            planner.go_on();
        }
    } else if let Some(path) = std::env::var_os(SERVER) {
        let first = u32::try_from(asked(GENERATION, 0)).unwrap();
        let mut server = Server::bind(path.as_ref(), first);
        while parent_id() == parent {
            server.go_on();
        }
    }
}

/// One test, as both parts count what the whole process holds.
#[test]
fn sigkill_leaves_nothing_and_stops_nobody() {
    if std::env::var_os(PLANNER).is_some() || std::env::var_os(SERVER).is_some() {
        return;
    }
    let (kills, seed) = (asked("MECHOS_KILLS", KILLS), asked("MECHOS_SEED", 42));
    println!("seed {seed}");
    planners_are_killed(kills, &mut Random(seed | 1 << 63));
    servers_are_killed(kills, &mut Random(seed | 1 << 62));
}

fn planners_are_killed(kills: u64, random: &mut Random) {
    let begun = Instant::now();
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let mut server = Server::bind(&path, 1);
    let before = held();
    let (mut slowest, mut in_handshake) = (Duration::ZERO, 0);
    for round in 0..kills {
        let started = Instant::now();
        let mut peer = child(PLANNER, &path, 0);
        if random.below(4) == 0 {
            let delay = random.delay(SINCE_START_MAX_US);
            while started.elapsed() < delay {
                server.go_on();
            }
            in_handshake += u64::from(!server.is_connected());
        } else {
            while !server.is_connected() {
                assert!(started.elapsed() < PATIENCE, "wedged before round {round}");
                server.go_on();
            }
            slowest = slowest.max(started.elapsed());
            let (connected, delay) = (Instant::now(), random.delay(SINCE_CONNECTED_MAX_US));
            while connected.elapsed() < delay {
                server.go_on();
            }
        }
        kill(&mut peer);
        server.settle(random.below(2) == 0);
        assert_eq!(held(), before, "left open in round {round}");
        only_the_socket_is_left(&path);
    }
    // The last word: a planner that nobody kills is served.
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(&path, PATIENCE).unwrap());
        wait_for(|| {
            server.go_on();
            server.is_connected().then_some(())
        });
        let mut planner = Planner::new(client.join().unwrap());
        wait_for(|| {
            planner.go_on();
            server.go_on();
            (planner.finals() > 100).then_some(())
        });
    });
    server.settle(true);
    assert_eq!(held(), before);
    let Counts { taken, queued, returned, lost, .. } = server.counts;
    assert!(taken > kills, "too few intents to show anything");
    println!(
        "{kills} planners killed in {:.1} s, {in_handshake} of them before they were connected; \
         start to connection at most {} ms; {taken} intents taken, {queued} left in their ring, \
         {returned} returned, {lost} cut off in the middle",
        begun.elapsed().as_secs_f64(),
        slowest.as_millis(),
    );
}

fn servers_are_killed(kills: u64, random: &mut Random) {
    let begun = Instant::now();
    let directory = Directory::new();
    let path = directory.path("link.sock");
    let before = held();
    let (mut slowest, mut unseen, mut unconnected, mut finals) =
        (Duration::ZERO, Duration::ZERO, 0, 0);
    for round in 0..kills {
        let started = Instant::now();
        // Far enough apart that no generation is met twice.
        let mut peer = child(SERVER, &path, 1 + round * 1000);
        let planner = if random.below(4) == 0 {
            let delay = random.delay(SINCE_START_MAX_US);
            let killer = std::thread::spawn(move || {
                std::thread::sleep(delay.saturating_sub(started.elapsed()));
                kill(&mut peer);
            });
            let client = connect_until(&path, || killer.is_finished());
            killer.join().unwrap();
            client.map(Planner::new)
        } else {
            let mut planner = Planner::new(connect_until(&path, || false).unwrap());
            slowest = slowest.max(started.elapsed());
            let (connected, delay) = (Instant::now(), random.delay(SINCE_CONNECTED_MAX_US));
            while connected.elapsed() < delay {
                planner.go_on();
            }
            kill(&mut peer);
            Some(planner)
        };
        match planner {
            Some(mut planner) => {
                unseen = unseen.max(planner.outlive());
                finals += planner.finals();
            }
            None => unconnected += 1,
        }
        assert_eq!(held(), before, "left open in round {round}");
        if path.exists() {
            only_the_socket_is_left(&path);
        }
    }
    // The socket of the last one is replaced, and goes with whoever replaced it.
    drop(Server::bind(&path, u32::MAX));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    assert_eq!(held(), before);
    assert!(finals > kills, "too few verdicts to show anything");
    println!(
        "{kills} servers killed in {:.1} s, {unconnected} of them before they were connected; \
         start to connection at most {} ms, end to its sight at most {} ms; {finals} finals read",
        begun.elapsed().as_secs_f64(),
        slowest.as_millis(),
        unseen.as_millis(),
    );
}

/// Connects to a server that is starting; none once it is over.
fn connect_until(path: &Path, over: impl Fn() -> bool) -> Option<Client> {
    let begun = Instant::now();
    loop {
        // Asked before the try: one that begins after the end cannot succeed.
        let last = over();
        match Client::connect(path, PATIENCE) {
            Ok(client) => return Some(client),
            Err(LinkError::TimedOut { .. }) => panic!("a handshake that does not end"),
            Err(_) if last => return None,
            // It is not there yet, or has just gone.
            Err(_) => std::thread::yield_now(),
        }
        assert!(begun.elapsed() < PATIENCE, "wedged");
    }
}
