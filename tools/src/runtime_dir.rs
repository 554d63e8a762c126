//! The runtime directory: where it is, whose it is, and who may look into it.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid};

/// Longest path of a Unix socket, bytes (unix(7): 108 with its final zero).
const SOCKET_PATH_MAX: usize = 107;
/// Longest name of a socket in the directory: `bus-` and 16, `.sock`.
const SOCKET_NAME_MAX: usize = 25;
/// The environment variable that names the directory.
const VARIABLE: &str = "MECHOS_RUNTIME_DIR";

/// Why a runtime directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// There is none.
    #[error("nothing runs here: no runtime directory {}. Start it with `mechos up`, or name another with --runtime", .0.display())]
    Absent(PathBuf),
    /// Something else has its name.
    #[error("{} is no directory (a link is not taken). Remove it, or name another with --runtime", .0.display())]
    NoDirectory(PathBuf),
    /// It belongs to somebody else, who could put sockets of their own into it.
    #[error("{} belongs to user {owner}, not to you ({own}). Name another with --runtime", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        own: u32,
    },
    /// Others may look into it.
    #[error("{} has mode {mode:04o} and others could reach the sockets. Close it with `chmod {wanted:o} {}`, or name another with --runtime", path.display(), path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that is allowed.
        wanted: u32,
    },
    /// Socket paths in it would not fit.
    #[error("{} is {length} bytes long and sockets in it would not fit; allowed are {allowed}. Name a shorter one with --runtime", path.display())]
    TooLong {
        /// The directory.
        path: PathBuf,
        /// Its length, bytes.
        length: usize,
        /// Longest length, bytes.
        allowed: usize,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl RuntimeDirError {
    /// Whether there is simply nothing.
    pub fn is_absence(&self) -> bool {
        matches!(self, RuntimeDirError::Absent(_))
    }
}

/// Where the directory is: as given, else by the environment, else below /tmp.
fn located(given: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>, own: u32) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    let named = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = named(VARIABLE) {
        return path;
    }
    match named("XDG_RUNTIME_DIR") {
        Some(path) => path.join("mechos"),
        None => PathBuf::from(format!("/tmp/mechos-{own}")),
    }
}

fn locate(given: Option<&Path>) -> Result<PathBuf, RuntimeDirError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let path = located(given, variable, geteuid().as_raw());
    std::path::absolute(&path).map_err(|source| RuntimeDirError::System {
        what: "find the way to",
        path,
        source,
    })
}

/// The directory of a machine that runs, for those who ask it.
///
/// # Errors
/// [`RuntimeDirError`]: none, or somebody else's.
pub fn existing(given: Option<&Path>) -> Result<PathBuf, RuntimeDirError> {
    let path = locate(given)?;
    let found = look(&path)?.ok_or_else(|| RuntimeDirError::Absent(path.clone()))?;
    owned(&path, &found)?;
    Ok(path)
}

/// The directory for a machine that is to start: made with mode 0700, or found so. With a planner
/// of its own group, that group may pass through to its socket (0710).
///
/// # Errors
/// [`RuntimeDirError`].
pub fn prepare(given: Option<&Path>, planner: Option<Gid>) -> Result<PathBuf, RuntimeDirError> {
    let path = locate(given)?;
    let allowed = SOCKET_PATH_MAX - SOCKET_NAME_MAX - 1;
    let length = path.as_os_str().len();
    if length > allowed {
        return Err(RuntimeDirError::TooLong { path, length, allowed });
    }
    let system = |what| {
        let path = path.clone();
        move |source| RuntimeDirError::System { what, path, source }
    };
    if look(&path)?.is_none() {
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(system("make"))?;
    }
    let found = look(&path)?.ok_or_else(|| RuntimeDirError::Absent(path.clone()))?;
    owned(&path, &found)?;
    let wanted = if planner.is_some() { 0o710 } else { 0o700 };
    let mode = found.mode() & 0o7777;
    if mode & 0o077 & !wanted != 0 {
        return Err(RuntimeDirError::Open { path, mode, wanted });
    }
    if planner.is_some() {
        let chowned = nix::unistd::chown(&path, None, planner);
        chowned.map_err(io::Error::from).map_err(system("give the planner's group"))?;
    }
    // A group's right that an earlier run gave goes with it.
    std::fs::set_permissions(&path, Permissions::from_mode(wanted)).map_err(system("close"))?;
    Ok(path)
}

fn look(path: &Path) -> Result<Option<Metadata>, RuntimeDirError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(Some(found)),
        Ok(_) => Err(RuntimeDirError::NoDirectory(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => {
            Err(RuntimeDirError::System { what: "look at", path: path.to_owned(), source })
        }
    }
}

/// Root may ask anybody's machine.
fn owned(path: &Path, found: &Metadata) -> Result<(), RuntimeDirError> {
    let own = geteuid();
    if own == Uid::from_raw(found.uid()) || own.is_root() {
        return Ok(());
    }
    let (path, owner, own) = (path.to_owned(), found.uid(), own.as_raw());
    Err(RuntimeDirError::Foreign { path, owner, own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_nearest_name_wins() {
        let both = |name: &str| Some(PathBuf::from(format!("/{name}")));
        let xdg = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| PathBuf::from("/run/user/7"));
        let empty = |_: &str| Some(PathBuf::new());
        let given = Path::new("/given");
        assert_eq!(located(Some(given), both, 7), given);
        assert_eq!(located(None, both, 7), Path::new("/MECHOS_RUNTIME_DIR"));
        assert_eq!(located(None, xdg, 7), Path::new("/run/user/7/mechos"));
        assert_eq!(located(None, empty, 7), Path::new("/tmp/mechos-7"));
    }

    #[test]
    fn it_is_made_closed_with_its_parents() {
        let folder = Folder::new("made");
        let path = prepare(Some(&folder.path().join("a/b")), None).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(prepare(Some(&path), None).unwrap(), path);
    }

    #[test]
    fn an_open_one_is_refused_with_the_command_that_closes_it() {
        let folder = Folder::new("open");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let error = prepare(Some(folder.path()), None).unwrap_err();
        assert!(error.to_string().contains("chmod 700 "), "{error}");
        assert_eq!(mode(folder.path()), 0o755);
    }

    #[test]
    fn a_link_is_not_taken() {
        let folder = Folder::new("link");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        assert!(matches!(prepare(Some(&link), None), Err(RuntimeDirError::NoDirectory(_))));
        assert!(matches!(existing(Some(&link)), Err(RuntimeDirError::NoDirectory(_))));
    }

    #[test]
    fn none_says_how_to_get_one() {
        let folder = Folder::new("none");
        let error = existing(Some(&folder.path().join("x"))).unwrap_err();
        assert!(error.is_absence() && error.to_string().contains("mechos up"), "{error}");
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let folder = Folder::new("long");
        let path = folder.path().join("x".repeat(100));
        assert!(matches!(prepare(Some(&path), None), Err(RuntimeDirError::TooLong { .. })));
        assert!(!path.exists());
    }
}
