//! One line of the doctor's report: what was read, what is wanted, why, and what mends it.

use serde::Serialize;

/// How bad it is. Ordered: the worst finding decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Read, and as wanted.
    Ok,
    /// Worth knowing; nothing is late for it alone.
    Note,
    /// It could not be read. Never shown as right.
    Unknown,
    /// Ticks will be late for it now and then.
    Warning,
    /// The daemon of this robot would refuse to start or to arm, or real time has no basis.
    Failure,
}

impl Severity {
    /// Every one, the worst first.
    pub const WORST_FIRST: [Severity; 5] =
        [Severity::Failure, Severity::Warning, Severity::Unknown, Severity::Note, Severity::Ok];

    /// The exit status when this is the worst of all findings.
    pub fn exit_status(self) -> u8 {
        match self {
            Severity::Ok | Severity::Note => 0,
            Severity::Unknown => 5,
            Severity::Warning => 10,
            Severity::Failure => 20,
        }
    }

    /// The word before a line.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Unknown => "unknown",
            Severity::Warning => "warning",
            Severity::Failure => "FAILURE",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Fixed name for scripts: `theme.thing`, for a CAN interface `can.NAME.thing`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in words.
    pub title: String,
    /// The value as read, or why there is none.
    pub read: String,
    /// Where it was read.
    pub source: String,
    /// The value that is wanted.
    pub wanted: String,
    /// Why, in one sentence.
    pub why: String,
    /// The command lines that mend it; where no command can, what to do. `None`: nothing to mend.
    pub mend: Option<String>,
}

impl Finding {
    /// Begins a finding; it is unknown until [`Finding::judged`].
    pub fn new(id: impl Into<String>, title: impl Into<String>) -> Finding {
        Finding {
            id: id.into(),
            severity: Severity::Unknown,
            title: title.into(),
            read: String::new(),
            source: String::new(),
            wanted: String::new(),
            why: String::new(),
            mend: None,
        }
    }

    /// What was read, and where.
    pub fn read(mut self, value: impl ToString, source: impl Into<String>) -> Finding {
        self.read = value.to_string();
        self.source = source.into();
        self
    }

    /// What is wanted, and why.
    pub fn wanted(mut self, wanted: impl Into<String>, why: impl Into<String>) -> Finding {
        self.wanted = wanted.into();
        self.why = why.into();
        self
    }

    /// How bad it is.
    pub fn judged(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }

    /// What mends it, unless nothing needs mending.
    pub fn mend(mut self, mend: impl Into<String>) -> Finding {
        self.mend = (self.severity != Severity::Ok).then(|| mend.into());
        self
    }
}
