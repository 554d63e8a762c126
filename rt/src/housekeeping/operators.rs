//! Operators' requests: which go to the kernel, which are answered here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mechos_kernel::Mode;
use mechos_kernel::io::{
    Interlocks, OperatorAction, OperatorAnswer, OperatorCommand, OperatorRefusal,
};
use mechos_operator::{Command, Fault, RefusalCode, Reply};
use mechos_robot::Budgets;
use rtrb::Producer;
use shm_protocol::records::Cause;

use super::status::{StatusBook, interlock_names};
use crate::args::FAULTS_REFUSED;
use crate::inject::{Injection, Target, arm_lock};
use crate::names::{kebab, mode_name};
use crate::operator_server::{Asked, OperatorServer};
use crate::shared::Shared;

/// Requests that may wait for the kernel's answer at the same time.
const PENDING_MAX: usize = 32;
/// The kernel answers within a tick; this long without an answer means a control thread that
/// hangs, ns.
const ANSWER_MAX_NS: u64 = 2_000_000_000;

/// Longest busy loop and longest lock, us.
const US_MAX: u32 = 1_000_000;

/// A request that waits for the kernel.
struct Pending {
    kernel_id: u64,
    token: u64,
    request_id: u64,
    action: OperatorAction,
    /// Arming was admitted; the answer waits for the drives.
    admitted: bool,
    since_ns: u64,
}

/// The operators' desk.
pub struct Desk {
    server: OperatorServer,
    to_kernel: Producer<OperatorCommand>,
    pending: Vec<Pending>,
    next_id: u64,
    bus_names: Vec<String>,
    arming_ns: u64,
    /// How long a page fault may be made to last: a quarter past the execution budget, ns.
    page_fault_ns: u64,
}

impl Desk {
    /// A desk behind `server`.
    pub fn new(
        server: OperatorServer,
        to_kernel: Producer<OperatorCommand>,
        bus_names: Vec<String>,
        budgets: &Budgets,
    ) -> Self {
        Self {
            server,
            to_kernel,
            pending: Vec::new(),
            next_id: 1,
            bus_names,
            arming_ns: budgets.arming_ns,
            page_fault_ns: budgets.execution_ns.saturating_add(budgets.execution_ns / 4),
        }
    }

