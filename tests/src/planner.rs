//! A test as the planner: the planner's own library, a heartbeat, and books of what became of every
//! intent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mechos_operator::IntentSums;
use shm_protocol::records::{
    AXES_MAX, AxisDescription, AxisRequest, Description, INTENT_VERSION, Intent, IntentKind,
    ModeCode, Rule, Telemetry, TraceId, Verdict, VerdictKind,
};
use shm_protocol::{Client, LINK_SOCKET, LinkError};

use crate::limits;
use crate::machine::{Machine, Options, PATIENCE};
use crate::now_ns;

/// The axis that tests wrong, and the one of the honest moves in between.
pub const BASE: usize = 0;
/// See [`BASE`].
const WRIST3: usize = 5;
/// How often the heartbeat moves; the relaxed profile allows 250 ms.
const BEAT: Duration = Duration::from_millis(10);
/// The lease of an honest intent.
const LEASE_NS: u64 = 9_000_000_000;

/// What became of one intent.
#[derive(Clone, Debug)]
pub struct Fate {
    /// Its number, as it was sent.
    pub number: u64,
    /// Its one admission.
    pub admission: Option<Verdict>,
    /// Its one final, unless refused.
    pub ending: Option<Verdict>,
}

impl Fate {
    /// Whether nothing more is to come.
    pub fn is_settled(&self) -> bool {
        let refused = self.admission.is_some_and(|verdict| verdict.kind == VerdictKind::Refused);
        refused || self.ending.is_some()
    }
}

/// The planner.
pub struct Planner {
    /// The connection.
    pub client: Client,
    /// What the machine says of itself.
    pub description: Description,
    fates: HashMap<TraceId, Fate>,
    traces: u64,
    returned: u64,
    over: Arc<AtomicBool>,
    heart: Option<JoinHandle<()>>,
}

