//! Refusals: where, what was found, what is allowed, how to mend it.

use std::fmt;
use std::io;
use std::ops::Range;

/// Why there is no robot.
#[derive(Debug, thiserror::Error)]
pub enum RobotError {
    /// The file cannot be read.
    #[error("cannot read the robot file {file}: {source}")]
    Read {
        /// Its name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file says something that is not allowed.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

impl RobotError {
    /// The refusal, where the file could be read.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            RobotError::Refused(refusal) => Some(refusal),
            RobotError::Read { .. } => None,
        }
    }
}

/// One thing in the file that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file's name, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key with its way from the top: `axes[elbow].limits.velocity_max_rad_s`.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
    /// How to mend it; empty where `allowed` says it all.
    pub mend: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { file, line, key, found, allowed, mend } = self;
        write!(out, "{file}, line {line}: ")?;
        if !key.is_empty() {
            write!(out, "{key}: ")?;
        }
        write!(out, "found {found}; allowed is {allowed}")?;
        if mend.is_empty() { Ok(()) } else { write!(out, ". {mend}") }
    }
}

/// An objection against a span of the text, before its line and key are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The key, where it is not the one that stands at the span.
    pub key: Key,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
    /// How to mend it.
    pub mend: String,
}

/// Which key an objection is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The one at the span.
    AtSpan,
    /// One that is missing from the table at the span.
    Below(String),
    /// One that has its value from elsewhere, such as a profile.
    Named(String),
}

impl Objection {
    /// An objection against what stands at `span`.
    pub fn at(span: Range<usize>, found: impl ToString, allowed: impl ToString) -> Objection {
        let (found, allowed) = (found.to_string(), allowed.to_string());
        Objection { span, key: Key::AtSpan, found, allowed, mend: String::new() }
    }

    /// The same with advice.
    pub fn mend(self, advice: impl ToString) -> Objection {
        Objection { mend: advice.to_string(), ..self }
    }

    /// The same for a key of that name.
    pub fn named(self, key: impl ToString) -> Objection {
        Objection { key: Key::Named(key.to_string()), ..self }
    }

    /// The same for a key missing at the span.
    pub fn below(self, key: impl ToString) -> Objection {
        Objection { key: Key::Below(key.to_string()), ..self }
    }
}
