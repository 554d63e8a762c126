//! `mechos fault`: injected into the daemon, the guardian, the simulator, or by a signal.

use std::path::Path;
use std::time::Duration;

use mechos_operator::{Client, Command, Fault, GUARDIAN_SOCKET, OPERATOR_SOCKET};
use mechos_sim::control;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::cli::{FaultKind, Place};
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::operator::{ANSWER_MAX, call};
use crate::processes::{Process, SignalError};
use crate::{print, runtime_dir};

/// The guardian's real-time thread, which is asked for at the guardian's own socket.
const GUARDIAN_THREAD: &str = "guardian";
/// How long the simulator's answer may take.
const SIM_MAX: Duration = Duration::from_secs(5);
/// How long a process may take to say whether faults are allowed.
const ASK_MAX: Duration = Duration::from_millis(500);

/// Who carries a fault out.
#[derive(Clone, Debug, PartialEq)]
enum Route {
    /// The process behind this socket.
    Operator(&'static str, Fault),
    /// A signal from here.
    Signal(Process, Signal),
    /// The simulator.
    Sim(control::Request),
}

/// Injects a fault and prints when, CLOCK_MONOTONIC.
///
/// # Errors
/// [`Failure`]: not running, not simulated, or refused.
pub fn inject(kind: &FaultKind, place: &Place) -> Result<(), Failure> {
    let runtime = runtime_dir::existing(place.runtime.as_deref())?;
    let t_ns = now_ns();
    let words = match route(kind) {
        Route::Operator(socket, kind) => {
            call(&runtime, socket, Command::Fault { kind }, ANSWER_MAX)?;
            "injected".to_owned()
        }
        Route::Sim(request) => {
            control::Client::connect(&runtime, SIM_MAX)?.call(&request)?;
            "injected".to_owned()
        }
        Route::Signal(process, signal) => {
            allowed(&runtime)?;
            let pid = process.signal(&runtime, signal)?;
            format!("{signal} to {} (process {pid})", process.name())
        }
    };
    if place.json {
        print::object(&json!({ "ok": true, "t_ns": t_ns, "done": words }));
    } else {
        print::line(format!("{words}; watch it with `mechos status`"));
    }
    Ok(())
}

fn route(kind: &FaultKind) -> Route {
    let thread_owner =
        |thread: &str| if thread == GUARDIAN_THREAD { GUARDIAN_SOCKET } else { OPERATOR_SOCKET };
    match kind.clone() {
        FaultKind::StallControl { ms } => {
            Route::Operator(OPERATOR_SOCKET, Fault::StallControl { ms })
        }
        FaultKind::Panic { thread } => {
            Route::Operator(thread_owner(&thread), Fault::Panic { thread })
        }
        FaultKind::Loop { thread } => {
            Route::Operator(thread_owner(&thread), Fault::Loop { thread })
        }
        FaultKind::Allocate => Route::Operator(OPERATOR_SOCKET, Fault::Allocate),
        FaultKind::Call => Route::Operator(OPERATOR_SOCKET, Fault::Call),
        FaultKind::Busy { us } => Route::Operator(OPERATOR_SOCKET, Fault::Busy { us }),
        FaultKind::PageFault => Route::Operator(OPERATOR_SOCKET, Fault::PageFault),
        FaultKind::Lock { us } => Route::Operator(OPERATOR_SOCKET, Fault::Lock { us }),
        FaultKind::Kill { process } => Route::Signal(process.into(), Signal::SIGKILL),
        FaultKind::Stop { process } => Route::Signal(process.into(), Signal::SIGSTOP),
        FaultKind::Cont { process } => Route::Signal(process.into(), Signal::SIGCONT),
        FaultKind::Silence { drive, ms } => {
            Route::Sim(control::Request::Silence { drive, ms, deaf: false })
        }
        FaultKind::DropFrames { percent, ms, bus } => {
            Route::Sim(control::Request::DropFrames { percent, ms, bus })
        }
    }
}

/// A machine with a simulator has no real motors; else the daemon or the guardian says that faults
/// are allowed. Either will do: the other may be the one that was stopped.
fn allowed(runtime: &Path) -> Result<(), SignalError> {
    let ask = |socket| Client::connect(runtime.join(socket), ASK_MAX).ok();
    let says_rt = || ask(OPERATOR_SOCKET)?.status().ok().map(|status| status.faults_allowed);
    let says_guardian =
        || ask(GUARDIAN_SOCKET)?.guardian_status().ok().map(|status| status.faults_allowed);
    let simulated = Process::Sim.pid(runtime).is_some();
    if simulated || says_guardian() == Some(true) || says_rt() == Some(true) {
        return Ok(());
    }
    Err(SignalError::NotSimulated(runtime.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Target;
    use crate::testing::{Folder, serve};
    use mechos_operator::{GuardianStatus, Reply, Status};

    #[test]
    fn a_thread_is_asked_for_at_its_own_process() {
        let at = |thread: &str| match route(&FaultKind::Panic { thread: thread.to_owned() }) {
            Route::Operator(socket, _) => socket,
            other => panic!("{other:?}"),
        };
        assert_eq!(at("control"), OPERATOR_SOCKET);
        assert_eq!(at("bus-upper"), OPERATOR_SOCKET);
        assert_eq!(at("guardian"), GUARDIAN_SOCKET);
    }

    #[test]
    fn nothing_is_signalled_where_no_simulator_runs() {
        let folder = Folder::new("fault-real");
        let _rt = serve(&folder, OPERATOR_SOCKET, |request| Reply::done(request.id));
        let place = Place { runtime: Some(folder.path().to_owned()), json: false };
        // The listening process is this test: it lives on, as nothing was sent.
        let kill = FaultKind::Kill { process: Target::Rt };
        let error = inject(&kill, &place).unwrap_err().to_string();
        assert!(error.contains("simulated buses only"), "{error}");
    }

    #[test]
    fn a_signal_passes_where_either_process_says_that_faults_are_allowed() {
        let folder = Folder::new("fault-allowed");
        let _rt = serve(&folder, OPERATOR_SOCKET, |request| {
            Reply::with_status(request.id, Status::default())
        });
        let place = Place { runtime: Some(folder.path().to_owned()), json: false };
        // This test is the listening process: SIGCONT does nothing to it.
        let cont = FaultKind::Cont { process: Target::Rt };
        assert!(inject(&cont, &place).is_err());
        let _guardian = serve(&folder, GUARDIAN_SOCKET, |request| {
            let status = GuardianStatus { faults_allowed: true, ..GuardianStatus::default() };
            Reply::with_guardian(request.id, status)
        });
        inject(&cont, &place).unwrap();
    }

    #[test]
    fn a_stall_reaches_the_daemon() {
        let folder = Folder::new("fault-stall");
        let asked = serve(&folder, OPERATOR_SOCKET, |request| Reply::done(request.id));
        let place = Place { runtime: Some(folder.path().to_owned()), json: false };
        inject(&FaultKind::StallControl { ms: 30 }, &place).unwrap();
        let expected = Command::Fault { kind: Fault::StallControl { ms: 30 } };
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [expected]);
    }
}
