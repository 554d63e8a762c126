//! One trial: a moving machine, a fault at its drawn time, what the buses showed, and the way back.

use std::time::Duration;

use mechos_operator::{Command, Fault as Injected, GUARDIAN_SOCKET};
use mechos_sim::control::Request;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::bench::{Bench, LOOK_NS};
use super::budget::{Budget, Measure};
use super::faults::{Fault, Path, on_one_cpu};
use super::schedule::Draw;
use super::who::{Said, Seen};
use crate::clock::{now_ns, sleep_until};
use crate::operator;
use crate::processes::Process;

/// Notice before the drawn instant, ns.
const NOTICE_NS: u64 = 2_000_000;
/// Evidence is waited for this much longer than its budgets, ns.
const PATIENCE_NS: u64 = 1_000_000_000;
/// From the stop on the bus to the question who sent it, ns.
const ASK_WHO_NS: u64 = 8_000_000;
/// How long daemon or guardian may take to say who sent it, ns.
const WHO_MAX_NS: u64 = 300_000_000;
/// How long a revived mechos-rt is watched for what it must not send.
const REVIVED: Duration = Duration::from_millis(20);
/// How long a machine between two motions may take to move again.
const MOVES_MAX: Duration = Duration::from_secs(3);
/// How long a fault may take to be taken by the process that carries it out.
const INJECT_MAX: Duration = Duration::from_secs(2);

/// Simulated drives beside a loop at the highest priority of the only CPU: real ones have
/// processors of their own.
const SIM_ABOVE: u8 = 98;
/// Guardians that are killed beside one mechos-rt, which meets 64 in a life.
const GUARDIANS_OF_ONE_LIFE: u32 = 50;

/// What became of a trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 0: with the seed it draws the same again.
    pub number: u32,
    /// When the fault was made, CLOCK_MONOTONIC ns.
    pub fault_ns: u64,
    /// The fault's place in the tick, ns.
    pub phase_ns: u64,
    /// Speed of the fastest axis then, rad/s.
    pub speed_rad_s: f64,
    /// What was hit, where there is a choice, and how.
    pub target: String,
    /// Who stopped the drives, as the daemon and the guardian say.
    pub stopped_by: String,
    /// Each bus' first stop frame after the fault, ns.
    pub stops_ns: Vec<Option<u64>>,
    /// The times measured, ns.
    pub values: Vec<(Measure, u64)>,
    /// Why it gave no measurement.
    pub failed: Option<String>,
    /// From the last evidence to a machine that moves again, ns.
    pub recovery_ns: u64,
    /// The whole trial, ns.
    pub whole_ns: u64,
}

/// Makes one trial. The machine is ready before and after, or the trial says why not.
pub fn run(bench: &mut Bench, fault: Fault, number: u32, draw: &Draw, budgets: &[Budget]) -> Trial {
    let began_ns = now_ns();
    let mut trial = Trial { number, ..Trial::default() };
    if let Err(reason) = measure(bench, fault, draw, budgets, &mut trial) {
        trial.failed = Some(reason);
    }
    let measured_ns = now_ns();
    let back = recover(bench, fault, number).and_then(|()| bench.ready());
    if let Err(reason) = back {
        let before = trial.failed.take().map(|text| format!("{text}; ")).unwrap_or_default();
        trial.failed = Some(format!("{before}afterwards: {reason}"));
    }
    trial.recovery_ns = now_ns().saturating_sub(measured_ns);
    trial.whole_ns = now_ns().saturating_sub(began_ns);
    trial
}

