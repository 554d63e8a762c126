//! The rounds: a siege, then an honest planner; and what must hold all the time.

use std::path::Path;
use std::time::{Duration, Instant};

use mechos_operator::{Command as Ask, IntentSums, Status};
use mechos_sim::control::{Client as SimControl, Request as SimRequest};
use mechos_tests::machine::{Machine, Options, PATIENCE};
use mechos_tests::planner::{BASE, Planner, refused};
use shm_protocol::LINK_SOCKET;
use shm_protocol::records::{ModeCode, Rule};

use crate::attack::Attack;
use crate::besieger::{Deeds, Order};
use crate::hostile::Hostile;
use crate::random::Random;
use crate::totals::{Totals, since, sum};
use crate::watch::{Held, Watch};

/// How long one siege lasts, ms.
const SIEGE_MIN_MS: u64 = 300;
const SIEGE_MAX_MS: u64 = 700;
/// In a long run they last longer.
const LONG_S: u64 = 120;
const LONG_MAX_MS: u64 = 12_000;
/// The longest that the robot waits for a beat, with room for what comes after it.
const SILENCE_MS: u64 = 2_500;
/// How often the machine is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The way of the base in a siege in which it stays armed, rad.
const WAY_MIN_RAD: f64 = 0.03;
/// What memory may have grown from the first time round all attacks to the end, KiB.
const GROWTH_MAX_KIB: u64 = 8 * 1024;
/// Looks at what the processes hold.
const HELD_LOOKS: u32 = 5;
/// Ticks after which a connection that has ended is retired.
const SETTLED_TICKS: u64 = 30;
/// The axis of the honest moves, how far to each side of zero, and how fast: with the widened budgets
/// braking begins so late that nothing much faster is stoppable.
const WRIST: usize = 5;
const WAY_RAD: f64 = 0.03;
const PEAK_RAD_S: f32 = 0.4;
/// Honest moves of a session.
const MOVES: usize = 2;

/// A machine under siege.
pub struct Siege {
    /// The machine.
    pub machine: Machine,
    watch: Watch,
    random: Random,
    totals: Totals,
    begun: Instant,
    pids: (u32, u32),
    /// Time of the newest halt that was judged.
    halt_ns: u64,
    first: Option<[Held; 2]>,
}

impl Siege {
    /// Starts the machine.
    pub fn begin(robot: &Path, random: Random) -> Siege {
        let options = Options { cognition: false, robot: robot.into(), ..Options::default() };
        let machine = Machine::start(options);
        machine.wait("the guardian to be connected", |status| status.pids.guardian.is_some());
        let (watch, pids) = (Watch::begin(&machine), (machine.rt.id(), machine.guardian.id()));
        let (begun, totals) = (Instant::now(), Totals::default());
        Siege { machine, watch, random, totals, begun, pids, halt_ns: 0, first: None }
    }

    /// Rounds until the time is over and every attack was there.
    pub fn hold_out(mut self, length: Duration) {
        let length_max_ms = if length.as_secs() < LONG_S { SIEGE_MAX_MS } else { LONG_MAX_MS };
        self.honest_session();
        while self.begun.elapsed() < length || self.first.is_none() {
            let mut attacks = Attack::ALL;
            self.random.shuffle(&mut attacks);
            for attack in attacks {
                let length_ms = match attack {
                    Attack::Silence => SILENCE_MS,
                    _ => SIEGE_MIN_MS + self.random.below(length_max_ms - SIEGE_MIN_MS),
                };
                self.besieged(attack, length_ms);
                self.honest_session();
                self.totals.rounds += 1;
            }
            let held = self.held();
            let first = *self.first.get_or_insert(held);
            self.progress(&held);
            for (now, then) in held.iter().zip(&first) {
                let grown = now.resident_kib.saturating_sub(then.resident_kib);
                assert!(grown <= GROWTH_MAX_KIB, "{grown} KiB more: {now:?} after {then:?}");
                let counts = |held: &Held| (held.descriptors, held.threads, held.pages);
                assert_eq!(counts(now), counts(then), "left behind");
            }
        }
        self.end();
    }

