//! The process against the real-time end of real pages, held by a small arm in this test.

// Clippy's leave for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mechos_cognition::clock::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_protocol::records::{
    AXES_MAX, AXIS_NONE, AxisDescription, AxisTelemetry, Cause, Description, Intent,
    IntentCounters, IntentKind, ModeCode, Rule, Telemetry, Verdict, VerdictKind,
};
use shm_protocol::{Connected, LINK_SOCKET, LinkNews, LinkServer, PageSet};

/// No step of a test takes longer on a healthy machine, however loaded.
const PATIENCE: Duration = Duration::from_secs(60);

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mechos-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The process under test; killed should the test fail.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_mechos-cognition"))
            .args(arguments)
            .env_remove("MECHOS_API_KEY")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end: whether it ended well, and what it logged.
    fn end(mut self) -> (bool, String) {
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let log = BufReader::new(self.0.stderr.take().unwrap());
        let lines: Vec<String> = log.lines().map(Result::unwrap).collect();
        (self.0.wait().unwrap().success(), lines.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn description() -> Description {
    let mut description = Description {
        name: [0; 24],
        period_ns: 1_000_000,
        lease_max_ns: 10_000_000_000,
        heartbeat_timeout_ns: 80_000_000,
        intents_per_second_max: 50,
        axis_count: 1,
        axes: [AxisDescription::default(); AXES_MAX],
    };
    description.name[..3].copy_from_slice(b"arm");
    let axis = &mut description.axes[0];
    axis.name[..4].copy_from_slice(b"base");
    (axis.position_min_rad, axis.position_max_rad) = (-2.9, 2.9);
    (axis.velocity_max_rad_s, axis.acceleration_max_rad_s2) = (1.5, 5.0);
    (axis.jerk_max_rad_s3, axis.effort_max_nm) = (50.0, 40.0);
    description
}

/// The other end: takes intents, completes moves after a while, holds at once.
struct Rt {
    peer: Connected,
    tick: u64,
    position_rad: f64,
    active: Option<(Intent, Instant)>,
    took: Vec<Intent>,
    move_time: Duration,
}

impl Rt {
    /// Serves a runtime directory until a peer is connected.
    fn connect(runtime: &Path, generation: u32, move_time: Duration) -> Self {
        let uid = std::fs::metadata(runtime).unwrap().uid();
        let mut server = LinkServer::bind(&runtime.join(LINK_SOCKET), uid, 0o600).unwrap();
        let mut pages = || Some(PageSet::create(&description(), generation).unwrap());
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "nobody connects");
            if let Some(LinkNews::Connected(peer)) = server.turn(false, &mut pages) {
                return Self {
                    peer: *peer,
                    tick: 0,
                    position_rad: 0.0,
                    active: None,
                    took: Vec::new(),
                    move_time,
                };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn verdict(&mut self, intent: &Intent, kind: VerdictKind) {
        let verdict = Verdict {
            number: intent.number,
            trace: intent.trace,
            kind,
            rule: Rule::None,
            axis: AXIS_NONE,
            cause: Cause::None,
            epoch: 1,
            tick: self.tick,
            decided_ns: now_ns(),
            value: 0.0,
            limit: 0.0,
            nearest: 0.0,
        };
        self.peer.end.push_verdict(&verdict).unwrap();
    }

    fn step(&mut self) {
        self.tick += 1;
        while let Some(claim) = self.peer.end.pop(AXES_MAX) {
            assert!(claim.intact);
            let intent = claim.intent;
            assert!(intent.lease_until_ns > intent.issued_ns && intent.issued_ns <= now_ns());
            if let Some((earlier, _)) = self.active.take() {
                self.verdict(&earlier, VerdictKind::Preempted);
            }
            self.verdict(&intent, VerdictKind::Accepted);
            self.took.push(intent);
            if intent.kind == IntentKind::MoveJoints {
                self.active = Some((intent, Instant::now()));
            } else {
                self.verdict(&intent, VerdictKind::Completed);
            }
        }
        if let Some((intent, begun)) = self.active
            && begun.elapsed() >= self.move_time
        {
            self.active = None;
            self.position_rad = intent.axes[0].position_rad;
            self.verdict(&intent, VerdictKind::Completed);
        }
        self.publish();
        std::thread::sleep(Duration::from_millis(1));
    }

    fn publish(&mut self) {
        let mut axes = [AxisTelemetry::default(); AXES_MAX];
        axes[0].position_rad = self.position_rad;
        axes[0].setpoint_rad = self.position_rad;
        self.peer.end.publish(&Telemetry {
            tick: self.tick,
            published_ns: now_ns(),
            mode: ModeCode::Armed,
            cause: Cause::None,
            cause_detail: 0,
            epoch: 1,
            operator_has_control: false,
            active_intent: 0,
            counters: IntentCounters::default(),
            axis_count: 1,
            axes,
        });
    }

    fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "not within the test's patience");
            self.step();
        }
    }
}

