//! One `mechos up` a runtime directory: a lock that goes with its process, however that ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StartError;
use crate::processes::Process;

/// The lock's file in the runtime directory; it holds the process id of `mechos up`.
const NAME: &str = "up.lock";

/// The lock, held.
pub struct Lock(Flock<File>);

/// Who has the lock.
pub enum Holder {
    /// Nobody had it; it is held now.
    Us(Lock),
    /// Another process, by its id where it could be read.
    Other(Option<i32>),
}

/// Takes the lock if nobody has it.
///
/// # Errors
/// [`StartError::File`].
pub fn take(runtime: &Path) -> Result<Holder, StartError> {
    let path = runtime.join(NAME);
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let failed = |source| StartError::file("open", &path, source);
    let file = options.open(&path).map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut file) => {
            // Who asks for the id of a holder reads it from here; without it they are only told less.
            let _ = file.set_len(0);
            let _ = file.rewind();
            let _ = writeln!(file, "{}", std::process::id());
            Ok(Holder::Us(Lock(file)))
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            Ok(Holder::Other(text.trim().parse().ok()))
        }
        Err((_, errno)) => Err(StartError::file("lock", &path, errno.into())),
    }
}

/// Takes the lock for a machine that is to start.
///
/// # Errors
/// [`StartError::Runs`] where one runs, [`StartError::LeftOver`] where processes of one do.
pub fn take_for_start(runtime: &Path) -> Result<Lock, StartError> {
    let lock = match take(runtime)? {
        Holder::Us(lock) => lock,
        Holder::Other(pid) => {
            return Err(StartError::Runs { runtime: runtime.to_owned(), pid: pid.unwrap_or(0) });
        }
    };
    let left: Vec<&str> = Process::ALL
        .into_iter()
        .filter(|process| process.pid(runtime).is_some())
        .map(Process::name)
        .collect();
    if left.is_empty() {
        return Ok(lock);
    }
    Err(StartError::LeftOver { runtime: runtime.to_owned(), names: left.join(", ") })
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: removing it would let a third process lock another file of that name.
        let _ = self.0.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_one_may_hold_it_and_it_is_named() {
        let folder = Folder::new("lock");
        let lock = take_for_start(folder.path()).unwrap();
        let error = take_for_start(folder.path()).map(drop).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("mechos down"), "{error}");
        drop(lock);
        take_for_start(folder.path()).unwrap();
    }

    #[test]
    fn processes_that_were_left_over_are_named() {
        let folder = Folder::new("left-over");
        let _listener = UnixListener::bind(folder.path().join("operator.sock")).unwrap();
        let error = take_for_start(folder.path()).map(drop).unwrap_err().to_string();
        assert!(error.contains("mechos-rt") && error.contains("mechos down"), "{error}");
    }
}
