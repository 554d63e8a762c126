//! What is started, from which file, with which words: decided before anything starts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mechos_robot::{BusKind, Robot};
use mechos_sim::interface::check_virtual;
use nix::unistd::{Uid, User};

use super::StartError;
use crate::cli::{Planner, UpOptions};
use crate::processes::Process;

/// One program of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Which one.
    pub process: Process,
    /// Its executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Arguments that are added when it is started again.
    pub args_again: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
    /// User and group that it runs as, where not ours.
    pub user: Option<(u32, u32)>,
}

/// The planner's own user: `--cognition-user`, else the robot file's `uid`.
///
/// # Errors
/// [`StartError::Options`] for a user whom the system does not know.
pub fn planner_user(options: &UpOptions, robot: &Robot) -> Result<Option<User>, StartError> {
    if options.no_cognition {
        return Ok(None);
    }
    let (found, wanted) = match (&options.cognition_user, robot.cognition.uid) {
        (Some(name), _) => (User::from_name(name), name.clone()),
        (None, Some(uid)) => (User::from_uid(Uid::from_raw(uid)), uid.to_string()),
        (None, None) => return Ok(None),
    };
    match found {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => Err(StartError::Options(format!(
            "there is no user {wanted} for the planner; make one with `useradd --system NAME` and \
             give it with --cognition-user NAME"
        ))),
        Err(errno) => Err(StartError::Options(format!("cannot look up user {wanted}: {errno}"))),
    }
}

/// Whether no real motor can move: every bus is simulated, or every drive is (`--sim-drives`).
pub fn has_simulated_drives(options: &UpOptions, robot: &Robot) -> bool {
    robot.is_simulated() || options.sim_drives
}

/// Refuses what does not go together, before anything is made.
///
/// # Errors
/// [`StartError::Options`], [`StartError::Interface`].
pub fn check(options: &UpOptions, robot: &Robot) -> Result<(), StartError> {
    if robot.is_simulated() {
        return Ok(());
    }
    if !options.disable_stop.is_empty() {
        let text = "--disable-stop is for simulated buses only; this robot file names a real one";
        return Err(StartError::Options(text.to_owned()));
    }
    if options.sim_drives {
        for bus in &robot.buses {
            if let BusKind::SocketCan { interface } = &bus.kind {
                check_virtual(interface)?;
            }
        }
    } else if options.log.is_some() {
        let text = "--log writes the simulator's frames, and this robot file names a real bus; \
                    record that with candump";
        return Err(StartError::Options(text.to_owned()));
    }
    if options.cognition_user.is_none() && robot.cognition.uid.is_none() && !options.no_cognition {
        let text = "on a real bus the planner needs a user of its own: give --cognition-user NAME, \
                    or leave the planner out with --no-cognition";
        return Err(StartError::Options(text.to_owned()));
    }
    Ok(())
}

/// The programs in the order in which they start. `folder` holds the executables, `robot_file` is
/// what they read.
pub fn programs(
    options: &UpOptions,
    robot: &Robot,
    folder: &Path,
    runtime: &Path,
    robot_file: &Path,
    planner: Option<&User>,
) -> Vec<Program> {
    let words = |process: Process| match process {
        Process::Sim => simulator(options, robot_file, runtime),
        Process::Guardian => watched(options, robot_file, runtime),
        Process::Rt => daemon(options, robot, robot_file, runtime, planner),
        Process::Cognition => cognition(options, runtime),
    };
    let wanted = |process: &Process| match process {
        Process::Sim => has_simulated_drives(options, robot),
        Process::Cognition => !options.no_cognition,
        Process::Guardian | Process::Rt => true,
    };
    let program = |process: Process| Program {
        process,
        path: folder.join(process.name()),
        args: words(process),
        args_again: match process {
            Process::Rt => vec!["--begin-halted".into(), "rt-lost".into()],
            _ => Vec::new(),
        },
        log: runtime.join(format!("{}.log", process.name())),
        user: planner
            .filter(|_| process == Process::Cognition)
            .map(|user| (user.uid.as_raw(), user.gid.as_raw())),
    };
    Process::ALL.into_iter().filter(wanted).map(program).collect()
}

