//! The machine before and at its start, for whoever keeps it afterwards: `mechos up`, which starts
//! again what was killed, and `mechos certify`, where what was killed stays dead until it says so.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mechos_robot::Robot;

use super::crew::Crew;
use super::signals::Asked;
use super::{StartError, lock, plan};
use crate::cli::UpOptions;
use crate::runtime_dir;

/// The built-in robot: six axes, simulated.
pub const ARM6: &str = include_str!("../../../rt/robots/arm6.toml");

/// Everything that is known before the first process starts.
pub struct Machine {
    /// The robot, checked whole.
    pub robot: Robot,
    /// Its file's text, as every process reads it.
    pub text: String,
    /// The runtime directory.
    pub runtime: PathBuf,
    /// Where the programs are.
    pub folder: PathBuf,
    /// Whether the end was asked for.
    pub asked: Asked,
    programs: Vec<plan::Program>,
    _lock: lock::Lock,
}

impl Machine {
    /// Checks everything that can be checked before a process starts, and takes the runtime
    /// directory.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub fn prepare(options: &UpOptions) -> Result<Machine, StartError> {
        let (text, name) = robot_text(options)?;
        let robot = Robot::parse(&text, &name)?;
        plan::check(options, &robot)?;
        let planner = plan::planner_user(options, &robot)?;
        let group = planner.as_ref().map(|user| user.gid);
        let runtime = runtime_dir::prepare(options.place.runtime.as_deref(), group)?;
        let lock = lock::take_for_start(&runtime)?;
        let robot_file = runtime.join("robot.toml");
        write_private(&robot_file, &text)?;
        let folder = own_folder()?;
        let programs =
            plan::programs(options, &robot, &folder, &runtime, &robot_file, planner.as_ref());
        if let Some(missing) = programs.iter().find(|program| !program.path.is_file()) {
            return Err(StartError::Missing { name: missing.process.name(), folder });
        }
        let asked = Asked::watch(options.until_stdin_ends).map_err(StartError::Signals)?;
        Ok(Machine { robot, text, runtime, folder, asked, programs, _lock: lock })
    }

    /// Starts every process in order and waits until each answers.
    ///
    /// # Errors
    /// [`StartError`]; what had been started has been ended.
    pub fn start(&self) -> Result<Crew, StartError> {
        let mut crew = Crew::new(self.runtime.clone());
        for program in &self.programs {
            crew.start(program.clone(), &self.asked)?;
        }
        Ok(crew)
    }

    /// The copy of the robot file that every process reads.
    pub fn robot_file(&self) -> PathBuf {
        self.runtime.join("robot.toml")
    }

    /// The processes' names in the order in which they start.
    pub fn names(&self) -> Vec<&'static str> {
        self.programs.iter().map(|program| program.process.name()).collect()
    }
}

/// The processes read a copy of what was checked here: a file that is edited meanwhile changes
/// nothing that runs.
fn robot_text(options: &UpOptions) -> Result<(String, String), StartError> {
    let Some(path) = &options.robot else {
        return Ok((ARM6.to_owned(), "arm6.toml (built in)".to_owned()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|source| StartError::RobotFile { path: path.clone(), source })?;
    Ok((text, path.display().to_string()))
}

fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| StartError::file("write", path, source))
}

fn own_folder() -> Result<PathBuf, StartError> {
    let unknown = |source| StartError::file("find the folder of", Path::new("mechos"), source);
    let own = std::env::current_exe().map_err(unknown)?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}
