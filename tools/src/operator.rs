//! The operator's commands: one question at the socket, one answer printed.

use std::io::IsTerminal;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mechos_operator::{
    CallError, Client, Command, GUARDIAN_SOCKET, OPERATOR_SOCKET, RefusalCode, Reply,
};
use serde_json::json;

use crate::cli::Place;
use crate::failure::Failure;
use crate::{print, report, runtime_dir};

/// How long an answer may take.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long arming may take: the drives are enabled before it is answered.
pub const ARMING_MAX: Duration = Duration::from_secs(20);
/// How long an emergency stop is waited for, at each of the two sockets, both at once.
const ESTOP_MAX: Duration = Duration::from_secs(1);
/// How long `arm` waits for interlocks to close: drives are set up anew after a reset.
const CLOSING_MAX: Duration = Duration::from_secs(5);
/// Between two tries meanwhile.
const CLOSING_EVERY: Duration = Duration::from_millis(100);

/// A command that has no values and is answered with yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Power the drives.
    Arm,
    /// Controlled stop, power off.
    Disarm,
    /// Controlled stop, latched.
    Stop,
    /// Halted to Disarmed.
    Reset,
    /// Move home.
    Home,
    /// Give the machine back to the planner.
    Resume,
}

impl Edge {
    /// The command at the socket.
    pub fn command(self) -> Command {
        match self {
            Edge::Arm => Command::Arm,
            Edge::Disarm => Command::Disarm,
            Edge::Stop => Command::Stop,
            Edge::Reset => Command::Reset,
            Edge::Home => Command::Home,
            Edge::Resume => Command::Resume,
        }
    }

    /// How long its answer may take.
    pub fn patience(self) -> Duration {
        if self == Edge::Arm { ARMING_MAX } else { ANSWER_MAX }
    }

    fn done(self) -> &'static str {
        match self {
            Edge::Arm => "armed: the planner moves the robot",
            Edge::Disarm => "taken: controlled stop, then power off",
            Edge::Stop => {
                "taken: controlled stop, latched; go on with `mechos reset`, `mechos arm`"
            }
            Edge::Reset => "disarmed; go on with `mechos arm`",
            Edge::Home => "taken: moving home; `mechos resume` gives the planner the machine again",
            Edge::Resume => "taken: the planner has the machine again",
        }
    }
}

/// Asks the daemon for one edge.
///
/// # Errors
/// [`Failure`]: not running, or refused.
pub fn ask(edge: Edge, place: &Place) -> Result<(), Failure> {
    let runtime = runtime_dir::existing(place.runtime.as_deref())?;
    let reply = match edge {
        Edge::Arm => arm(&runtime, CLOSING_MAX)?,
        _ => call(&runtime, OPERATOR_SOCKET, edge.command(), edge.patience())?,
    };
    if place.json {
        print::object(&reply);
    } else {
        print::line(edge.done());
    }
    Ok(())
}

/// Arms, waiting a while for open interlocks to close. A stop meanwhile ends the wait: from Halted
/// nothing is armed.
///
/// # Errors
/// [`Failure`]: refused, or no answer.
pub fn arm(runtime: &Path, wait: Duration) -> Result<Reply, Failure> {
    let until = Instant::now() + wait;
    let mut open: Option<Failure> = None;
    loop {
        let answer = call(runtime, OPERATOR_SOCKET, Command::Arm, ARMING_MAX);
        let code = match &answer {
            Err(Failure::Call(CallError::Refused(refusal))) => Some(refusal.code),
            _ => None,
        };
        match (code, answer) {
            (Some(RefusalCode::Interlocks), Err(refused)) if Instant::now() < until => {
                if open.is_none() {
                    print::note(format!("{refused}; waiting for them"));
                }
                open = Some(refused);
                sleep(CLOSING_EVERY);
            }
            // Arming that failed for an interlock is the reason, not the mode that it left.
            (Some(RefusalCode::Mode), Err(mode)) => return Err(open.unwrap_or(mode)),
            (_, answer) => return answer,
        }
    }
}

/// Prints the daemon's status.
///
/// # Errors
/// [`Failure`]: not running, or no answer.
pub fn status(place: &Place) -> Result<(), Failure> {
    let runtime = runtime_dir::existing(place.runtime.as_deref())?;
    let status = Client::connect(runtime.join(OPERATOR_SOCKET), ANSWER_MAX)?.status()?;
    if place.json {
        print::object(&status);
    } else {
        print::line(report::text(&status, print::colour(std::io::stdout().is_terminal())));
        if let Some(advice) = report::advice(&status) {
            print::line(format!("next: {advice}"));
        }
    }
    Ok(())
}