impl Planner {
    /// Connects; the heart beats from here on.
    pub fn connect(machine: &Machine) -> Planner {
        let client = connect(machine);
        let over = Arc::new(AtomicBool::new(false));
        let (heart, end) = (client.heart(), Arc::clone(&over));
        let heart = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                heart.beat();
                std::thread::sleep(BEAT);
            }
        });
        Planner {
            description: client.description(),
            client,
            fates: HashMap::new(),
            traces: 0,
            returned: 0,
            over,
            heart: Some(heart),
        }
    }

    /// A machine of which this is the only planner, armed.
    pub fn armed() -> (Machine, Planner) {
        let machine = Machine::start(Options { cognition: false, ..Options::default() });
        let planner = Planner::connect(&machine);
        machine.arm();
        planner.wait("Armed", |now| now.mode == ModeCode::Armed);
        (machine, planner)
    }

    /// The end of a test: nothing is left to come, both sides count the same, and no axis ever left
    /// its limits.
    pub fn finish(mut self, machine: &Machine) {
        self.settle();
        let mine = self.sums();
        assert!(mine.hold(), "{mine:?}");
        machine.wait("the operator's sums to be the planner's own", |now| now.intents == mine);
        limits::stayed_within(machine);
    }

    /// The newest state.
    pub fn telemetry(&self) -> Telemetry {
        self.wait("telemetry", |_| true)
    }

    /// Waits until the state is as wanted; reads no verdicts.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Telemetry) -> bool) -> Telemetry {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.client.telemetry() {
                Some(telemetry) if wanted(&telemetry) => return telemetry,
                last => assert!(Instant::now() < until, "waited in vain for {what}; {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What is known of an axis.
    pub fn axis(&self, axis: usize) -> &AxisDescription {
        &self.description.axes[axis]
    }

    /// An honest intent without a body: of this epoch, fresh, numbered, traced, leased.
    pub fn envelope(&mut self, kind: IntentKind) -> Intent {
        self.traces += 1;
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.traces.to_le_bytes());
        let issued_ns = now_ns();
        Intent {
            number: self.client.next_number(),
            version: INTENT_VERSION,
            kind,
            agent: 0,
            epoch: self.telemetry().epoch,
            issued_ns,
            lease_until_ns: issued_ns + LEASE_NS,
            trace: TraceId(trace),
            axes_mask: 0,
            axes: [AxisRequest::default(); AXES_MAX],
        }
    }

    /// An honest intent to move one axis.
    pub fn moving(&mut self, axis: usize, position_rad: f64) -> Intent {
        let mut intent = self.envelope(IntentKind::MoveJoints);
        intent.axes_mask = 1 << axis;
        intent.axes[axis].position_rad = position_rad;
        intent
    }

    /// Submits, and books it; false: it came back, counted, as it was.
    pub fn submit(&mut self, intent: &Intent) -> bool {
        if let Err(full) = self.client.submit(intent) {
            assert_eq!(*full.0, *intent, "it comes back as it was");
            self.returned += 1;
            return false;
        }
        let fate = Fate { number: intent.number, admission: None, ending: None };
        assert!(self.fates.insert(intent.trace, fate).is_none(), "every intent has its own trace");
        true
    }

    /// Books the verdicts that wait. One admission for an intent and, unless refused, one final
    /// after it: anything else fails the test.
    pub fn read(&mut self) {
        while let Some(verdict) = self.client.poll_verdict() {
            let fate = self.fates.get_mut(&verdict.trace);
            let fate = fate.unwrap_or_else(|| panic!("a verdict on nothing sent: {verdict:?}"));
            assert_eq!(verdict.number, fate.number);
            let settled = fate.is_settled();
            assert!(!settled, "one verdict too many: {verdict:?} after {fate:?}");
            match verdict.kind {
                VerdictKind::Accepted | VerdictKind::Clamped | VerdictKind::Refused => {
                    assert!(fate.admission.is_none(), "admitted twice: {fate:?}, {verdict:?}");
                    fate.admission = Some(verdict);
                }
                _ => {
                    assert!(fate.admission.is_some(), "ended before its admission: {verdict:?}");
                    fate.ending = Some(verdict);
                }
            }
        }
    }

    fn await_fate<T>(&mut self, what: &str, wanted: impl Fn(&Planner) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            self.read();
            if let Some(found) = wanted(self) {
                return found;
            }
            let now = self.client.telemetry();
            assert!(Instant::now() < until, "waited in vain for {what}; {now:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for an intent's admission.
    pub fn admission(&mut self, trace: TraceId) -> Verdict {
        self.await_fate("an admission", |planner| planner.fates.get(&trace)?.admission)
    }

    /// Waits for an intent's final.
    pub fn ending(&mut self, trace: TraceId) -> Verdict {
        self.await_fate("a final", |planner| planner.fates.get(&trace)?.ending)
    }

    /// Waits until nothing more is to come for any intent.
    pub fn settle(&mut self) {
        let settled = |planner: &Planner| planner.fates.values().all(Fate::is_settled);
        self.await_fate("every intent's end", |planner| settled(planner).then_some(()));
    }

    /// Submits and waits for the admission.
    pub fn try_out(&mut self, intent: &Intent) -> Verdict {
        assert!(self.submit(intent), "the ring has room");
        self.admission(intent.trace)
    }

    /// An honest move: accepted as asked, completed, and the axis is measured where it was to go.
    pub fn go(&mut self, axis: usize, position_rad: f64) {
        let intent = self.moving(axis, position_rad);
        self.carry_out(&intent);
    }

    /// As [`Planner::go`], of an intent already made.
    pub fn carry_out(&mut self, intent: &Intent) {
        let admission = self.try_out(intent);
        assert_eq!(admission.kind, VerdictKind::Accepted, "{admission:?}");
        let ending = self.ending(intent.trace);
        assert_eq!(ending.kind, VerdictKind::Completed, "{ending:?}");
        let wanted = |axis: usize| (intent.axes_mask & 1 << axis != 0).then(|| intent.axes[axis]);
        self.wait("the axes to be where they were sent", |now| {
            now.axes.iter().enumerate().all(|(index, axis)| {
                wanted(index).is_none_or(|to| (axis.position_rad - to.position_rad).abs() < 0.01)
            })
        });
    }

    /// The honest move between two wrongs: a little way there, or back again.
    pub fn honest(&mut self) {
        let now = self.telemetry().axes[WRIST3].setpoint_rad;
        self.go(WRIST3, if now > 0.0 { -0.03 } else { 0.03 });
    }

    /// How many intents came back.
    pub fn returned(&self) -> u64 {
        self.returned
    }

    /// The fates of all intents that did not come back.
    pub fn fates(&self) -> impl Iterator<Item = &Fate> {
        self.fates.values()
    }

    /// The sums by this side's own count.
    pub fn sums(&self) -> IntentSums {
        let count = |kind| {
            let verdicts = self.fates().flat_map(|fate| [fate.admission, fate.ending]);
            verdicts.flatten().filter(|verdict| verdict.kind == kind).count() as u64
        };
        IntentSums {
            submitted: self.fates.len() as u64 + self.returned,
            accepted: count(VerdictKind::Accepted),
            clamped: count(VerdictKind::Clamped),
            refused: count(VerdictKind::Refused),
            queued: self.fates().filter(|fate| fate.admission.is_none()).count() as u64,
            returned: self.returned,
            lost: 0,
            preempted: count(VerdictKind::Preempted),
            completed: count(VerdictKind::Completed),
            expired: count(VerdictKind::Expired),
            aborted: count(VerdictKind::Aborted),
            active: self
                .fates()
                .filter(|fate| fate.admission.is_some() && !fate.is_settled())
                .count() as u64,
        }
    }
}

/// Fails the test unless this rule refused.
pub fn refused(verdict: &Verdict, rule: Rule, what: &str) {
    let found = (verdict.kind, verdict.rule);
    assert_eq!(found, (VerdictKind::Refused, rule), "{what}: {verdict:?}");
}

/// The daemon may offer this socket a moment after the operator's.
fn connect(machine: &Machine) -> Client {
    let until = Instant::now() + PATIENCE;
    loop {
        match Client::connect(machine.runtime.join(LINK_SOCKET), PATIENCE) {
            Ok(client) => return client,
            Err(LinkError::Nobody { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("connecting: {error}\n{}", machine.logs()),
        }
    }
}

impl Drop for Planner {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
    }
}
