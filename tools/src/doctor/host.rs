//! Reading a host's files below a root, so that tests read a tree of their own.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A host, seen through the files below a root.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The kernel offers no such file.
    #[error("not there")]
    Absent,
    /// This user may not read it.
    #[error("closed to this user")]
    Denied,
    /// Another refusal, or bytes that do not parse.
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unread::Absent,
            io::ErrorKind::PermissionDenied => Unread::Denied,
            _ => Unread::Other(error.to_string()),
        }
    }
}

impl Host {
    /// The host below `root`; `/` is this one.
    pub fn below(root: &Path) -> Host {
        Host { root: root.to_owned() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text without the blanks around it.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(&self, path: &str) -> Result<String, Unread> {
        Ok(fs::read_to_string(self.path(path))?.trim().to_owned())
    }

    /// A file's text, where it can be read.
    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok()
    }

    /// A file with one number.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn number(&self, path: &str) -> Result<i64, Unread> {
        let text = self.read(path)?;
        text.parse().map_err(|_| Unread::Other(format!("'{text}' is no number")))
    }

    /// A file with a list of CPUs.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn cpus(&self, path: &str) -> Result<Cpus, Unread> {
        let text = self.read(path)?;
        Cpus::parse(&text).ok_or_else(|| Unread::Other(format!("'{text}' is no list of CPUs")))
    }

    /// Eight bytes at an offset, lowest first, as the devices of x86's registers give them.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn word_at(&self, path: &str, offset: u64) -> Result<u64, Unread> {
        let mut bytes = [0; 8];
        File::open(self.path(path))?.read_exact_at(&mut bytes, offset)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Whether this process may write there; nothing is written.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn can_write(&self, path: &str) -> Result<(), Unread> {
        OpenOptions::new().write(true).open(self.path(path))?;
        Ok(())
    }

    /// Whether there is such a file or folder.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Where a link leads, as text; empty where it is none.
    pub fn link(&self, path: &str) -> String {
        let target = fs::read_link(self.path(path)).unwrap_or_default();
        target.to_string_lossy().into_owned()
    }

    /// The names in a folder, sorted; numbers by value.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
        names
    }

    /// The numbers and names of all processes, kernel threads included.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let names = self.names("/proc").into_iter();
        names
            .filter_map(|name| {
                let comm = self.text(&format!("/proc/{name}/comm"))?;
                Some((name.parse().ok()?, comm))
            })
            .collect()
    }
}

/// A set of CPUs by the kernel's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus(BTreeSet<usize>);

/// A list with a greater number in it is none of the kernel's.
const CPU_MAX: usize = 8_192;

impl Cpus {
    /// Reads "0-3,5"; "" and "(null)" are empty.
    pub fn parse(text: &str) -> Option<Cpus> {
        let text = text.trim();
        if text.is_empty() || text == "(null)" {
            return Some(Cpus::default());
        }
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if last > CPU_MAX {
                return None;
            }
            cpus.extend(first..=last);
        }
        Some(Cpus(cpus))
    }

    /// Those in both.
    pub fn and(&self, other: &Cpus) -> Cpus {
        Cpus(self.0.intersection(&other.0).copied().collect())
    }

    /// Those that `other` has not.
    pub fn without(&self, other: &Cpus) -> Cpus {
        Cpus(self.0.difference(&other.0).copied().collect())
    }

    /// Those of either.
    pub fn or(&self, other: &Cpus) -> Cpus {
        Cpus(self.0.union(&other.0).copied().collect())
    }

    /// Whether it is one of them.
    pub fn has(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<usize> for Cpus {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Cpus {
        Cpus(cpus.into_iter().collect())
    }
}

impl Display for Cpus {
    /// As the kernel writes it: "0-3,5".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus: Vec<usize> = self.iter().collect();
        let runs = cpus.chunk_by(|left, right| left + 1 == *right);
        let runs = runs.filter_map(|run| match run {
            [] => None,
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        });
        f.write_str(&runs.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_read_and_write_as_the_kernel_does() {
        for text in ["", "0", "0-3", "0,2-4,9"] {
            assert_eq!(Cpus::parse(text).unwrap().to_string(), text);
        }
        assert!(Cpus::parse("(null)").unwrap().is_empty());
        for wrong in ["x", "1-", "3,,4", "0-99999999999"] {
            assert_eq!(Cpus::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_closed() {
        let host = Host::below(Path::new("/"));
        assert_eq!(host.read("/proc/mechos-has-none"), Err(Unread::Absent));
        assert_eq!(Unread::from(io::Error::from(io::ErrorKind::PermissionDenied)), Unread::Denied);
    }
}