/// Asks daemon and guardian at once for the fastest stop; one of them is enough.
///
/// # Errors
/// [`Failure::Estop`] where neither took it.
pub fn estop(place: &Place) -> Result<(), Failure> {
    let runtime = runtime_dir::existing(place.runtime.as_deref())?;
    let send = |socket| call(&runtime, socket, Command::Estop, ESTOP_MAX);
    let (rt, guardian) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| send(GUARDIAN_SOCKET));
        let rt = send(OPERATOR_SOCKET);
        (rt, beside.join())
    });
    let words = |result: &Result<Reply, Failure>| match result {
        Ok(_) => "taken".to_owned(),
        Err(failure) => failure.to_string(),
    };
    let (rt_took, rt) = (rt.is_ok(), words(&rt));
    let (guardian_took, guardian) = match guardian {
        Ok(result) => (result.is_ok(), words(&result)),
        Err(_) => (false, "the asking thread failed".to_owned()),
    };
    if !rt_took && !guardian_took {
        return Err(Failure::Estop { rt, guardian });
    }
    if place.json {
        let side = |took: bool, text: &str| json!({ "ok": took, "text": text });
        let (rt, guardian) = (side(rt_took, &rt), side(guardian_took, &guardian));
        print::object(&json!({ "ok": true, "rt": rt, "guardian": guardian }));
    } else {
        print::line(format!(
            "emergency stop. mechos-rt: {rt}. Guardian: {guardian}.\n\
             Go on with `mechos reset`, `mechos arm`, once it is safe"
        ));
    }
    Ok(())
}

/// One question, one answer.
///
/// # Errors
/// [`Failure::Connect`], [`Failure::Call`].
pub fn call(
    runtime: &Path,
    socket: &str,
    command: Command,
    patience: Duration,
) -> Result<Reply, Failure> {
    Ok(Client::connect(runtime.join(socket), patience)?.call(command)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Folder, serve};

    fn place(folder: &Folder) -> Place {
        Place { runtime: Some(folder.path().to_owned()), json: false }
    }

    #[test]
    fn a_command_without_a_machine_says_how_to_start_one() {
        let folder = Folder::new("op-none");
        for edge in [Edge::Arm, Edge::Disarm, Edge::Stop, Edge::Reset, Edge::Home, Edge::Resume] {
            let error = ask(edge, &place(&folder)).unwrap_err().to_string();
            assert!(error.contains("mechos up"), "{error}");
        }
        let error = estop(&place(&folder)).unwrap_err().to_string();
        assert!(error.contains("mechos up") && error.contains("machine's own"), "{error}");
    }

    #[test]
    fn each_edge_asks_for_itself() {
        let folder = Folder::new("op-edges");
        let asked = serve(&folder, OPERATOR_SOCKET, |request| Reply::done(request.id));
        ask(Edge::Stop, &place(&folder)).unwrap();
        ask(Edge::Resume, &place(&folder)).unwrap();
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Command::Stop, Command::Resume]);
    }

    #[test]
    fn arming_waits_for_interlocks_and_ends_with_a_halt() {
        let folder = Folder::new("op-arm");
        let tries = std::sync::atomic::AtomicU64::new(0);
        let asked = serve(&folder, OPERATOR_SOCKET, move |request| {
            match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 | 1 | 3 => Reply::interlocked(request.id, vec!["not-homed".into()]),
                2 => Reply::done(request.id),
                _ => Reply::refused(request.id, RefusalCode::Mode, "not in this mode"),
            }
        });
        arm(folder.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(asked.try_iter().count(), 3);
        let error = arm(folder.path(), Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("not-homed"), "{error}");
        assert_eq!(asked.try_iter().count(), 2);
    }

    #[test]
    fn arming_does_not_wait_for_ever() {
        let folder = Folder::new("op-arm-open");
        let open = |request: mechos_operator::Request| {
            Reply::interlocked(request.id, vec!["fence".into()])
        };
        let asked = serve(&folder, OPERATOR_SOCKET, open);
        assert!(arm(folder.path(), Duration::ZERO).is_err());
        assert_eq!(asked.try_iter().count(), 1);
    }

    #[test]
    fn an_emergency_stop_needs_only_one_of_the_two() {
        let folder = Folder::new("op-estop");
        let asked = serve(&folder, GUARDIAN_SOCKET, |request| Reply::done(request.id));
        estop(&place(&folder)).unwrap();
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [Command::Estop]);
    }

    #[test]
    fn an_emergency_stop_that_both_refuse_is_loud() {
        let folder = Folder::new("op-loud");
        let refuse = |request: mechos_operator::Request| {
            Reply::refused(request.id, RefusalCode::Unavailable, "no fence")
        };
        let _rt = serve(&folder, OPERATOR_SOCKET, refuse);
        let _guardian = serve(&folder, GUARDIAN_SOCKET, refuse);
        let error = estop(&place(&folder)).unwrap_err().to_string();
        assert!(error.starts_with("NOBODY") && error.contains("no fence"), "{error}");
    }
}