fn measure(
    bench: &mut Bench,
    fault: Fault,
    draw: &Draw,
    budgets: &[Budget],
    trial: &mut Trial,
) -> Result<(), String> {
    let lost = bench.evidence.lost();
    bench.pump_until(Duration::from_nanos(draw.moment_ns), |_| false);
    if !bench.moves(MOVES_MAX) {
        return Err(format!("nothing moved when the fault was due: {}", standing(bench)));
    }
    trial.speed_rad_s = bench.evidence.speed_rad_s();
    let period_ns = bench.machine.robot.budgets.period_ns;
    let soon_ns = now_ns().saturating_add(NOTICE_NS);
    let tick_ns = bench.tick_start_ns(soon_ns).ok_or("the schedule of the ticks is not known")?;
    sleep_until(tick_ns.saturating_add(period_ns).saturating_add(draw.phase_ns));
    let limit_ns = budgets.iter().filter_map(|budget| budget.limit_ns).sum::<u64>();
    if fault.loops()
        && let Some(pid) = bench.crew.pid(Process::Rt)
    {
        let deaf = on_one_cpu(&bench.machine.robot);
        bench.rescue.kill_at(pid, now_ns().saturating_add(rescue_ns(budgets, deaf)));
    }
    let fault_ns = inject(bench, fault, draw, trial)?;
    trial.fault_ns = fault_ns;
    let phase_ns = bench.tick_start_ns(fault_ns).map(|tick_ns| fault_ns.saturating_sub(tick_ns));
    trial.phase_ns = phase_ns.unwrap_or(0);
    bench.evidence.begin(fault_ns);
    let until_ns = fault_ns.saturating_add(limit_ns).saturating_add(PATIENCE_NS);
    let said = collect(bench, fault, fault_ns, until_ns);
    // The begin of the tick that was hit is nearer than the time of the command.
    let path = fault.path(&bench.machine.robot);
    let missed_ns = match path {
        Path::Deadline => said.deadline_ns().or_else(|| missed_deadline_ns(bench)),
        Path::Unwinding => missed_deadline_ns(bench),
        _ => None,
    };
    let deadline_ns = bench.machine.robot.budgets.deadline_ns;
    let fault_ns = missed_ns.map_or(fault_ns, |missed_ns| missed_ns.saturating_sub(deadline_ns));
    // A loop that takes the only CPU began after the last setpoint that went out.
    let fault_ns = match path {
        Path::Watchdog if fault.loops() => {
            bench.evidence.last_setpoint_ns().map_or(fault_ns, |last_ns| last_ns.max(fault_ns))
        }
        _ => fault_ns,
    };
    trial.fault_ns = fault_ns;
    trial.stops_ns = bench.evidence.stops_ns();
    let (stop_ns, announced) = (bench.evidence.stop_ns(), bench.evidence.announced_ns().is_some());
    trial.stopped_by = said.stopped_by(&Seen { path, stop_ns, announced });
    for budget in budgets {
        match value(bench, budget.measure, fault_ns, &said) {
            Some(value) => trial.values.push((budget.measure, value)),
            None if budget.limit_ns.is_some() => {
                let name = budget.measure.name();
                return Err(format!("{name} could not be measured: {}", why(bench)));
            }
            None => {}
        }
    }
    if bench.evidence.lost() != lost {
        return Err("frames were lost on their way to the observer".to_owned());
    }
    Ok(())
}

/// Long after every budget of the stop, so that the kill never stands for it; later still where
/// the process can be asked beside its loop.
fn rescue_ns(budgets: &[Budget], deaf: bool) -> u64 {
    let slack_ns = if deaf { 30_000_000 } else { WHO_MAX_NS };
    let stop = |budget: &&Budget| {
        !matches!(budget.measure, Measure::FaultToStandstill | Measure::VisibleToStandstill)
    };
    let limit_ns = budgets.iter().filter(stop).filter_map(|budget| budget.limit_ns).max();
    limit_ns.unwrap_or(0).saturating_mul(2).saturating_add(slack_ns)
}

/// Makes the fault; returns the time right before, or when the simulator did it.
fn inject(bench: &mut Bench, fault: Fault, draw: &Draw, trial: &mut Trial) -> Result<u64, String> {
    let signal = |process, signal| Ok(bench.signal(process, signal));
    let robot = &bench.machine.robot;
    let axis = robot.axes.get(draw.axis).map_or_else(String::new, |axis| axis.name.clone());
    let bus = robot.buses.get(draw.bus).map_or_else(String::new, |bus| format!("bus-{}", bus.name));
    match fault {
        Fault::CognitionKilled => signal(Process::Cognition, Signal::SIGKILL),
        Fault::CognitionStopped => signal(Process::Cognition, Signal::SIGSTOP),
        Fault::CognitionClosed => signal(Process::Cognition, Signal::SIGUSR1),
        Fault::RtKilled => signal(Process::Rt, Signal::SIGKILL),
        Fault::RtStopped => Ok(bench.hit(Process::Rt, "control", Signal::SIGSTOP)),
        // As by abort(3) in one of its real-time threads.
        Fault::RtAborted => Ok(bench.hit(Process::Rt, "control", Signal::SIGABRT)),
        Fault::RtTerminated => signal(Process::Rt, Signal::SIGTERM),
        Fault::GuardianKilled => signal(Process::Guardian, Signal::SIGKILL),
        Fault::GuardianStopped => Ok(bench.hit(Process::Guardian, "guardian", Signal::SIGSTOP)),
        Fault::RtAndGuardianKilled => {
            bench.signal(Process::Guardian, Signal::SIGKILL);
            Ok(bench.signal(Process::Rt, Signal::SIGKILL))
        }
        Fault::ControlStalled => {
            trial.target = format!("{} ms", draw.stall_ms);
            ask(bench, Injected::StallControl { ms: draw.stall_ms })
        }
        Fault::ControlLooping => ask(bench, Injected::Loop { thread: "control".to_owned() }),
        Fault::ControlPanic => ask(bench, Injected::Panic { thread: "control".to_owned() }),
        Fault::DeadlineLooping => {
            if on_one_cpu(robot) {
                bench.ask_sim(&Request::Priority { fifo: SIM_ABOVE })?;
            }
            ask(bench, Injected::Loop { thread: "deadline".to_owned() })
        }
        Fault::BusLooping => {
            trial.target.clone_from(&bus);
            ask(bench, Injected::Loop { thread: bus })
        }
        Fault::DriveSilent => {
            trial.target.clone_from(&axis);
            bench.ask_sim(&Request::Silence { drive: axis, ms: None, deaf: false })
        }
        Fault::FeedbackStale => {
            trial.target.clone_from(&axis);
            bench.ask_sim(&Request::Blind { drive: axis, ms: None })
        }
    }
}

