//! The guardian's process, whole, against a bus and a daemon of this test's own. Times are bounded
//! generously: what is tested is what happens and in which order, not how fast this host is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod bus;
mod rt;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bus::TestBus;
use mechos_operator::{CallError, Client, Command as Ask, Fault, GuardianStatus, RefusalCode};
use mechos_rt::host::clock::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rt::TestRt;
use shm_protocol::records::Cause;

const LONG: Duration = Duration::from_secs(20);
const ROBOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/robots/arm6.toml");

/// One guardian at a time: its real-time thread has a CPU of its own to ask for.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A runtime directory, two buses and a guardian; all of it goes with the test.
struct Scene {
    runtime: PathBuf,
    names: Vec<String>,
    buses: Vec<TestBus>,
    guardian: Child,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    fn start(extra: &[&str]) -> Scene {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mechos-guardian-{}-{number}", std::process::id());
        let runtime = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&runtime).unwrap();
        let robot = mechos_robot::Robot::load(ROBOT).unwrap();
        let names: Vec<String> = robot.buses.iter().map(|bus| bus.name.clone()).collect();
        let guardian = Command::new(env!("CARGO_BIN_EXE_mechos-guardian"))
            .args(["--robot", ROBOT, "--runtime"])
            .arg(&runtime)
            .args(extra)
            .env("MECHOS_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut scene = Scene { runtime, names, buses: Vec::new(), guardian, _alone: alone };
        scene.serve_buses();
        until("the guardian's socket", || scene.operator().is_some());
        scene
    }

    fn serve_buses(&mut self) {
        let robot = mechos_robot::Robot::load(ROBOT).unwrap();
        for (index, name) in self.names.iter().enumerate() {
            let nodes: Vec<u16> =
                robot.axes_of_bus(index).map(|axis| u16::from(robot.axes[axis].node)).collect();
            let path = self.runtime.join(format!("bus-{name}.sock"));
            self.buses.push(TestBus::serve(&path, &nodes));
        }
    }

    fn operator(&self) -> Option<Client> {
        Client::connect(self.runtime.join("guardian-operator.sock"), LONG).ok()
    }

    fn status(&self) -> GuardianStatus {
        self.operator().unwrap().guardian_status().unwrap()
    }

    /// A daemon that beats, with the guardian's sockets proved.
    fn connect(&self) -> TestRt {
        let rt = TestRt::connect(&self.runtime);
        until("proved sockets", || rt.socket_proved());
        rt
    }

    fn enable(&self, rt: &TestRt, obeys: bool) {
        for bus in &self.buses {
            bus.set_enabled(true, obeys);
        }
        rt.set_energised(true);
        until("power to be seen", || self.status().energised);
    }

    fn stops(&self) -> Vec<usize> {
        self.buses.iter().map(TestBus::stops).collect()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.guardian.id() as i32), signal).unwrap();
    }

    fn wait_end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the guardian's end", || {
            status = self.guardian.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
        self.buses.clear();
        let _ = std::fs::remove_dir_all(&self.runtime);
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_hung_daemon_is_fenced_and_its_drives_are_stopped_until_they_confirm() {
    let scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, false);
    let calm = scene.stops();
    let hung_ns = now_ns();
    rt.set_beating(false);
    until("a fence", || rt.fence().is_some());
    let (cause, fenced_ns) = rt.fence().unwrap();
    assert_eq!(cause, Cause::RtLost);
    assert!(fenced_ns > hung_ns);
    until("repeated stops", || scene.stops().iter().zip(&calm).all(|(now, was)| *now > was + 3));
    for bus in &scene.buses {
        assert!(bus.first_stop_after(hung_ns).unwrap() >= fenced_ns, "a stop before its fence");
        bus.set_enabled(true, true);
    }
    until("confirmation", || {
        let before = scene.stops();
        std::thread::sleep(Duration::from_millis(200));
        scene.stops() == before
    });
    assert_eq!(scene.status().cause, "rt-lost");
    // Powered again by whoever it may be: stopped again.
    let before = scene.stops();
    for bus in &scene.buses {
        bus.set_enabled(true, true);
    }
    until("new stops", || scene.stops().iter().zip(&before).all(|(now, was)| now > was));
}

#[test]
fn a_killed_daemon_leaves_a_fence_that_only_a_reset_takes_down() {
    let scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    let before = scene.stops();
    drop(rt);
    until("stops", || scene.stops().iter().zip(&before).all(|(now, was)| now > was));
    for _ in 0..3 {
        let rt = TestRt::connect(&scene.runtime);
        assert_eq!(rt.welcomed_with(), Some(Cause::RtLost));
        until("the fence on the new page", || rt.fence().is_some());
        drop(rt);
    }
    let rt = TestRt::connect(&scene.runtime);
    until("the fence on the new page", || rt.fence().is_some());
    rt.reset();
    until("the fence down", || rt.fence().is_none());
    assert!(!scene.status().fenced);
    assert_eq!(scene.status().halts.len(), 1);
}