    /// The descriptors to poll.
    pub fn descriptors(&self) -> impl Iterator<Item = std::os::fd::BorrowedFd<'_>> {
        self.server.descriptors()
    }

    /// Takes what operators have asked.
    pub fn turn(&mut self, shared: &Arc<Shared>, book: &mut StatusBook, now_ns: u64) {
        for asked in self.server.turn() {
            if let Some(reply) = self.take(&asked, shared, book, now_ns) {
                self.server.answer(asked.token, &reply);
            }
        }
        self.give_up(now_ns);
    }

    /// Asks the kernel for the end of the process.
    pub fn shut_down(&mut self) {
        let _ = self.to_kernel.push(OperatorCommand { id: 0, action: OperatorAction::Shutdown });
    }

    fn take(
        &mut self,
        asked: &Asked,
        shared: &Arc<Shared>,
        book: &mut StatusBook,
        now_ns: u64,
    ) -> Option<Reply> {
        let id = asked.request.id;
        let action = match &asked.request.command {
            Command::Status => return Some(Reply::with_status(id, book.status(shared))),
            Command::Fault { kind } => return Some(self.inject(id, kind, shared, book)),
            Command::Latency { path, reset } => {
                return Some(match book.latency.take(*path, *reset) {
                    Ok(latency) => Reply::with_latency(id, latency),
                    Err(error) => Reply::refused(id, RefusalCode::Unavailable, error.to_string()),
                });
            }
            Command::Arm => {
                // Read back now, before the kernel sees the edge: it arms on nothing old. Release
                // pairs with the Acquire of the control thread's look, which follows the edge.
                book.ledger.before_arming(now_ns);
                if !book.certificate.before_arming(shared) {
                    return Some(refuse(id, OperatorAction::Arm, &OperatorRefusal::Mode, book));
                }
                shared.real_time_missing.store(book.ledger.is_lost(), Ordering::Release);
                OperatorAction::Arm
            }
            Command::Disarm => OperatorAction::Disarm,
            Command::Stop => OperatorAction::Stop,
            Command::Estop => {
                // Ahead of every command that waits for its tick.
                shared.latch.raise(Cause::OperatorEstop, 0);
                OperatorAction::Estop
            }
            Command::Reset => OperatorAction::Reset,
            Command::Home => OperatorAction::Home,
            Command::Resume => OperatorAction::Resume,
            Command::Shutdown => OperatorAction::Shutdown,
        };
        let kernel_id = self.next_id;
        self.next_id += 1;
        let full = self.pending.len() >= PENDING_MAX;
        if full || self.to_kernel.push(OperatorCommand { id: kernel_id, action }).is_err() {
            let text = "too many commands wait for the control thread; try again";
            return Some(Reply::refused(id, RefusalCode::Busy, text));
        }
        let (token, since_ns) = (asked.token, now_ns);
        let request_id = id;
        let admitted = false;
        self.pending.push(Pending { kernel_id, token, request_id, action, admitted, since_ns });
        None
    }

    fn inject(&self, id: u64, kind: &Fault, shared: &Arc<Shared>, book: &StatusBook) -> Reply {
        if !book.faults_allowed() {
            return Reply::refused(id, RefusalCode::SimulatedOnly, FAULTS_REFUSED);
        }
        let (target, injection) = match kind {
            Fault::StallControl { ms } => {
                (Some(Target::Control), Injection::Stall(u64::from(*ms) * 1_000_000))
            }
            Fault::Panic { thread } => (self.target(thread), Injection::Panic),
            Fault::Loop { thread } => (self.target(thread), Injection::Loop),
            Fault::Allocate => (Some(Target::Control), Injection::Allocate),
            Fault::Call => (Some(Target::Control), Injection::Call),
            Fault::Busy { us } => {
                (Some(Target::Control), Injection::Busy(u64::from((*us).clamp(1, US_MAX)) * 1_000))
            }
            Fault::PageFault => {
                return prepared(id, shared.inject.arm_page_fault(self.page_fault_ns));
            }
            Fault::Lock { us } => {
                let length = Duration::from_micros(u64::from((*us).clamp(1, US_MAX)));
                return prepared(id, arm_lock(shared, length));
            }
        };
        match target {
            Some(target) if shared.inject.arm(target, injection) => Reply::done(id),
            _ => {
                let buses = self.bus_names.iter().map(|name| format!(", bus-{name}"));
                let names: String = buses.collect();
                let text =
                    format!("no such real-time thread here; there are: control, deadline{names}");
                Reply::refused(id, RefusalCode::NotHere, text)
            }
        }
    }

    fn target(&self, thread: &str) -> Option<Target> {
        match thread {
            "control" => Some(Target::Control),
            "deadline" => Some(Target::Deadline),
            other => {
                let name = other.strip_prefix("bus-").unwrap_or(other);
                self.bus_names.iter().position(|bus| bus == name).map(Target::Bus)
            }
        }
    }

    /// The kernel's answer to an edge.
    pub fn answered(&mut self, answer: &OperatorAnswer, book: &StatusBook) {
        let Some(index) = self.pending.iter().position(|p| p.kernel_id == answer.id) else {
            return;
        };
        if let Some(pending) = self.pending.get_mut(index)
            && pending.action == OperatorAction::Arm
            && answer.result.is_ok()
        {
            pending.admitted = true;
            return;
        }
        let pending = self.pending.swap_remove(index);
        let reply = match &answer.result {
            Ok(()) => Reply::done(pending.request_id),
            Err(refusal) => refuse(pending.request_id, pending.action, refusal, book),
        };
        self.server.answer(pending.token, &reply);
    }

    /// A change of the mode answers those who wait for the drives to be enabled.
    pub fn mode_changed(&mut self, mode: Mode, book: &StatusBook) {
        if matches!(mode, Mode::Arming { .. }) {
            return;
        }
        let (waiting, rest) = self.pending.drain(..).partition(|pending| pending.admitted);
        self.pending = rest;
        let waiting: Vec<Pending> = waiting;
        for pending in waiting {
            let id = pending.request_id;
            let reply = match mode {
                Mode::Armed => Reply::done(id),
                Mode::Halted { cause: Cause::ArmingFailed, detail } => {
                    interlocked(id, detail, book)
                }
                Mode::Halted { cause, .. } => {
                    let text = format!("halted while arming: {}", kebab(&cause));
                    Reply::refused(id, RefusalCode::Mode, text)
                }
                other => {
                    let text = format!("arming ended in mode {}", mode_name(other));
                    Reply::refused(id, RefusalCode::Mode, text)
                }
            };
            self.server.answer(pending.token, &reply);
        }
    }

    /// Answers those whom the control thread leaves without an answer.
    fn give_up(&mut self, now_ns: u64) {
        let arming_ns = self.arming_ns;
        let (late, rest) = self.pending.drain(..).partition(|pending| {
            let extra = if pending.admitted { arming_ns } else { 0 };
            now_ns.saturating_sub(pending.since_ns) > ANSWER_MAX_NS.saturating_add(extra)
        });
        self.pending = rest;
        let late: Vec<Pending> = late;
        for pending in late {
            let text = "the control thread does not answer";
            let reply = Reply::refused(pending.request_id, RefusalCode::Unavailable, text);
            self.server.answer(pending.token, &reply);
        }
    }
}

/// Open interlocks by name; real time with what was asked and what was found, the certificate with
/// why it does not hold.
fn interlocked(id: u64, bits: u32, book: &StatusBook) -> Reply {
    let reply = Reply::interlocked(id, interlock_names(bits));
    let real_time = bits & Interlocks::REAL_TIME != 0;
    let reply = if real_time { reply.because(book.ledger.differences()) } else { reply };
    let certificate = bits & Interlocks::CERTIFICATE != 0;
    if certificate { reply.because(&book.certificate.status().refusals) } else { reply }
}

/// The answer to a fault that needs something of the system first.
fn prepared(id: u64, result: std::io::Result<()>) -> Reply {
    match result {
        Ok(()) => Reply::done(id),
        Err(error) => {
            let text = format!("the system does not give what this fault needs: {error}");
            Reply::refused(id, RefusalCode::Unavailable, text)
        }
    }
}

fn refuse(id: u64, action: OperatorAction, refusal: &OperatorRefusal, book: &StatusBook) -> Reply {
    let name = kebab(&action);
    match refusal {
        OperatorRefusal::Interlocks(bits) => interlocked(id, *bits, book),
        OperatorRefusal::Mode => {
            let text =
                format!("{name} is not possible in this mode; `mechos modes` shows the table");
            Reply::refused(id, RefusalCode::Mode, text)
        }
        OperatorRefusal::Moving => {
            let text = "an axis still moves, or its feedback is missing; wait and try again";
            Reply::refused(id, RefusalCode::Moving, text)
        }
        OperatorRefusal::Gate(verdict) => {
            let text = format!(
                "the gate refused: rule {}, axis {}, value {}, limit {}, nearest admissible {}",
                kebab(&verdict.rule),
                verdict.axis,
                verdict.value,
                verdict.limit,
                verdict.nearest
            );
            Reply::refused(id, RefusalCode::Gate, text)
        }
    }
}