fn common(robot_file: &Path, runtime: &Path) -> Vec<OsString> {
    vec!["--robot".into(), robot_file.into(), "--runtime".into(), runtime.into()]
}

fn simulator(options: &UpOptions, robot_file: &Path, runtime: &Path) -> Vec<OsString> {
    let mut args = common(robot_file, runtime);
    if let Some(log) = &options.log {
        args.extend(["--log".into(), log.into()]);
    }
    args
}

fn watched(options: &UpOptions, robot_file: &Path, runtime: &Path) -> Vec<OsString> {
    let mut args = common(robot_file, runtime);
    for path in &options.disable_stop {
        args.extend(["--disable-stop".into(), path.word().into()]);
    }
    if options.allow_faults {
        args.push("--allow-faults".into());
    }
    args
}

fn daemon(
    options: &UpOptions,
    robot: &Robot,
    robot_file: &Path,
    runtime: &Path,
    planner: Option<&User>,
) -> Vec<OsString> {
    let mut args = watched(options, robot_file, runtime);
    if options.allow_no_rt {
        args.push("--allow-no-rt".into());
    }
    if options.certifying {
        args.push("--certifying".into());
    } else if let (true, Some(path)) = (robot.require_certificate, &options.robot) {
        args.extend(["--certificate".into(), certificate(path).into()]);
    }
    if let Some(user) = planner {
        args.extend(["--cognition-uid".into(), user.uid.to_string().into()]);
    }
    args
}

/// Where the certificate of a robot file is looked for: beside it.
pub fn certificate(robot_file: &Path) -> PathBuf {
    let path = robot_file.with_extension("certificate.json");
    // The daemon is told a path that holds wherever it runs.
    std::path::absolute(&path).unwrap_or(path)
}

