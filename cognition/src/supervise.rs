//! The life of the process: connect, run the connection, connect again, end in order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use crate::act::{self, Ended};
use crate::decide::{Decider, PlannerGone};
use crate::heart;
use crate::link::{Connect, Link};
use crate::machine::Machine;
use crate::planner::{Outcome, Planner};

/// First pause between two tries to connect; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two tries to connect.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// The same reason is said again after this long.
const REMIND: Duration = Duration::from_secs(30);
/// How often a pause looks at whether the process is to end.
const SLICE: Duration = Duration::from_millis(20);

/// Why the process ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The planner panicked.
    #[error(transparent)]
    Planner(#[from] PlannerGone),
}

/// Runs a planner on every connection that can be had, until `end` is set.
///
/// # Errors
/// [`SuperviseError`]; a connection that ends or cannot be had is none.
pub fn run<C: Connect>(
    mut connector: C,
    planner: Box<dyn Planner>,
    agent: u16,
    end: &AtomicBool,
) -> Result<(), SuperviseError> {
    info!(planner = planner.name(), place = connector.place(), "connecting to mechos-rt");
    let mut decider = Decider::start(planner)?;
    let mut outcome: Option<Outcome> = None;
    let mut retry = Retry::new();
    while !end.load(Ordering::Relaxed) {
        let (mut link, machine) = match open(&mut connector) {
            Ok(opened) => opened,
            Err(reason) => {
                retry.pause(&connector.place(), reason, end);
                continue;
            }
        };
        retry = Retry::new();
        let generation = link.generation();
        info!(generation, robot = machine.name, axes = machine.axes.len(), "connected");
        let heart = heart::start(link.heart(), machine.heartbeat_timeout_ns)?;
        let ended = act::run(&mut link, machine, agent, &mut decider, outcome.take(), end);
        // The heart stops before the link goes: a beat never touches a page that is unmapped.
        drop(heart);
        drop(link);
        match ended? {
            Ended::Asked => break,
            Ended::LinkLost(lost) => {
                warn!(generation, "the connection to mechos-rt has ended; connecting again");
                outcome = lost;
                sleep(RETRY_MIN, end);
            }
        }
    }
    info!("ended in order");
    Ok(())
}

fn open<C: Connect>(connector: &mut C) -> Result<(C::Link, Arc<Machine>), String> {
    let link = connector.connect()?;
    let machine = Machine::new(&link.description()).map_err(|error| error.to_string())?;
    Ok((link, Arc::new(machine)))
}

/// Growing pauses, and each reason said once rather than at every try.
struct Retry {
    pause: Duration,
    said: Option<(String, Instant)>,
}

impl Retry {
    fn new() -> Self {
        Self { pause: RETRY_MIN, said: None }
    }

    fn pause(&mut self, place: &str, reason: String, end: &AtomicBool) {
        let fresh = match &self.said {
            Some((said, when)) => *said != reason || when.elapsed() > REMIND,
            None => true,
        };
        if fresh {
            error!(place, "no connection to mechos-rt: {reason}; trying again until there is one");
            self.said = Some((reason, Instant::now()));
        }
        sleep(self.pause, end);
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }
}

