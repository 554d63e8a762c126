//! The hostile process: connected as a planner may be, it keeps the arm moving by moves of its own and
//! meanwhile does its worst to the pages; or it stands at the door.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mechos_tests::now_ns;
use serde::{Deserialize, Serialize};
use shm_protocol::records::{
    AXES_MAX, AxisRequest, INTENT_VERSION, Intent, IntentKind, ModeCode, Telemetry, TraceId,
};

use crate::attack::Attack;
use crate::door;
use crate::hand::{Pages, Visit};
use crate::random::Random;
use crate::tamper;

/// What precedes every word of the hostile process on its standard output.
pub const SAYS: &str = "besieger: ";
/// The axis that it moves, how far to each side of zero, and how fast: with the widened budgets braking
/// begins so late that nothing faster is stoppable.
const BASE: usize = 0;
const SIDE_RAD: f64 = 0.6;
const PEAK_RAD_S: f32 = 0.4;
/// Longest lease that the robot grants, with room for what lies between.
const LEASE_NS: u64 = 9_000_000_000;
/// Between two looks whether the arm moves.
const LOOK: Duration = Duration::from_millis(20);
/// How long a move of its own may take to become active in the midst of the garbage.
const ADMITTED_MAX: Duration = Duration::from_millis(20);
/// Tries of the same.
const TRIES_MAX: u32 = 50;
/// How long arming may take.
const ARMED_MAX: Duration = Duration::from_secs(30);

/// What the hostile process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The planner's socket.
    pub socket: PathBuf,
    /// Which attack.
    pub attack: Attack,
    /// Of everything that is drawn.
    pub seed: u64,
    /// How long, ms.
    pub length_ms: u64,
    /// The pages are holed before the daemon closes them.
    pub holed: bool,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Deeds {
    /// Words written where another value was expected.
    pub words: u64,
    /// Records put into the ring that are none, or that ask for nonsense.
    pub records: u64,
    /// Moves of its own that became active.
    pub moves: u64,
    /// Stop words pressed.
    pub presses: u64,
    /// Calls on the descriptors, all of them refused.
    pub calls: u64,
    /// Visits at the door.
    pub visits: u64,
    /// Of them turned away.
    pub turned_away: u64,
}

impl std::ops::AddAssign for Deeds {
    fn add_assign(&mut self, more: Deeds) {
        self.words += more.words;
        self.records += more.records;
        self.moves += more.moves;
        self.presses += more.presses;
        self.calls += more.calls;
        self.visits += more.visits;
        self.turned_away += more.turned_away;
    }
}

fn say(word: &str) {
    println!("\n{SAYS}{word}");
}

/// Says that it is over and what it did.
fn report(deeds: &Deeds) {
    say(&format!("over {}", serde_json::to_string(deeds).unwrap()));
}

/// Carries the order out; then stays, quiet, until standard input ends. A line of it is another attack,
/// from then on.
pub fn run(order: &Order) {
    let attack = Arc::new(Mutex::new(order.attack));
    let changed = Arc::clone(&attack);
    let over = std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            *changed.lock().unwrap() = serde_json::from_str(&line).expect("an attack");
        }
    });
    let mut random = Random::new(order.seed);
    let until = |begun: Instant| begun + Duration::from_millis(order.length_ms);
    if order.attack.is_at_the_door() {
        say("there");
        let taken = order.attack == Attack::DoorTaken;
        report(&door::stand(&order.socket, taken, until(Instant::now()), &mut random));
        let _ = over.join();
        return;
    }
    let mut besieger = Besieger::connect(order, random);
    say("connected");
    besieger.wait_armed();
    besieger.move_on();
    say("moves");
    let until = until(Instant::now());
    let mut looked = Instant::now();
    while Instant::now() < until {
        let attack = *attack.lock().unwrap();
        besieger.burst(attack);
        if attack != Attack::Silence && looked.elapsed() >= LOOK {
            looked = Instant::now();
            besieger.move_on();
        }
    }
    report(&besieger.deeds);
    while !over.is_finished() {
        if order.attack != Attack::Silence {
            besieger.beat();
            besieger.move_on();
        }
        std::thread::sleep(LOOK);
    }
}

/// The hostile process, connected.
pub struct Besieger {
    /// The pages.
    pub pages: Pages,
    /// Their descriptors: intent page, telemetry page.
    pub descriptors: [std::os::fd::OwnedFd; 2],
    /// What is drawn.
    pub random: Random,
    /// What it did so far.
    pub deeds: Deeds,
    /// Number of the newest intent.
    pub number: u64,
    _visit: Visit,
}

impl Besieger {
    fn connect(order: &Order, random: Random) -> Besieger {
        let visit = Visit::connect(&order.socket).expect("somebody serves the socket");
        let descriptors = visit.pages().expect("nobody else is connected");
        let mut deeds = Deeds::default();
        if order.holed {
            deeds.calls += tamper::open(&descriptors[0]);
        }
        let pages = Pages::map(&descriptors);
        assert!(visit.go(), "the handshake is as it should be");
        Besieger { pages, descriptors, random, deeds, number: 0, _visit: visit }
    }

    /// The heart moves.
    pub fn beat(&self) {
        self.pages.intent.heartbeat.word.fetch_add(1, Ordering::Release);
    }

    /// The newest state.
    pub fn state(&self) -> Telemetry {
        // None only while the daemon publishes faster than this process reads.
        std::iter::repeat_with(|| self.pages.state()).flatten().next().unwrap()
    }

    fn wait_armed(&self) {
        let begun = Instant::now();
        while self.pages.state().is_none_or(|now| now.mode != ModeCode::Armed) {
            assert!(begun.elapsed() < ARMED_MAX, "nobody arms: {:?}", self.pages.state());
            self.beat();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An intent as an honest planner would send it now.
    pub fn honest(&mut self) -> Intent {
        self.number += 1;
        let now = self.state();
        let mut axes = [AxisRequest::default(); AXES_MAX];
        let side = if now.axes[BASE].setpoint_rad > 0.0 { -SIDE_RAD } else { SIDE_RAD };
        axes[BASE].position_rad = side;
        axes[BASE].velocity_peak_rad_s = PEAK_RAD_S;
        let issued_ns = now_ns();
        Intent {
            number: self.number,
            version: INTENT_VERSION,
            kind: IntentKind::MoveJoints,
            agent: 0,
            epoch: now.epoch,
            issued_ns,
            lease_until_ns: issued_ns + LEASE_NS,
            trace: TraceId([0xbe; 16]),
            axes_mask: 1 << BASE,
            axes,
        }
    }

    /// Where nothing moves and something may: to the other side. What is due in the ring may change
    /// under its hands, as the daemon goes on with the garbage that lies there.
    pub fn move_on(&mut self) {
        for _ in 0..TRIES_MAX {
            let now = self.state();
            if now.mode != ModeCode::Armed || now.active_intent != 0 {
                return;
            }
            self.beat();
            // Without slots for verdicts nothing is taken.
            let sent = self.pages.verdicts_sent();
            self.pages.intent.verdicts_read.word.store(sent, Ordering::Release);
            let intent = self.honest();
            self.pages.write(self.pages.due(), &intent);
            let written = Instant::now();
            while written.elapsed() < ADMITTED_MAX {
                if self.state().active_intent == intent.number {
                    self.deeds.moves += 1;
                    return;
                }
                std::thread::yield_now();
            }
        }
    }
}