fn ask(bench: &mut Bench, kind: Injected) -> Result<u64, String> {
    let t_ns = now_ns();
    match bench.ask(Command::Fault { kind }) {
        Ok(()) => Ok(t_ns),
        // A loop may begin before its answer has left, on a host with one CPU.
        Err(text) if text.contains("does not answer") || text.contains("closed") => Ok(t_ns),
        Err(text) => Err(text),
    }
}

/// Takes evidence in until every bus has its stop, every drive is off and every axis stands.
fn collect(bench: &mut Bench, fault: Fault, fault_ns: u64, until_ns: u64) -> Said {
    let path = fault.path(&bench.machine.robot);
    let mut said = Said::default();
    let mut asked = false;
    let mut speaks_again = false;
    loop {
        bench.pump();
        let now = now_ns();
        let stop_ns = bench.evidence.stop_ns();
        let stopped = stop_ns.is_some() || path == Path::Watchdog;
        if stopped && !speaks_again {
            speaks_again = true;
            end_silence(bench, fault);
        }
        if stopped {
            bench.ask_quiet_drives();
        }
        let who_due = stop_ns.is_some_and(|stop_ns| now >= stop_ns.saturating_add(ASK_WHO_NS));
        if who_due && !asked {
            asked = true;
            said = Said::ask(bench, fault, fault_ns);
        }
        let complete = bench.evidence.off_ns().is_some()
            && bench.evidence.standing_ns().is_some()
            && (asked || path == Path::Watchdog || path == Path::Orderly);
        if complete || now >= until_ns {
            break;
        }
        sleep_until(now.saturating_add(LOOK_NS));
    }
    // A thread that is stalled latches nothing before it goes on.
    let until_ns = now_ns().saturating_add(WHO_MAX_NS);
    let deaf = fault.loops() && on_one_cpu(&bench.machine.robot);
    let wanted = |said: &Said| match path {
        Path::Watchdog | Path::Orderly => true,
        Path::Deadline => deaf || said.of_rt().next().is_some(),
        _ => !said.is_empty(),
    };
    while !wanted(&said) && now_ns() < until_ns {
        said = Said::ask(bench, fault, fault_ns);
        bench.pump();
        sleep_until(now_ns().saturating_add(LOOK_NS));
    }
    said
}

fn end_silence(bench: &Bench, fault: Fault) {
    if fault.is_simulated_only() {
        for axis in &bench.machine.robot.axes {
            let (drive, ms) = (axis.name.clone(), Some(0));
            let _ = bench.ask_sim(&Request::Silence { drive, ms, deaf: false });
        }
    }
}

fn value(bench: &Bench, measure: Measure, fault_ns: u64, said: &Said) -> Option<u64> {
    let evidence = &bench.evidence;
    let first = said.of_rt().next();
    // Without a word on when it was visible, the tick that reacted has seen it at the latest.
    let visible_ns = first.map(|halt| halt.seen_ns.unwrap_or(halt.t_ns));
    let standing_ns = || evidence.standing_ns().and_then(|each| each.into_iter().max());
    let deadline = said.of_rt().find(|halt| halt.deadline_ns.is_some());
    let since = |end: Option<u64>, begin: Option<u64>| Some(end?.saturating_sub(begin?));
    let stop_ns = evidence.stop_ns();
    match measure {
        Measure::FaultToStop => since(stop_ns, Some(fault_ns)),
        Measure::FaultToVisible => since(visible_ns, Some(fault_ns)),
        Measure::VisibleToStop => since(stop_ns, visible_ns),
        Measure::DeadlineToSend => match deadline {
            Some(halt) => since(halt.sent_ns, halt.deadline_ns),
            // Somebody else's stop was on every bus before the deadline came.
            None => stop_ns.zip(missed_deadline_ns(bench)).filter(|(s, d)| s <= d).map(|_| 0),
        },
        Measure::DeadlineToStop => {
            since(stop_ns, said.deadline_ns().or_else(|| missed_deadline_ns(bench)))
        }
        Measure::FaultToOff => since(evidence.off_ns(), Some(fault_ns)),
        Measure::FaultToStandstill => since(standing_ns(), Some(fault_ns)),
        Measure::VisibleToStandstill => since(standing_ns(), visible_ns),
    }
}

