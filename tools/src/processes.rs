//! The four processes: their names, their sockets, and their ids as the kernel gives them.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mechos_operator::{Client, GUARDIAN_SOCKET, OPERATOR_SOCKET};
use mechos_sim::control::SOCKET_NAME as SIM_SOCKET;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::Pid;

use crate::cli::Target;

/// How long the daemon may take to tell the planner's process id.
const ASK_MAX: Duration = Duration::from_millis(500);

/// A process of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The simulator.
    Sim,
    /// The guardian.
    Guardian,
    /// The real-time daemon.
    Rt,
    /// The planner.
    Cognition,
}

impl From<Target> for Process {
    fn from(target: Target) -> Process {
        match target {
            Target::Sim => Process::Sim,
            Target::Guardian => Process::Guardian,
            Target::Rt => Process::Rt,
            Target::Cognition => Process::Cognition,
        }
    }
}

/// Why a process was not signalled.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// It does not run.
    #[error("{name} does not run in {}: start everything with `mechos up`", runtime.display())]
    Absent {
        /// Its name.
        name: &'static str,
        /// The runtime directory.
        runtime: PathBuf,
    },
    /// Its motors may be real, and nobody allowed faults.
    #[error("faults are injected on simulated buses only, and no mechos-sim runs in {}; for a test on a real bus start with `mechos up --allow-faults`", .0.display())]
    NotSimulated(PathBuf),
    /// The system refused.
    #[error("cannot signal {name} (process {pid}): {source}")]
    System {
        /// Its name.
        name: &'static str,
        /// Its id.
        pid: i32,
        /// Why not.
        source: io::Error,
    },
}

impl Process {
    /// Every process in the order in which they start.
    pub const ALL: [Process; 4] =
        [Process::Sim, Process::Guardian, Process::Rt, Process::Cognition];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Process::Sim => "mechos-sim",
            Process::Guardian => "mechos-guardian",
            Process::Rt => "mechos-rt",
            Process::Cognition => "mechos-cognition",
        }
    }

    /// The socket at which people ask it; the planner has none.
    pub fn socket(self) -> Option<&'static str> {
        match self {
            Process::Sim => Some(SIM_SOCKET),
            Process::Guardian => Some(GUARDIAN_SOCKET),
            Process::Rt => Some(OPERATOR_SOCKET),
            Process::Cognition => None,
        }
    }

    /// Where `mechos up` keeps its id, for a planner whose connection is gone.
    pub fn pid_file(self, runtime: &Path) -> PathBuf {
        runtime.join(format!("{}.pid", self.name()))
    }

    /// Its id: from the credentials of its socket, for the planner from the daemon, else from the
    /// file of `mechos up`, where that process still runs this program.
    pub fn pid(self, runtime: &Path) -> Option<i32> {
        let told = match self.socket() {
            Some(socket) => peer(&runtime.join(socket)),
            None => planner(runtime),
        };
        told.or_else(|| {
            let text = std::fs::read_to_string(self.pid_file(runtime)).ok()?;
            text.trim().parse().ok().filter(|pid| runs(*pid, self.name()))
        })
    }

    /// Sends a signal; returns the process' id.
    ///
    /// # Errors
    /// [`SignalError`].
    pub fn signal(self, runtime: &Path, signal: Signal) -> Result<i32, SignalError> {
        let name = self.name();
        let absent = || SignalError::Absent { name, runtime: runtime.to_owned() };
        let pid = self.pid(runtime).ok_or_else(absent)?;
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) => Ok(pid),
            Err(Errno::ESRCH) => Err(absent()),
            Err(errno) => Err(SignalError::System { name, pid, source: errno.into() }),
        }
    }
}

/// The id of a process' thread of that name.
pub fn thread(pid: i32, name: &str) -> Option<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.flatten().find_map(|thread| {
        let comm = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        let id = thread.file_name().to_str()?.parse().ok()?;
        (comm.trim_end() == name).then_some(id)
    })
}

/// Whose socket that is (SO_PEERCRED: who listens); also of a process that is stopped. Never waits:
/// a stopped process' full queue counts as no answer.
fn peer(path: &Path) -> Option<i32> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path).ok()?).ok()?;
    let credentials = getsockopt(&fd, sockopt::PeerCredentials).ok()?;
    (credentials.pid() > 0).then(|| credentials.pid())
}

fn planner(runtime: &Path) -> Option<i32> {
    let mut client = Client::connect(runtime.join(OPERATOR_SOCKET), ASK_MAX).ok()?;
    client.status().ok()?.pids.cognition.filter(|pid| *pid > 0)
}

/// Whether a process lives and runs that program: an id alone may be somebody else's by now.
pub fn runs(pid: i32, program: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // proc(5): PID (NAME) STATE ...; a name may hold anything, brackets too.
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") "));
    // The kernel keeps 15 bytes of a name; a zombie has ended.
    let wanted = program.get(..program.len().min(15));
    name.is_some_and(|(name, state)| Some(name) == wanted && !state.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_thread_is_found_by_its_name_in_its_own_process_only() {
        let (left, leave) = std::sync::mpsc::channel::<()>();
        let named = std::thread::Builder::new().name("to-be-found".to_owned());
        let running = named.spawn(move || leave.recv().is_err()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // A new thread names itself.
        while thread(own, "to-be-found").is_none() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(thread(own, "to-be-found").is_some_and(|id| id != own));
        assert_eq!((thread(own, "nobody"), thread(1, "to-be-found")), (None, None));
        drop(left);
        assert!(running.join().unwrap());
    }

    #[test]
    fn a_listener_is_known_by_its_credentials() {
        let folder = Folder::new("peer");
        let _listener = UnixListener::bind(folder.path().join(OPERATOR_SOCKET)).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Process::Rt.pid(folder.path()), Some(own));
        assert_eq!(Process::Sim.pid(folder.path()), None);
    }

    #[test]
    fn a_file_with_somebody_elses_id_is_not_believed() {
        let folder = Folder::new("pid-file");
        let own = std::process::id().to_string();
        std::fs::write(Process::Cognition.pid_file(folder.path()), own).unwrap();
        assert_eq!(Process::Cognition.pid(folder.path()), None);
        let error = Process::Cognition.signal(folder.path(), Signal::SIGCONT).unwrap_err();
        assert!(error.to_string().contains("mechos up"), "{error}");
    }

    #[test]
    fn long_names_are_compared_as_the_kernel_keeps_them() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // The kernel lets a parent go on a moment before the child bears its program's name.
        let comm = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        while comm().trim() != "sleep" {
            std::thread::yield_now();
        }
        assert!(runs(pid, "sleep"));
        assert!(!runs(pid, "mechos-cognition"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
