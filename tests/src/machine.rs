//! The processes of one machine, started one by one without a supervisor, so that what was killed
//! stays dead.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hal::bus::Filter;
use hal::frame::Frame;
use mechos_operator::{Client, Command as Ask, Fault, GuardianStatus, Status, ThreadStatus};
use mechos_robot::Robot;
use mechos_sim::control::{Client as SimControl, Request as SimRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::binaries::{arm6, program};
use crate::frames::Frames;
use crate::now_ns;
use crate::tail::Tail;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One machine at a time: each wants the real-time priorities and both CPUs for itself.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for its turn: one machine at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names for `--disable-stop`.
    pub disabled: Vec<&'static str>,
    /// Start the embedded planner.
    pub cognition: bool,
    /// More arguments for cognition.
    pub cognition_args: Vec<String>,
    /// The robot file.
    pub robot: PathBuf,
    /// More arguments for the daemon.
    pub rt_args: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            disabled: vec![],
            cognition: true,
            cognition_args: vec![],
            robot: arm6(),
            rt_args: vec![],
        }
    }
}

/// A running machine; dropped, everything of it is killed and its folder removed.
pub struct Machine {
    /// The runtime directory.
    pub runtime: PathBuf,
    /// The simulator.
    pub sim: Child,
    /// The guardian.
    pub guardian: Child,
    /// The daemon.
    pub rt: Child,
    /// The planner.
    pub cognition: Option<Child>,
    /// The robot.
    pub robot: Robot,
    options: Options,
    /// Faults were injected that use the heap.
    heap_used: AtomicBool,
    /// Faults were injected that make system calls that are not listed.
    calls_made: AtomicBool,
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    /// Starts everything and waits until the daemon answers.
    pub fn start(options: Options) -> Machine {
        let turn = turn();
        let name = format!("mechos-test-{}-{}", std::process::id(), now_ns());
        let runtime = std::env::temp_dir().join(name);
        std::fs::create_dir(&runtime).expect("a runtime directory");
        let robot = Robot::load(&options.robot).expect("the robot file is right");
        let sim = spawn(&runtime, &options, "mechos-sim", &["--log".into(), log_path(&runtime)]);
        for bus in &robot.buses {
            wait_for(&runtime.join(format!("bus-{}.sock", bus.name)));
        }
        let guardian = spawn(&runtime, &options, "mechos-guardian", &off(&options, "guardian"));
        wait_for(&runtime.join("guardian.sock"));
        let rt = spawn(&runtime, &options, "mechos-rt", &rt_args(&options));
        wait_for(&runtime.join("operator.sock"));
        let mut machine = Machine {
            runtime,
            sim,
            guardian,
            rt,
            cognition: None,
            robot,
            options,
            heap_used: AtomicBool::new(false),
            calls_made: AtomicBool::new(false),
            _turn: turn,
        };
        if machine.options.cognition {
            machine.start_cognition();
        }
        machine
    }

    /// Starts and arms, and waits until every axis moves.
    pub fn moving(options: Options) -> Machine {
        let machine = Machine::start(options);
        machine.arm();
        machine.wait("every axis to move", |status| {
            status.axes.iter().all(|axis| axis.travel_rad > 0.05)
        });
        machine
    }

    /// Starts the planner.
    pub fn start_cognition(&mut self) {
        let mut command = Command::new(program("mechos-cognition"));
        command.arg("--runtime").arg(&self.runtime).args(&self.options.cognition_args);
        self.cognition = Some(logged(&self.runtime, "mechos-cognition", command));
    }

    /// Starts the daemon again, as a supervisor would.
    pub fn restart_rt(&mut self) {
        let mut args = rt_args(&self.options);
        args.extend(["--begin-halted".into(), "rt-lost".into()]);
        let _ = self.rt.wait();
        self.rt = spawn(&self.runtime, &self.options, "mechos-rt", &args);
        self.wait("the daemon to answer", |_| true);
    }

    /// Starts the guardian again, as a supervisor would.
    pub fn restart_guardian(&mut self) {
        let _ = self.guardian.wait();
        let args = off(&self.options, "guardian");
        self.guardian = spawn(&self.runtime, &self.options, "mechos-guardian", &args);
    }

    /// Switches every drive off and on: the simulator is killed and started again.
    pub fn power_cycle(&mut self) -> u64 {
        let t_ns = self.signal(&self.sim, Signal::SIGKILL);
        let _ = self.sim.wait();
        let log = ["--log".into(), log_path(&self.runtime)];
        self.sim = spawn(&self.runtime, &self.options, "mechos-sim", &log);
        t_ns
    }