#[test]
fn it_drives_survives_a_restart_of_rt_and_holds_before_it_leaves() {
    let runtime = Directory::new("cognition-drive");
    let process = Process::start(&["--runtime", runtime.0.to_str().unwrap()]);
    let mut first = Rt::connect(&runtime.0, 1, Duration::from_millis(50));
    first.run_until(|rt| rt.took.len() >= 4);
    assert!(first.took.iter().all(|intent| intent.trace.0 != [0; 16]));
    drop(first);
    let mut second = Rt::connect(&runtime.0, 2, Duration::from_secs(600));
    second.run_until(|rt| rt.active.is_some());
    assert_eq!(second.took[0].number, 1, "numbers begin anew with the generation");
    process.signal(Signal::SIGTERM);
    second.run_until(|rt| rt.took.last().is_some_and(|last| last.kind == IntentKind::Hold));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        second.step();
    }
    let (well, log) = process.end();
    assert!(well, "{log}");
    assert!(log.contains("generation=2") && log.contains("ended in order"), "{log}");
    assert!(log.contains("trace="), "{log}");
}

#[test]
fn the_heart_goes_on_while_a_model_thinks_and_its_answer_is_carried_out() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 65536]).unwrap();
        wait.recv_timeout(PATIENCE).unwrap();
        let body = concat!(
            r#"{"choices":[{"message":{"content":"{\"reason\":\"r\",\"action\":\"move_joints\","#,
            r#"\"axes\":{\"base\":{\"position_rad\":0.25,\"velocity_rad_s\":null}}}"}}]}"#
        );
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    });
    let runtime = Directory::new("cognition-model");
    let path = runtime.0.to_str().unwrap();
    let process = Process::start(&[
        "--runtime",
        path,
        "--planner",
        "model",
        "--endpoint",
        &endpoint,
        "--model",
        "tiny",
    ]);
    let mut rt = Rt::connect(&runtime.0, 1, Duration::from_secs(600));
    let first = rt.peer.end.heartbeat();
    rt.run_until(|rt| rt.peer.end.heartbeat() >= first + 20);
    assert!(rt.took.is_empty(), "it still thinks");
    go.send(()).unwrap();
    rt.run_until(|rt| !rt.took.is_empty());
    assert_eq!(rt.took[0].axes[0].position_rad, 0.25);
    server.join().unwrap();
    process.signal(Signal::SIGINT);
    rt.run_until(|rt| rt.took.last().is_some_and(|last| last.kind == IntentKind::Hold));
    let (well, log) = process.end();
    assert!(well, "{log}");
}

#[test]
fn it_waits_for_rt_with_a_clear_word_and_ends_when_asked() {
    let runtime = Directory::new("cognition-alone");
    let mut process = Process::start(&["--runtime", runtime.0.to_str().unwrap()]);
    let mut log = BufReader::new(process.0.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("no connection to mechos-rt") {
        assert_ne!(log.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(text.contains(LINK_SOCKET), "{text}");
    process.signal(Signal::SIGTERM);
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn https_is_refused_at_the_start() {
    let process = Process::start(&[
        "--runtime",
        "/tmp",
        "--planner",
        "model",
        "--endpoint",
        "https://api.example.com/v1",
        "--model",
        "m",
    ]);
    let (well, log) = process.end();
    assert!(!well && log.contains("https is not supported"), "{log}");
}