    /// What the daemon and the guardian hold, with nobody connected. The least of a few looks: an
    /// operator's connection that was just closed may still be open at their end.
    fn held(&self) -> [Held; 2] {
        let least = |pid| {
            let looks = (0..HELD_LOOKS).map(|_| {
                std::thread::sleep(LOOK);
                Held::by(pid)
            });
            looks.min_by_key(|held| held.descriptors).unwrap()
        };
        [least(self.machine.rt.id()), least(self.machine.guardian.id())]
    }

    /// Whatever must hold at any time; `causes`: what may have halted the machine.
    pub fn look(&mut self, causes: &[&str]) -> Status {
        let Machine { rt, guardian, sim, .. } = &mut self.machine;
        let ended = [rt, guardian, sim].map(|child| child.try_wait().unwrap());
        assert_eq!(ended, [None; 3], "{}", self.machine.logs());
        assert_eq!((self.machine.rt.id(), self.machine.guardian.id()), self.pids);
        self.watch.judge();
        let status = self.machine.status().expect("the daemon answers");
        let pids = (status.pids.rt, status.pids.guardian);
        let known = |pid: u32| Some(pid as i32);
        assert_eq!(pids, (known(self.pids.0), known(self.pids.1)), "connected");
        for thread in status.rt.threads.iter().filter(|thread| thread.real_time) {
            let faults = (thread.faults_minor, thread.faults_major);
            assert!(!thread.locked || faults == (0, 0), "{thread:#?}");
        }
        assert_eq!(status.ledger.violations, 0, "{:?}", status.ledger);
        for halt in status.halts.iter().filter(|halt| halt.t_ns > self.halt_ns) {
            let right = causes.contains(&halt.cause.as_str());
            let misses = (status.misses, status.miss_causes);
            assert!(right, "{halt:?}, not {causes:?}; {misses:?}\n{}", self.machine.logs());
            *self.totals.halts.entry(halt.cause.clone()).or_default() += 1;
        }
        let newest = status.halts.iter().map(|halt| halt.t_ns).max();
        self.halt_ns = self.halt_ns.max(newest.unwrap_or(0));
        status
    }

