//! Why there is no measurement.

use std::io;
use std::path::{Path, PathBuf};

use super::cyclictest::CyclictestError;
use super::path::Unreadable;
use super::peer::PeerError;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum LatencyError {
    /// What was asked for does not go together.
    #[error("{0}")]
    Options(String),
    /// The machine did not come up.
    #[error("the machine was not started: {0}")]
    NotStarted(String),
    /// The machine did not arm.
    #[error("the machine did not arm within {seconds} s, it is {mode}; {mend}")]
    NotArmed {
        /// How long was waited.
        seconds: u64,
        /// What it is.
        mode: String,
        /// What to do.
        mend: String,
    },
    /// It stopped while it was measured.
    #[error(
        "the machine left `armed` while it was measured: {0}. Its numbers would not be those of a running machine"
    )]
    Stopped(String),
    /// It did not end well.
    #[error("the machine did not end well: {0}")]
    Ended(String),
    /// A helper process.
    #[error("{what}: {how}")]
    Helper {
        /// Which one.
        what: &'static str,
        /// What is wrong with it.
        how: String,
    },
    /// Too few cycles came.
    #[error("{found} of {wanted} cycles in {seconds} s; is the control thread being held up?")]
    Slow {
        /// As found.
        found: u64,
        /// As asked for.
        wanted: u64,
        /// How long was waited.
        seconds: u64,
    },
    /// Ctrl-C, or another signal that ends.
    #[error("ended by signal {0} before it was measured")]
    Interrupted(i32),
    /// A file.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The other side of the comparison.
    #[error(transparent)]
    Cyclictest(#[from] CyclictestError),
    /// A distribution.
    #[error(transparent)]
    Distribution(#[from] Unreadable),
    /// The measuring planner.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The picture.
    #[error(transparent)]
    Plot(#[from] crate::plot::PlotError),
}

impl LatencyError {
    /// A file that cannot be had.
    pub fn file(what: &'static str, path: &Path, source: io::Error) -> LatencyError {
        LatencyError::File { what, path: path.to_owned(), source }
    }

    /// Exit status and word for it.
    pub fn code(&self) -> (u8, &'static str) {
        match self {
            LatencyError::Options(_) => (2, "options"),
            LatencyError::NotStarted(_) => (4, "not-started"),
            LatencyError::NotArmed { .. } => (1, "not-armed"),
            LatencyError::Cyclictest(CyclictestError::Missing) => (2, "no-cyclictest"),
            _ => (1, "not-measured"),
        }
    }
}