#[test]
fn an_orderly_end_is_no_loss() {
    let scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    rt.set_energised(false);
    until("no power to be seen", || !scene.status().energised);
    let before = scene.stops();
    rt.goodbye();
    until("the goodbye", || !scene.status().connected);
    assert!(!scene.status().fenced);
    assert_eq!(scene.stops(), before);
}

#[test]
fn an_operators_emergency_stop_needs_no_daemon() {
    let scene = Scene::start(&[]);
    until("buses", || scene.buses.iter().all(|bus| bus.clients() > 0));
    scene.operator().unwrap().call(Ask::Estop).unwrap();
    assert_eq!(scene.status().cause, "operator-estop");
    until("stops", || scene.stops().iter().all(|stops| *stops > 0));
    let rt = TestRt::connect(&scene.runtime);
    assert_eq!(rt.welcomed_with(), Some(Cause::OperatorEstop));
}

#[test]
fn a_panic_of_its_real_time_thread_fences_stops_and_ends_it() {
    let mut scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    let before = scene.stops();
    let kind = Fault::Panic { thread: "guardian".into() };
    scene.operator().unwrap().call(Ask::Fault { kind }).unwrap();
    assert_eq!(scene.wait_end().code(), Some(71));
    assert_eq!(rt.fence().unwrap().0, Cause::ThreadPanic);
    assert!(scene.stops().iter().zip(&before).all(|(now, was)| now > was));
}

#[test]
fn a_hung_real_time_thread_misses_its_beat_and_the_operator_is_told() {
    let scene = Scene::start(&[]);
    let rt = scene.connect();
    let kind = Fault::Loop { thread: "guardian".into() };
    scene.operator().unwrap().call(Ask::Fault { kind }).unwrap();
    until("the beat to stand still", || {
        let beat = rt.guardian_beat();
        std::thread::sleep(Duration::from_millis(100));
        rt.guardian_beat() == beat
    });
    let refusal = scene.operator().unwrap().call(Ask::Estop).unwrap_err();
    let CallError::Refused(refusal) = refusal else { panic!("{refusal}") };
    assert_eq!(refusal.code, RefusalCode::Unavailable);
}

#[test]
fn asked_to_end_it_outlives_the_daemon() {
    let mut scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    scene.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(scene.guardian.try_wait().unwrap().is_none(), "ended before the daemon");
    let before = scene.stops();
    drop(rt);
    assert_eq!(scene.wait_end().code(), Some(0));
    assert!(scene.stops().iter().zip(&before).all(|(now, was)| now > was));
}

#[test]
fn a_simulator_that_starts_again_is_found_again() {
    let mut scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.buses.clear();
    until("the loss to be seen", || !rt.socket_proved());
    scene.serve_buses();
    until("a new proof", || rt.socket_proved());
    assert!(scene.stops().iter().all(|stops| *stops > 0));
}

#[test]
fn garbage_and_endless_connections_do_not_disturb_the_watch() {
    let scene = Scene::start(&[]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    let door = scene.runtime.join("guardian.sock");
    for round in 0..200u32 {
        rt::knock(&door, &round.to_le_bytes());
        if let Ok(mut stream) = UnixStream::connect(scene.runtime.join("guardian-operator.sock")) {
            let _ = stream.write_all(&[0xFF; 4096]);
            let _ = stream.write_all(b"\n{\"id\":1,\"command\":\"arm\"}\n");
        }
    }
    until("an answer", || match scene.operator().unwrap().call(Ask::Arm) {
        Err(CallError::Refused(refusal)) => refusal.code == RefusalCode::NotHere,
        // Turned away while the others are still being cleared up.
        _ => false,
    });
    assert!(rt.fence().is_none());
    rt.set_beating(false);
    until("a fence", || rt.fence().is_some());
}

#[test]
fn switched_off_it_beats_and_stops_nothing() {
    let scene = Scene::start(&["--disable-stop", "guardian"]);
    let rt = scene.connect();
    scene.enable(&rt, true);
    let before = scene.stops();
    rt.set_beating(false);
    until("the age to be seen", || scene.status().beat_age_max_ns > 500_000_000);
    assert!(scene.operator().unwrap().call(Ask::Estop).is_err());
    assert!(rt.fence().is_none() && !scene.status().fenced);
    assert_eq!(scene.stops(), before);
}

#[test]
fn a_second_guardian_is_refused_with_a_reason() {
    let scene = Scene::start(&[]);
    let second = Command::new(env!("CARGO_BIN_EXE_mechos-guardian"))
        .args(["--robot", ROBOT, "--runtime"])
        .arg(&scene.runtime)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("guardian"), "{text}");
    assert!(scene.operator().is_some(), "the first one's socket was taken away");
}
