//! The measuring planner: a process of its own, connected as any planner is. It writes small moves
//! at times that have nothing to do with the ticks, and looks for each tick's telemetry.
//!
//! Its words: `reset` and `end` come in; `ready`, then one JSON report, go out, a line each. It leaves
//! when its pipe ends: a planner that leaves an armed machine would be a loss.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use shm_protocol::records::{ModeCode, Telemetry, VerdictKind};
use shm_protocol::{Client, LINK_SOCKET, LinkError};

use super::clock::now_ns;
use super::moves::Moves;
use super::options::PeerOptions;
use super::path::{Carried, Distribution, Path, Unreadable};
use crate::print;

/// Between two looks for telemetry that is due, ns; also from a tick's start to the first of them,
/// so that no timer of this process goes off with the control thread's.
pub const LOOK_NS: u64 = 50_000;
/// No timer of this process goes off so shortly before a tick's start, ns: the interrupt takes the
/// CPU from whatever runs there, and where there is but one CPU that is the control thread as it
/// watches the clock.
const KEEP_CLEAR_NS: u64 = 10_000;
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long the last move may take to end.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// Reasons for refusals that are kept.
const REASONS_MAX: usize = 4;

/// What the measuring planner found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    /// A position frame's arrival to its first sight here.
    pub feedback_seen: Option<Carried>,
    /// Intents written.
    pub written: u64,
    /// Of them came back: the ring was full.
    pub returned: u64,
    /// Of them refused.
    pub refused: u64,
    /// Why, the first few.
    pub reasons: Vec<String>,
    /// In which quarter of a tick they were written: even, unless this process had to wait for its CPU.
    pub quarters: [u64; 4],
    /// Ticks whose telemetry was overwritten before it was seen.
    pub ticks_unseen: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The daemon closed its end.
    #[error("mechos-rt closed the planner's connection; its log says why")]
    Closed,
    /// The distribution.
    #[error(transparent)]
    Distribution(#[from] Unreadable),
    /// A thread for the words that come in.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// Plans and measures until standard input says `end`; stays until that ends.
///
/// # Errors
/// [`PeerError`].
pub fn run(options: &PeerOptions) -> Result<(), PeerError> {
    keep_off(options.avoid_cpu);
    // The kernel may otherwise delay the sleeps of ordinary threads by 50 us.
    let _ = nix::sys::prctl::set_timerslack(1);
    let words = Arc::new(Words::default());
    let heard = Arc::clone(&words);
    std::thread::Builder::new().name("words".into()).spawn(move || heard.listen())?;
    let client = connect(&options.runtime.join(LINK_SOCKET))?;
    print::line("ready");
    let mut peer = Peer::new(client, options)?;
    let mut resets = 0;
    while !words.over.load(Ordering::Relaxed) {
        let asked = words.resets.load(Ordering::Relaxed);
        if asked != resets {
            resets = asked;
            peer.forget()?;
        }
        peer.turn(true)?;
    }
    let until = Instant::now() + SETTLE_MAX;
    while peer.active && Instant::now() < until {
        peer.turn(false)?;
    }
    print::object(&peer.report()?);
    while !words.gone.load(Ordering::Relaxed) {
        peer.turn(false)?;
    }
    Ok(())
}

/// What came in on standard input.
#[derive(Default)]
struct Words {
    resets: AtomicU64,
    over: AtomicBool,
    gone: AtomicBool,
}

impl Words {
    // Relaxed throughout: each number is all that is handed over.
    fn listen(&self) {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match line.trim() {
                "reset" => _ = self.resets.fetch_add(1, Ordering::Relaxed),
                _ => self.over.store(true, Ordering::Relaxed),
            }
        }
        self.gone.store(true, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Leaves that CPU to the control thread, where there is another to run on.
fn keep_off(cpu: Option<usize>) {
    let own = Pid::from_raw(0);
    let Some((cpu, mut cpus)) = cpu.zip(sched_getaffinity(own).ok()) else { return };
    let others = (0..CpuSet::count()).any(|one| one != cpu && cpus.is_set(one) == Ok(true));
    if others && cpus.unset(cpu).is_ok() {
        let _ = sched_setaffinity(own, &cpus);
    }
}

/// The daemon offers this socket a moment after the operator's.
fn connect(socket: &std::path::Path) -> Result<Client, LinkError> {
    let until = Instant::now() + CONNECT_MAX;
    loop {
        match Client::connect(socket, CONNECT_MAX) {
            Err(LinkError::Nobody { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

struct Peer {
    client: Client,
    moves: Moves,
    period_ns: u64,
    schedule_start_ns: u64,
    seen: Distribution,
    report: PeerReport,
    /// Of the newest telemetry: tick, and the arrival of each axis' position.
    tick: Option<u64>,
    arrived_ns: Vec<u64>,
    look_ns: u64,
    newest: Option<Telemetry>,
    active: bool,
}

impl Peer {
    fn new(client: Client, options: &PeerOptions) -> Result<Peer, PeerError> {
        let description = client.description();
        let axes = usize::from(description.axis_count);
        Ok(Peer {
            moves: Moves::new(&description, options.seed, now_ns()),
            period_ns: description.period_ns.max(1),
            schedule_start_ns: options.schedule_start_ns,
            client,
            seen: Distribution::empty(Path::FeedbackSeen)?,
            report: PeerReport::default(),
            tick: None,
            arrived_ns: vec![0; axes],
            look_ns: 0,
            newest: None,
            active: false,
        })
    }

    fn forget(&mut self) -> Result<(), PeerError> {
        self.seen = Distribution::empty(Path::FeedbackSeen)?;
        self.report = PeerReport::default();
        Ok(())
    }

    fn report(&self) -> Result<PeerReport, PeerError> {
        let feedback_seen = Some(Carried::pack(&self.seen)?);
        Ok(PeerReport { feedback_seen, ..self.report.clone() })
    }

    /// One look, what is due, and a sleep until the next thing is.
    fn turn(&mut self, writing: bool) -> Result<(), PeerError> {
        self.client.heartbeat();
        self.look();
        self.read_verdicts();
        if !self.client.is_alive() {
            return Err(PeerError::Closed);
        }
        let armed = self
            .newest
            .is_some_and(|newest| newest.mode == ModeCode::Armed && !newest.operator_has_control);
        let mut wake_ns = self.look_ns;
        if armed && writing {
            if now_ns() >= self.moves.due_ns() {
                self.write();
            }
            wake_ns = wake_ns.min(self.moves.due_ns());
        }
        let now = now_ns();
        let wake_ns = self.clear_of_ticks(wake_ns.min(now.saturating_add(self.period_ns)));
        std::thread::sleep(Duration::from_nanos(wake_ns.saturating_sub(now)));
        Ok(())
    }

    /// A time to wake up at: the one that is given, or a little after the tick that it comes beside.
    fn clear_of_ticks(&self, wake_ns: u64) -> u64 {
        clear_of_ticks(wake_ns, self.schedule_start_ns, self.period_ns)
    }

    fn look(&mut self) {
        let Some(telemetry) = self.client.telemetry() else {
            self.look_ns = now_ns() + LOOK_NS;
            return;
        };
        let now = now_ns();
        let before = self.tick.replace(telemetry.tick);
        if before == Some(telemetry.tick) {
            self.look_ns = now + LOOK_NS;
            return;
        }
        self.look_ns = telemetry.published_ns + self.period_ns + LOOK_NS;
        self.active = telemetry.active_intent != 0;
        for (axis, arrived) in telemetry.axes.iter().zip(&mut self.arrived_ns) {
            // An axis that never sent has no age.
            let arrival = telemetry.published_ns.saturating_sub(axis.age_ns);
            if arrival > *arrived {
                // The first sight of all may be of old telemetry.
                if before.is_some() {
                    self.seen.record(now.saturating_sub(arrival));
                }
                *arrived = arrival;
            }
        }
        let unseen = before.map_or(0, |before| telemetry.tick.saturating_sub(before + 1));
        self.report.ticks_unseen += unseen;
        self.newest = Some(telemetry);
    }

    fn read_verdicts(&mut self) {
        while let Some(verdict) = self.client.poll_verdict() {
            if verdict.kind == VerdictKind::Refused {
                self.report.refused += 1;
                let reason = format!("{:?}, axis {}", verdict.rule, verdict.axis);
                let reasons = &mut self.report.reasons;
                if reasons.len() < REASONS_MAX && !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }

    fn write(&mut self) {
        let Some(newest) = &self.newest else { return };
        let number = self.client.next_number();
        let intent = self.moves.next(newest, number, now_ns());
        self.report.written += 1;
        let into_tick = intent.issued_ns.saturating_sub(newest.published_ns) % self.period_ns;
        let quarter = usize::try_from(into_tick * 4 / self.period_ns).unwrap_or(0);
        if let Some(count) = self.report.quarters.get_mut(quarter) {
            *count += 1;
        }
        if self.client.submit(&intent).is_err() {
            self.report.returned += 1;
        }
    }
}

/// `wake_ns`, moved past a tick's start that it falls beside. A start of 0 is not known: nothing moves.
fn clear_of_ticks(wake_ns: u64, schedule_start_ns: u64, period_ns: u64) -> u64 {
    let Some(since_ns) = wake_ns.checked_sub(schedule_start_ns) else { return wake_ns };
    // A first look comes as long after the start.
    let beside_ns = since_ns.saturating_add(KEEP_CLEAR_NS) % period_ns.max(1);
    let clear_ns = KEEP_CLEAR_NS + LOOK_NS;
    if schedule_start_ns == 0 || beside_ns >= clear_ns || clear_ns >= period_ns {
        return wake_ns;
    }
    wake_ns.saturating_add(clear_ns - beside_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timer_goes_off_beside_a_tick() {
        let clear = |wake_ns| clear_of_ticks(wake_ns, 500_000, 1_000_000);
        assert_eq!(clear(3_000_000), 3_000_000, "half way between two");
        assert_eq!(clear(3_489_999), 3_489_999);
        for beside in [3_490_000, 3_495_000, 3_500_000, 3_500_001, 3_549_999] {
            assert_eq!(clear(beside), 3_550_000, "{beside}");
        }
        assert_eq!(clear(3_550_000), 3_550_000);
        assert_eq!(clear_of_ticks(3_500_000, 0, 1_000_000), 3_500_000, "no schedule is known");
        assert_eq!(
            clear_of_ticks(105_000, 100_000, 20_000),
            105_000,
            "no room in so short a period"
        );
    }
}