    /// Looks until the status is as wanted.
    pub fn wait(
        &mut self,
        what: &str,
        causes: &[&str],
        wanted: impl Fn(&Status) -> bool,
    ) -> Status {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.look(causes);
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "waited in vain for {what}: {status:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// An operator's reset, if something is latched, and arming.
    pub fn arm(&mut self, causes: &[&str]) {
        let status = self.wait("rest", causes, |s| ["disarmed", "halted"].contains(&&*s.mode));
        if status.mode == "halted" {
            self.machine.wait("the reset to be taken", |_| self.machine.ask(Ask::Reset).is_ok());
        }
        self.machine.arm();
        self.totals.arms += 1;
    }

    /// A controlled stop, and no power.
    pub fn disarm(&mut self) {
        self.machine.ask(Ask::Disarm).expect("it is armed");
        self.wait("the machine to be disarmed", &[], |status| status.mode == "disarmed");
    }

    /// Once nobody is connected and nothing is in motion: the sums.
    pub fn sums(&mut self, causes: &[&str]) -> IntentSums {
        let idle = |s: &Status| s.pids.cognition.is_none() && s.intents.active == 0;
        let ended = self.wait("nobody to be connected", causes, idle);
        // The control thread has let go of its pages too.
        let later = |s: &Status| idle(s) && s.ticks > ended.ticks + SETTLED_TICKS;
        let intents = self.wait("the connection to be retired", causes, later).intents;
        assert!(intents.hold(), "{intents:?}");
        intents
    }

    /// An honest planner arms, moves, has its verdicts, and leaves.
    fn honest_session(&mut self) {
        let before = self.sums(&["cognition-lost"]);
        let mut planner = Planner::connect(&self.machine);
        self.arm(&["cognition-lost"]);
        planner.wait("Armed", |now| now.mode == ModeCode::Armed);
        for _ in 0..MOVES {
            honest(&mut planner);
            self.look(&[]);
        }
        self.disarm();
        planner.settle();
        self.count(planner, before);
    }

    /// That this planner's books are the machine's, since `before`.
    fn count(&mut self, planner: Planner, before: IntentSums) {
        let mine = planner.sums();
        assert!(mine.hold(), "{mine:?}");
        drop(planner);
        let now = self.sums(&[]);
        assert_eq!(since(&now, &before), mine, "the operator's sums are the planner's own");
        self.totals.honest = sum(&self.totals.honest, &mine);
    }

    fn besieged(&mut self, attack: Attack, length_ms: u64) {
        match attack {
            Attack::Door => self.besieged_at_the_door(length_ms),
            Attack::DoorTaken => self.besieged_while_one_is_in(length_ms),
            _ => self.besieged_by_its_planner(attack, length_ms),
        }
        self.totals.sieges.entry(attack).or_default().0 += 1;
    }

    fn start(&mut self, attack: Attack, length_ms: u64) -> Hostile {
        let socket = self.machine.runtime.join(LINK_SOCKET);
        let (seed, holed) = (self.random.word(), self.random.once_in(2));
        let order = Order { socket, attack, seed, length_ms, holed };
        eprintln!("  {:>9.3} s: {order:?}", self.begun.elapsed().as_secs_f64());
        Hostile::start(&order)
    }

    fn book(&mut self, attack: Attack, deeds: Deeds) {
        self.totals.sieges.entry(attack).or_default().1 += deeds;
    }

    fn besieged_at_the_door(&mut self, length_ms: u64) {
        self.sums(&["cognition-lost"]);
        let mut hostile = self.start(Attack::Door, length_ms);
        hostile.hear("there");
        let deeds = self.until_over(&mut hostile, &[], |_, _| ());
        assert!(deeds.visits > 0 && deeds.turned_away > 0, "{deeds:?}");
        hostile.end(self.random.once_in(2));
        self.book(Attack::Door, deeds);
    }

    fn besieged_while_one_is_in(&mut self, length_ms: u64) {
        let before = self.sums(&["cognition-lost"]);
        let mut planner = Planner::connect(&self.machine);
        self.arm(&[]);
        planner.wait("Armed", |now| now.mode == ModeCode::Armed);
        let mut hostile = self.start(Attack::DoorTaken, length_ms);
        hostile.hear("there");
        let deeds = self.until_over(&mut hostile, &[], |_, _| honest(&mut planner));
        assert!(deeds.visits > 0 && deeds.visits == deeds.turned_away, "{deeds:?}");
        honest(&mut planner);
        hostile.end(self.random.once_in(2));
        honest(&mut planner);
        self.disarm();
        planner.settle();
        self.count(planner, before);
        self.book(Attack::DoorTaken, deeds);
    }

    fn besieged_by_its_planner(&mut self, attack: Attack, length_ms: u64) {
        let causes = attack.halts_by();
        self.sums(&["cognition-lost"]);
        let mut hostile = self.start(attack, length_ms);
        hostile.hear("connected");
        self.arm(&[]);
        hostile.hear("moves");
        let travel = |status: &Status| status.axes[BASE].travel_rad;
        // What stops at once may never be seen armed.
        let armed = |now: &Status| now.mode == "armed" || !causes.is_empty();
        let began = self.wait("Armed in the status too", causes, armed);
        let deeds = self.until_over(&mut hostile, causes, |siege, status| {
            if causes.is_empty() {
                assert_eq!((&*status.mode, &*status.cause), ("armed", "none"), "under {attack:?}");
            } else if attack == Attack::StopWords && status.mode == "halted" {
                // Refused where the word is pressed in the middle of it.
                let taken = [Ask::Reset, Ask::Arm].map(|ask| siege.machine.ask(ask).is_ok());
                siege.totals.arms += u64::from(taken[1]);
            }
        });
        let mut status = self.look(causes);
        let from = if attack == Attack::StopWords { status.clone() } else { began };
        let moved = |now: &Status| travel(now) - travel(&from) > WAY_MIN_RAD;
        if causes.is_empty() {
            status = self.wait("the arm to have moved all the while", &[], moved);
        } else if attack == Attack::StopWords {
            // With the hostile planner connected, an operator has the last word.
            let settled = |now: &Status| ["armed", "halted"].contains(&&*now.mode);
            if self.wait("what the last word left", causes, settled).mode == "halted" {
                self.arm(causes);
            }
            status = self.wait("the arm to move again", &[], moved);
        } else {
            status = self.wait("the halt", causes, |status| status.mode == "halted");
        }
        assert!(deeds.moves > 0, "{deeds:?}");
        // It is gone with the machine armed, or leaves one that is at rest.
        let kill = self.random.once_in(2);
        if status.mode == "armed" && !kill {
            self.disarm();
        }
        hostile.end(kill);
        let mut after = causes.to_vec();
        after.push("cognition-lost");
        self.sums(&after);
        self.book(attack, deeds);
    }

    /// Looks at the machine until the hostile process says that it is over; `act` does something besides.
    fn until_over(
        &mut self,
        hostile: &mut Hostile,
        causes: &[&str],
        mut act: impl FnMut(&mut Siege, &Status),
    ) -> Deeds {
        let until = Instant::now() + 4 * PATIENCE;
        loop {
            let status = self.look(causes);
            act(self, &status);
            if let Some(said) = hostile.heard(LOOK) {
                let deeds = said.strip_prefix("over ").expect("it is over");
                return serde_json::from_str(deeds).unwrap();
            }
            assert!(Instant::now() < until, "the siege does not end");
        }
    }

    fn progress(&self, held: &[Held; 2]) {
        let Totals { rounds, arms, honest, .. } = &self.totals;
        let (frames, log_bytes) = self.watch.seen();
        eprintln!(
            "{:>5} s: {rounds} rounds, {arms} times armed, {} honest intents, {frames} frames, logs \
             {} MiB; resident {} and {} KiB, descriptors {} and {}",
            self.begun.elapsed().as_secs(),
            honest.submitted,
            log_bytes >> 20,
            held[0].resident_kib,
            held[1].resident_kib,
            held[0].descriptors,
            held[1].descriptors,
        );
    }

    /// Judges a last time, and says what was done.
    pub fn end(mut self) {
        let status = self.look(&[]);
        let guardian = self.machine.guardian_status();
        assert!(!guardian.fenced, "{guardian:?}");
        let mut sim = SimControl::connect(&self.machine.runtime, PATIENCE).expect("the simulator");
        let sim = sim.call(&SimRequest::Status {}).expect("its status").status.unwrap();
        assert_eq!(sim.log_lost, 0, "frames that nobody judged");
        self.totals.print(self.begun.elapsed().as_secs(), &status, self.watch.seen());
        self.watch.end();
    }
}

/// A move that is carried out, and an intent that is refused with its reason.
fn honest(planner: &mut Planner) {
    let now = planner.telemetry().axes[WRIST].setpoint_rad;
    let mut intent = planner.moving(WRIST, if now > 0.0 { -WAY_RAD } else { WAY_RAD });
    intent.axes[WRIST].velocity_peak_rad_s = PEAK_RAD_S;
    planner.carry_out(&intent);
    let wrong = planner.moving(BASE, 9.0);
    refused(&planner.try_out(&wrong), Rule::Position, "past its limit");
}
