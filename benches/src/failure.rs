//! Why a benchmark ended without figures.

use nix::errno::Errno;
use thiserror::Error;

/// Why.
#[derive(Debug, Error)]
pub enum Failure {
    /// A call of the system's.
    #[error("{call}: {errno}")]
    Os {
        /// Which.
        call: &'static str,
        /// Its answer.
        errno: Errno,
    },
    /// Two processes need a processor each.
    #[error("processors {wanted} are not to be had; those of this process are {found:?}")]
    Cores {
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: Vec<usize>,
    },
    /// The other process was waited for too long.
    #[error("the other process did not answer in time")]
    Silent,
    /// The other process has closed its end.
    #[error("the other process has ended")]
    Gone,
    /// Something else came than was sent.
    #[error("record {number} did not arrive as it was sent")]
    Wrong {
        /// Which.
        number: u64,
    },
    /// The two processes do not agree on what lies where, or on what is measured.
    #[error("the two processes disagree: {0}")]
    Disagreement(&'static str),
    /// A library that is compared with.
    #[error("{call}: {error}")]
    Library {
        /// What was asked of it.
        call: &'static str,
        /// Its answer.
        error: Box<str>,
    },
}

impl Failure {
    /// For `map_err` on a call of the system's.
    pub fn of(call: &'static str) -> impl Fn(Errno) -> Failure {
        move |errno| Failure::Os { call, errno }
    }

    /// For `map_err` on the standard library's calls of the system.
    pub fn io(call: &'static str) -> impl Fn(std::io::Error) -> Failure {
        move |error| Failure::Os { call, errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)) }
    }

    /// For `map_err` on a library that is compared with.
    pub fn library<E: std::fmt::Debug>(call: &'static str) -> impl Fn(E) -> Failure {
        move |error| Failure::Library { call, error: format!("{error:?}").into() }
    }
}