fn sleep(length: Duration, end: &AtomicBool) {
    let begun = Instant::now();
    while begun.elapsed() < length && !end.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE.min(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::Embedded;
    use crate::fake::Arm;
    use crate::link::{Heart, Returned};
    use shm_protocol::records::{Description, Intent, Telemetry, Verdict};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, AtomicU64};

    /// What a test sees of all connections.
    #[derive(Default)]
    struct Seen {
        tries: AtomicU32,
        beats: AtomicU64,
        sent: Mutex<Vec<(u32, Intent)>>,
    }

    /// An arm in real time that dies after some intents.
    struct Live {
        arm: Arm,
        generation: u32,
        dies_after: usize,
        seen: Arc<Seen>,
    }

    struct Beats(Arc<Seen>);
    impl Heart for Beats {
        fn beat(&mut self) {
            self.0.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Live {
        fn catch_up(&mut self) {
            let now_ns = crate::clock::now_ns();
            if self.arm.now_ns < 2 * crate::clock::SECOND_NS {
                self.arm.now_ns = now_ns;
            }
            while self.arm.now_ns < now_ns {
                self.arm.tick();
            }
        }
    }

    impl Link for Live {
        fn description(&self) -> Description {
            self.arm.description
        }
        fn generation(&self) -> u32 {
            self.generation
        }
        fn is_alive(&mut self) -> bool {
            self.arm.sent.len() < self.dies_after
        }
        fn telemetry(&mut self) -> Option<Telemetry> {
            self.catch_up();
            self.arm.telemetry()
        }
        fn poll_verdict(&mut self) -> Option<Verdict> {
            self.arm.poll_verdict()
        }
        fn next_number(&mut self) -> u64 {
            self.arm.next_number()
        }
        fn submit(&mut self, intent: &Intent) -> Result<(), Returned> {
            self.seen.sent.lock().unwrap().push((self.generation, *intent));
            self.arm.submit(intent)
        }
        fn stop(&mut self) {}
        fn heart(&self) -> Box<dyn Heart> {
            Box::new(Beats(self.seen.clone()))
        }
    }

    struct Connector(Arc<Seen>);
    impl Connect for Connector {
        type Link = Live;
        fn connect(&mut self) -> Result<Live, String> {
            let generation = self.0.tries.fetch_add(1, Ordering::Relaxed);
            if generation == 0 {
                return Err("nobody there yet".into());
            }
            let mut arm = Arm::new(2);
            for axis in arm.description.axes.iter_mut() {
                axis.velocity_max_rad_s = 20.0;
                axis.acceleration_max_rad_s2 = 200.0;
                axis.jerk_max_rad_s3 = 9000.0;
            }
            Ok(Live { arm, generation, dies_after: 2, seen: self.0.clone() })
        }
        fn place(&self) -> String {
            "a test".into()
        }
    }

    #[test]
    fn it_retries_reconnects_to_a_new_generation_and_ends_when_asked() {
        let seen = Arc::new(Seen::default());
        let end = Arc::new(AtomicBool::new(false));
        let (watched, stop) = (seen.clone(), end.clone());
        let watcher = std::thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(60)
                && !watched.sent.lock().unwrap().iter().any(|(generation, _)| *generation == 3)
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
        });
        run(Connector(seen.clone()), Box::new(Embedded::default()), 0, &end).unwrap();
        watcher.join().unwrap();
        let sent = seen.sent.lock().unwrap();
        for generation in 1..=3 {
            assert!(sent.iter().any(|(of, _)| *of == generation), "generation {generation}");
        }
        assert!(seen.beats.load(Ordering::Relaxed) >= 3);
    }

    /// Thinks until it is let go.
    struct Thinks(crossbeam::channel::Receiver<()>);
    impl Planner for Thinks {
        fn name(&self) -> &'static str {
            "thinks"
        }
        fn decide(&mut self, _: &crate::planner::Situation) -> crate::planner::Decision {
            let _ = self.0.recv_timeout(Duration::from_secs(60));
            crate::planner::Decision::Wait { for_ns: 0 }
        }
    }

    #[test]
    fn the_heart_beats_and_the_process_ends_while_a_planner_thinks() {
        let seen = Arc::new(Seen::default());
        let end = Arc::new(AtomicBool::new(false));
        let (watched, stop) = (seen.clone(), end.clone());
        let (_let_go, thinking) = crossbeam::channel::bounded(0);
        std::thread::spawn(move || {
            let begun = Instant::now();
            while watched.beats.load(Ordering::Relaxed) < 10
                && begun.elapsed() < Duration::from_secs(50)
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
        });
        run(Connector(seen.clone()), Box::new(Thinks(thinking)), 0, &end).unwrap();
        assert!(seen.beats.load(Ordering::Relaxed) >= 10);
    }
}
