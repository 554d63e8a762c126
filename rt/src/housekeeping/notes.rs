//! The real-time threads' notes, written to the log and into the status.

use mechos_kernel::Mode;
use mechos_kernel::io::OperatorAnswer;
use mechos_operator::{InjectedStatus, MissStatus};
use rtrb::Consumer;
use shm_protocol::records::{Verdict, VerdictKind};
use tracing::{debug, error, info, warn};

use super::halts::DeadlineStop;
use super::status::StatusBook;
use crate::host::syscalls;
use crate::inject::Injection;
use crate::names::{kebab, mode_name};
use crate::note::Note;

/// Notes taken in one turn.
const NOTES_PER_TURN_MAX: usize = 4096;

/// A miss that follows another one sooner than this is logged for debugging only, ns.
const MISS_QUIET_NS: u64 = 1_000_000_000;

/// What notes ask housekeeping to do.
#[derive(Default)]
pub struct Errands {
    /// Answers of the kernel to operators.
    pub answers: Vec<OperatorAnswer>,
    /// Modes entered.
    pub modes: Vec<Mode>,
    /// An injected fault has touched pages that are not locked: they are to be given back.
    pub pages_touched: bool,
}

/// Takes what has been left, in each thread's order.
pub fn take(rings: &mut [Consumer<Note>], book: &mut StatusBook) -> Errands {
    let mut errands = Errands::default();
    for ring in rings {
        for _ in 0..NOTES_PER_TURN_MAX {
            let Ok(note) = ring.pop() else { break };
            handle(note, book, &mut errands);
        }
    }
    errands
}

fn handle(note: Note, book: &mut StatusBook, errands: &mut Errands) {
    match note {
        Note::Mode { t_ns, from, to, epoch } => {
            mode_changed(t_ns, from, to, epoch, book);
            errands.modes.push(to);
        }
        Note::Verdict(verdict) => log_verdict(&verdict),
        Note::Answer(answer) => errands.answers.push(answer),
        Note::Reset { t_ns } => {
            info!(
                t_ns,
                "an operator's reset was taken: latches, fence and drive faults are cleared"
            );
        }
        Note::Missed { t_ns, tick, miss, cause, stage, bus, call, skipped, late_ns } => {
            let miss = MissStatus {
                tick,
                kind: kebab(&miss),
                cause: kebab(&cause),
                stage: stage.map(|stage| kebab(&stage)),
                bus: bus.and_then(|bus| book.bus_name(bus)),
                call: call.map(syscalls::name),
                late_us: late_ns / 1_000,
                t_ns,
            };
            log_miss(&miss, skipped, book);
            book.miss(miss);
        }
        Note::Injected { injection, tick, t_ns } => {
            let fault = kebab(&injection);
            warn!(fault, tick, t_ns, "an injected fault was carried out");
            errands.pages_touched |= matches!(injection, Injection::PageFault(_));
            book.injected(InjectedStatus { fault, tick, t_ns });
        }
        Note::DeadlineStop { cause, detail, deadline_ns, sent_ns } => {
            book.halts.deadline(DeadlineStop { cause, detail, deadline_ns, sent_ns });
            let after_ns = sent_ns.saturating_sub(deadline_ns);
            let cause = kebab(&cause);
            error!(
                cause,
                detail, deadline_ns, sent_ns, after_ns, "stop sent by the deadline thread"
            );
        }
        Note::StopSent { halt_ns, sent_ns } => book.halts.sent(halt_ns, sent_ns),
        Note::BusOpened { bus } => info!(bus, "bus open"),
        Note::BusLost { bus, t_ns } => error!(bus, t_ns, "bus lost"),
        Note::LinkRetired { generation, submitted, returned, taken } => {
            book.retired(generation, submitted, returned, taken);
            info!(generation, submitted, returned, taken, "planner's connection retired");
        }
    }
}

fn mode_changed(t_ns: u64, from: Mode, to: Mode, epoch: u32, book: &mut StatusBook) {
    let (from_name, to_name) = (mode_name(from), mode_name(to));
    if let Mode::Halted { cause, detail } = to {
        book.halts.halted(cause, detail, t_ns);
        let cause = kebab(&cause);
        error!(t_ns, from = from_name, to = to_name, epoch, cause, detail, "mode");
    } else {
        info!(t_ns, from = from_name, to = to_name, epoch, "mode");
    }
}

/// On a host without real time misses come in bursts: between two lines that everybody sees there
/// is some time, the others are for whoever looks closer.
fn log_miss(miss: &MissStatus, skipped: u64, book: &StatusBook) {
    let MissStatus { tick, kind, cause, late_us, t_ns, .. } = miss;
    let stage = miss.stage.as_deref().unwrap_or("none");
    let bus = miss.bus.as_deref().unwrap_or("none");
    let call = miss.call.as_deref().unwrap_or("none");
    let said_ns = book.last_miss_ns().unwrap_or(0);
    if t_ns.saturating_sub(said_ns) >= MISS_QUIET_NS {
        warn!(tick, kind, cause, stage, bus, call, late_us, skipped, t_ns, "a tick was late");
    } else {
        debug!(tick, kind, cause, stage, bus, call, late_us, skipped, t_ns, "a tick was late");
    }
}

fn log_verdict(verdict: &Verdict) {
    let trace = hex(&verdict.trace.0);
    let (number, tick, kind) = (verdict.number, verdict.tick, kebab(&verdict.kind));
    if verdict.kind == VerdictKind::Refused {
        let rule = kebab(&verdict.rule);
        let (axis, value) = (verdict.axis, verdict.value);
        let (limit, nearest) = (verdict.limit, verdict.nearest);
        warn!(number, tick, kind, rule, axis, value, limit, nearest, trace, "verdict");
    } else {
        let cause = kebab(&verdict.cause);
        info!(number, tick, kind, cause, trace, "verdict");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