fn cognition(options: &UpOptions, runtime: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--runtime".into(), runtime.into()];
    let planner = &options.planner;
    if planner.planner == Planner::Model {
        args.extend(["--planner".into(), "model".into()]);
    }
    let given = [
        ("--endpoint", planner.endpoint.as_ref().map(OsString::from)),
        ("--model", planner.model.as_ref().map(OsString::from)),
        ("--task", planner.task.as_ref().map(OsString::from)),
        ("--api-key-file", planner.api_key_file.as_ref().map(OsString::from)),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            args.extend([name.into(), value]);
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{PlannerOptions, StopPath};

    fn arm6() -> Robot {
        Robot::parse(super::super::ARM6, "arm6.toml").unwrap()
    }

    fn on_interface(interface: &str) -> Robot {
        let mut robot = arm6();
        for bus in &mut robot.buses {
            bus.kind = BusKind::SocketCan { interface: interface.into() };
        }
        robot
    }

    fn plan(options: &UpOptions) -> Vec<Program> {
        let [bin, run] = ["/bin", "/run/m"].map(Path::new);
        programs(options, &arm6(), bin, run, Path::new("/run/m/robot.toml"), None)
    }

    fn line(programs: &[Program], process: Process) -> String {
        let program = programs.iter().find(|program| program.process == process).unwrap();
        let words: Vec<_> = program.args.iter().map(|word| word.to_str().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn the_simulator_starts_first_and_the_planner_last() {
        let order: Vec<_> = plan(&UpOptions::default()).iter().map(|p| p.process).collect();
        assert_eq!(order, Process::ALL);
    }

    #[test]
    fn each_process_gets_its_own_words() {
        let options = UpOptions {
            disable_stop: vec![StopPath::Drop],
            allow_no_rt: true,
            log: Some("/tmp/f.jsonl".into()),
            planner: PlannerOptions {
                planner: Planner::Model,
                endpoint: Some("http://127.0.0.1:1/v1".into()),
                model: Some("m".into()),
                ..PlannerOptions::default()
            },
            ..UpOptions::default()
        };
        let plan = plan(&options);
        let common = "--robot /run/m/robot.toml --runtime /run/m";
        assert_eq!(line(&plan, Process::Sim), format!("{common} --log /tmp/f.jsonl"));
        assert_eq!(line(&plan, Process::Guardian), format!("{common} --disable-stop drop"));
        let rt = format!("{common} --disable-stop drop --allow-no-rt");
        assert_eq!(line(&plan, Process::Rt), rt);
        let expected =
            "--runtime /run/m --planner model --endpoint http://127.0.0.1:1/v1 --model m";
        assert_eq!(line(&plan, Process::Cognition), expected);
    }

    #[test]
    fn a_certificate_is_looked_for_where_one_is_required_and_not_while_one_is_made() {
        let mut robot = arm6();
        let [bin, run] = ["/bin", "/run/m"].map(Path::new);
        let mut options = UpOptions { robot: Some("/etc/arm.toml".into()), ..UpOptions::default() };
        let rt = |robot: &Robot, options: &UpOptions| {
            line(&programs(options, robot, bin, run, Path::new("/r"), None), Process::Rt)
        };
        assert!(!rt(&robot, &options).contains("certificate"));
        robot.require_certificate = true;
        assert!(rt(&robot, &options).ends_with(" --certificate /etc/arm.certificate.json"));
        options.certifying = true;
        assert!(rt(&robot, &options).ends_with(" --certifying"));
    }

    #[test]
    fn only_a_restarted_daemon_begins_halted() {
        for program in plan(&UpOptions::default()) {
            let halted = program.args_again == ["--begin-halted", "rt-lost"];
            assert_eq!(halted, program.process == Process::Rt);
            assert!(!program.args.contains(&"--begin-halted".into()));
        }
    }

    #[test]
    fn a_real_bus_has_no_simulator_and_keeps_all_its_stops() {
        let robot = on_interface("can0");
        let [bin, run] = ["/bin", "/run/m"].map(Path::new);
        let options = UpOptions { no_cognition: true, ..UpOptions::default() };
        let plan = programs(&options, &robot, bin, run, Path::new("/r"), None);
        let order: Vec<_> = plan.iter().map(|program| program.process).collect();
        assert_eq!(order, [Process::Guardian, Process::Rt]);
        assert!(check(&options, &robot).is_ok());
        let off = UpOptions { disable_stop: vec![StopPath::Kernel], ..options.clone() };
        assert!(check(&off, &robot).is_err());
        let log = UpOptions { log: Some("/tmp/f".into()), ..options.clone() };
        assert!(check(&log, &robot).unwrap_err().to_string().contains("candump"));
        let same_user = UpOptions::default();
        assert!(check(&same_user, &robot).unwrap_err().to_string().contains("--cognition-user"));
    }

    #[test]
    fn simulated_drives_on_an_interface_bring_the_simulator() {
        let robot = on_interface("nocan9");
        let [bin, run] = ["/bin", "/run/m"].map(Path::new);
        let options = UpOptions {
            sim_drives: true,
            allow_faults: true,
            log: Some("/tmp/f".into()),
            ..UpOptions::default()
        };
        assert!(has_simulated_drives(&options, &robot));
        assert!(!has_simulated_drives(&UpOptions::default(), &robot));
        let plan = programs(&options, &robot, bin, run, Path::new("/r"), None);
        let order: Vec<_> = plan.iter().map(|program| program.process).collect();
        assert_eq!(order, Process::ALL);
        for (process, wanted) in [(Process::Rt, true), (Process::Guardian, true)] {
            assert_eq!(line(&plan, process).contains("--allow-faults"), wanted);
        }
        for process in [Process::Sim, Process::Cognition] {
            assert!(!line(&plan, process).contains("--allow-faults"));
        }
    }

    #[test]
    fn simulated_drives_need_a_virtual_interface() {
        let robot = on_interface("nocan9");
        let options = UpOptions { sim_drives: true, no_cognition: true, ..UpOptions::default() };
        let error = check(&options, &robot).unwrap_err().to_string();
        let mend = "ip link add nocan9 type vcan && ip link set nocan9 up";
        assert!(error.contains("--sim-drives") && error.contains(mend), "{error}");
        assert!(check(&options, &on_interface("lo")).unwrap_err().to_string().contains("real"));
    }

    #[test]
    fn an_unknown_user_is_named() {
        let options =
            UpOptions { cognition_user: Some("no-such-user-here".into()), ..UpOptions::default() };
        let error = planner_user(&options, &arm6()).unwrap_err().to_string();
        assert!(error.contains("no-such-user-here") && error.contains("useradd"), "{error}");
    }
}