    /// Whether the daemon ends by itself within a few seconds.
    pub fn rt_ended(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(8);
        while Instant::now() < until {
            if self.rt.try_wait().ok().flatten().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Waits until every process has ended by itself.
    pub fn wait_for_the_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        let mut children = vec![&mut self.rt, &mut self.guardian, &mut self.sim];
        children.extend(self.cognition.as_mut());
        while !children.iter_mut().all(|c| c.try_wait().ok().flatten().is_some()) {
            assert!(Instant::now() < until, "a process does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a drive fall silent for a while.
    pub fn silence(&self, drive: &str, ms: u64) {
        let request = SimRequest::Silence { drive: drive.to_owned(), ms: Some(ms), deaf: false };
        let mut client = SimControl::connect(&self.runtime, PATIENCE).expect("the simulator");
        client.call(&request).expect("the drive falls silent");
    }

    /// With nobody left to send SYNC the drives report nothing: asks in their place, from the
    /// test's own process, until the returned guard is dropped.
    pub fn ask_the_drives(&self) -> Asking {
        let end = Arc::new(AtomicBool::new(false));
        let sync = Frame::new(self.robot.sync_cob_id, &[]).expect("SYNC is a frame");
        let addresses =
            (0..self.robot.buses.len()).map(|b| self.robot.bus_address(b, &self.runtime));
        let mut buses: Vec<_> = addresses
            .map(|address| {
                let nothing = [Filter::exactly(self.robot.sync_cob_id)];
                hal::bus::open(&address, "test.sync", &nothing, None).expect("the bus is there")
            })
            .collect();
        let over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for bus in &mut buses {
                    let _ = bus.send(&sync);
                    while let Ok(Some(_)) = bus.receive() {}
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Asking { end, thread: Some(thread) }
    }

    /// Asks the daemon.
    pub fn ask(&self, command: Ask) -> Result<(), String> {
        self.expect(&command);
        let path = self.runtime.join(mechos_operator::OPERATOR_SOCKET);
        let mut client = Client::connect(path, PATIENCE).map_err(|error| error.to_string())?;
        client.call(command).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Asks the guardian.
    pub fn ask_guardian(&self, command: Ask) -> Result<(), String> {
        self.expect(&command);
        let path = self.runtime.join(mechos_operator::GUARDIAN_SOCKET);
        let mut client = Client::connect(path, PATIENCE).map_err(|error| error.to_string())?;
        client.call(command).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Injects a fault into the daemon.
    pub fn inject(&self, kind: Fault) -> u64 {
        let t_ns = now_ns();
        self.ask(Ask::Fault { kind }).expect("the fault is injected");
        t_ns
    }

    /// Arms, waiting for the drives to be ready first.
    pub fn arm(&self) {
        self.wait("no interlock to be open", |status| status.interlocks.is_empty());
        self.ask(Ask::Arm).unwrap_or_else(|error| panic!("arming: {error}\n{}", self.logs()));
    }

    /// The daemon's status. Whatever a real-time thread did after arming that it may not do fails
    /// the test, unless the test injected it.
    pub fn status(&self) -> Result<Status, String> {
        let path = self.runtime.join(mechos_operator::OPERATOR_SOCKET);
        let mut client =
            Client::connect(path, Duration::from_secs(5)).map_err(|e| e.to_string())?;
        let status = client.status().map_err(|error| error.to_string())?;
        self.judge(&status.rt.threads);
        Ok(status)
    }

    /// The guardian's status, under the same rule.
    pub fn guardian_status(&self) -> GuardianStatus {
        let path = self.runtime.join(mechos_operator::GUARDIAN_SOCKET);
        let mut client = Client::connect(path, PATIENCE).expect("the guardian answers");
        let status = client.guardian_status().expect("the guardian's status");
        self.judge(&status.threads);
        status
    }

    /// Waits until the status is as wanted.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let until = Instant::now() + PATIENCE;
        let mut last = Err("never asked".to_owned());
        while Instant::now() < until {
            last = self.status();
            match last {
                Ok(status) if wanted(&status) => return status,
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("waited in vain for {what}; last: {last:?}\n{}", self.logs());
    }

    /// Sends a signal; returns the time just before.
    pub fn signal(&self, child: &Child, signal: Signal) -> u64 {
        let t_ns = now_ns();
        kill(Pid::from_raw(child.id() as i32), signal).expect("the process can be signalled");
        t_ns
    }

    /// The frame log so far; it is at most 100 ms behind.
    pub fn frames(&self) -> Frames {
        std::thread::sleep(Duration::from_millis(250));
        let path = log_path(&self.runtime);
        Frames::read(Path::new(&path), u32::from(self.robot.stop_cob_id))
    }

    /// The frame log, to be followed as it grows.
    pub fn follow_frames(&self) -> Tail {
        Tail::of(Path::new(&log_path(&self.runtime)))
    }

    /// What a process writes to its standard error, to be followed.
    pub fn follow_log(&self, name: &str) -> Tail {
        Tail::of(&self.runtime.join(format!("{name}.log")))
    }

    /// Reads the log until `wanted` gives something.
    pub fn frames_until<T>(
        &self,
        what: &str,
        wanted: impl Fn(&Frames) -> Option<T>,
    ) -> (Frames, T) {
        let until = Instant::now() + PATIENCE;
        loop {
            let frames = self.frames();
            if let Some(found) = wanted(&frames) {
                return (frames, found);
            }
            assert!(Instant::now() < until, "waited in vain for {what}\n{}", self.logs());
        }
    }

    /// The last lines of every process' log, for a test that fails.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for name in ["mechos-sim", "mechos-guardian", "mechos-rt", "mechos-cognition"] {
            let log = std::fs::read_to_string(self.runtime.join(format!("{name}.log")));
            let log = log.unwrap_or_default();
            // A log that is followed begins with a hole.
            let lines: Vec<&str> = log.trim_start_matches('\0').lines().collect();
            let tail = lines.iter().rev().take(25).rev();
            text += &format!("--- {name}\n");
            for line in tail {
                text += &format!("{line}\n");
            }
        }
        text
    }
}

impl Machine {
    /// Remembers which violations a fault will make. Spinning makes none.
    fn expect(&self, command: &Ask) {
        let Ask::Fault { kind } = command else { return };
        let (heap, calls) = match kind {
            Fault::StallControl { .. }
            | Fault::Loop { .. }
            | Fault::Busy { .. }
            | Fault::PageFault => (false, false),
            Fault::Panic { .. } | Fault::Allocate => (true, false),
            // Waiting for a lock is such a call.
            Fault::Call | Fault::Lock { .. } => (false, true),
        };
        self.heap_used.fetch_or(heap, Ordering::Relaxed);
        self.calls_made.fetch_or(calls, Ordering::Relaxed);
    }

    /// Whether nothing was done after arming that was not asked for.
    fn judge(&self, threads: &[ThreadStatus]) {
        let heap_used = self.heap_used.load(Ordering::Relaxed);
        let calls_made = self.calls_made.load(Ordering::Relaxed);
        for thread in threads.iter().filter(|thread| thread.real_time) {
            let clean = (heap_used || thread.allocations == 0)
                && (calls_made || thread.calls_unlisted == 0);
            assert!(clean, "a violation: {thread:#?}\n{}", self.logs());
        }
    }

    /// The same, of what both processes have logged, whenever it was.
    fn judge_logs(&self) {
        let words = [
            (&self.heap_used, "a real-time thread used the heap"),
            (&self.calls_made, "a system call that is not on its list"),
        ];
        for name in ["mechos-rt", "mechos-guardian"] {
            let log = std::fs::read_to_string(self.runtime.join(format!("{name}.log")));
            let log = log.unwrap_or_default();
            for (injected, words) in &words {
                let line = log.lines().find(|line| line.contains(words));
                let line = line.filter(|_| !injected.load(Ordering::Relaxed));
                assert!(line.is_none(), "a violation: {line:?}");
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut children = vec![&mut self.rt, &mut self.guardian, &mut self.sim];
        children.extend(self.cognition.as_mut());
        for child in children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the runtime directory is kept: {}", self.runtime.display());
            return;
        }
        self.judge_logs();
        let _ = std::fs::remove_dir_all(&self.runtime);
    }
}

/// Sends SYNC while it lives.
pub struct Asking {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn log_path(runtime: &Path) -> String {
    runtime.join("frames.jsonl").to_string_lossy().into_owned()
}

fn off(options: &Options, only: &str) -> Vec<String> {
    let paths = options.disabled.iter().filter(|path| only.is_empty() || **path == only);
    paths.flat_map(|path| ["--disable-stop".to_owned(), (*path).to_owned()]).collect()
}

fn rt_args(options: &Options) -> Vec<String> {
    let mut args = off(options, "");
    args.extend(options.rt_args.iter().cloned());
    args
}

fn spawn(runtime: &Path, options: &Options, name: &str, args: &[String]) -> Child {
    let mut command = Command::new(program(name));
    command.arg("--robot").arg(&options.robot).arg("--runtime").arg(runtime).args(args);
    logged(runtime, name, command)
}

fn logged(runtime: &Path, name: &str, mut command: Command) -> Child {
    let path = runtime.join(format!("{name}.log"));
    let log = std::fs::File::options().create(true).append(true).open(path).expect("a log file");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("{name} starts: {error}"))
}

fn wait_for(path: &Path) {
    let until = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < until, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