/// From the bus: the tick after the last one that was handed out missed its deadline.
fn missed_deadline_ns(bench: &Bench) -> Option<u64> {
    let budgets = &bench.machine.robot.budgets;
    let last_ns = bench.tick_start_ns(bench.evidence.last_setpoint_ns()?)?;
    Some(last_ns.saturating_add(budgets.period_ns).saturating_add(budgets.deadline_ns))
}

/// Why a machine stands that should move.
fn standing(bench: &mut Bench) -> String {
    match bench.status() {
        Some(status) if status.mode == "armed" => "armed, and the planner moves nothing".to_owned(),
        Some(status) => format!("mode {}, cause {}, before any fault", status.mode, status.cause),
        None => "mechos-rt does not answer".to_owned(),
    }
}

fn why(bench: &Bench) -> String {
    let evidence = &bench.evidence;
    let word = |found: bool| if found { "yes" } else { "no" };
    format!(
        "a stop on every bus {}, every drive off {}, every axis at rest {}",
        word(evidence.stop_ns().is_some()),
        word(evidence.off_ns().is_some()),
        word(evidence.standing_ns().is_some())
    )
}

/// Puts together again what the fault took apart. Resetting and arming come afterwards.
fn recover(bench: &mut Bench, fault: Fault, number: u32) -> Result<(), String> {
    end_silence(bench, fault);
    match fault {
        Fault::CognitionKilled => bench.start_again(Process::Cognition),
        Fault::CognitionStopped => {
            bench.signal(Process::Cognition, Signal::SIGCONT);
            Ok(())
        }
        Fault::GuardianStopped => {
            bench.signal(Process::Guardian, Signal::SIGCONT);
            Ok(())
        }
        Fault::GuardianKilled => {
            bench.start_again(Process::Guardian)?;
            // mechos-rt meets a limited number of guardians in one life.
            if number % GUARDIANS_OF_ONE_LIFE == GUARDIANS_OF_ONE_LIFE - 1 {
                bench.signal(Process::Rt, Signal::SIGKILL);
                bench.start_again(Process::Rt)?;
            }
            Ok(())
        }
        Fault::RtStopped => revive(bench),
        Fault::RtAndGuardianKilled => {
            bench.start_again(Process::Guardian)?;
            bench.start_again(Process::Rt)
        }
        Fault::RtKilled | Fault::RtAborted | Fault::RtTerminated => bench.start_again(Process::Rt),
        Fault::DeadlineLooping => {
            let fifo = mechos_sim::server::realtime::PRIORITY;
            if on_one_cpu(&bench.machine.robot) {
                bench.ask_sim(&Request::Priority { fifo })?;
            }
            bench.start_again(Process::Rt)
        }
        // mechos-rt goes on after a few panics and then ends itself: each trial gets a new one.
        Fault::ControlPanic => {
            bench.signal(Process::Rt, Signal::SIGKILL);
            bench.start_again(Process::Rt)
        }
        _ if fault.loops() => bench.start_again(Process::Rt),
        _ => Ok(()),
    }
}

/// A revived mechos-rt must send nothing while the fence is up.
fn revive(bench: &mut Bench) -> Result<(), String> {
    let revived_ns = bench.signal(Process::Rt, Signal::SIGCONT);
    bench.evidence.expect_silence(revived_ns);
    bench.pump_until(REVIVED, |_| false);
    match bench.evidence.host_frames() {
        0 => Ok(()),
        frames => Err(format!("a revived mechos-rt sent {frames} setpoints or heartbeats")),
    }
}

/// Whether the machine takes faults at all: asked before a campaign, not after an hour of it.
///
/// # Errors
/// What was answered, in words.
pub fn takes_faults(bench: &Bench) -> Result<(), String> {
    // A thread that does not exist: refused for that, or for the bus.
    let kind = Injected::Panic { thread: "nobody".to_owned() };
    for socket in [GUARDIAN_SOCKET, mechos_operator::OPERATOR_SOCKET] {
        let command = Command::Fault { kind: kind.clone() };
        let answer = operator::call(&bench.machine.runtime, socket, command, INJECT_MAX);
        let text = answer.err().map(|failure| failure.to_string()).unwrap_or_default();
        if text.contains("simulated buses only") {
            return Err(text);
        }
    }
    Ok(())
}
