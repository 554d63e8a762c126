//! What an operator is answered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::latency::Latency;
use crate::status::{GuardianStatus, Status};

/// One line to an operator: `{"id":1,"ok":true}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id; 0 where the request could not be read.
    pub id: u64,
    /// Whether the command was taken.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// The daemon's answer to `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
    /// The guardian's answer to `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardian: Option<Box<GuardianStatus>>,
    /// The daemon's answer to `latency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Box<Latency>>,
}

impl Reply {
    /// The command was taken.
    pub fn done(id: u64) -> Reply {
        Reply { id, ok: true, ..Reply::default() }
    }

    /// The command was not taken.
    pub fn refused(id: u64, code: RefusalCode, text: impl Into<String>) -> Reply {
        let error = Some(Refusal { code, text: text.into(), interlocks: Vec::new() });
        Reply { id, error, ..Reply::default() }
    }

    /// Arming was refused for these open interlocks.
    pub fn interlocked(id: u64, interlocks: Vec<String>) -> Reply {
        let text = format!("open interlocks: {}", interlocks.join(", "));
        let error = Some(Refusal { code: RefusalCode::Interlocks, text, interlocks });
        Reply { id, error, ..Reply::default() }
    }

    /// Says more about a refusal; a command that was taken stays as it is.
    #[must_use]
    pub fn because(mut self, why: &[String]) -> Reply {
        if let Some(error) = self.error.as_mut().filter(|_| !why.is_empty()) {
            error.text = format!("{}; {}", error.text, why.join("; "));
        }
        self
    }

    /// The daemon's status.
    pub fn with_status(id: u64, status: Status) -> Reply {
        Reply { status: Some(Box::new(status)), ..Reply::done(id) }
    }

    /// One distribution.
    pub fn with_latency(id: u64, latency: Latency) -> Reply {
        Reply { latency: Some(Box::new(latency)), ..Reply::done(id) }
    }

    /// The guardian's status.
    pub fn with_guardian(id: u64, guardian: GuardianStatus) -> Reply {
        Reply { guardian: Some(Box::new(guardian)), ..Reply::done(id) }
    }
}

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what was found and how to mend it.
    pub text: String,
    /// The open interlocks by name, with [`RefusalCode::Interlocks`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interlocks: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// Not from this mode.
    Mode,
    /// Interlocks are open.
    Interlocks,
    /// An axis still moves.
    Moving,
    /// The gate refused the motion.
    Gate,
    /// The line is no request.
    Malformed,
    /// This process does not take this command.
    NotHere,
    /// Allowed on simulated buses only, and where `--allow-faults` was given.
    SimulatedOnly,
    /// Another operator's command is still being decided; ask again.
    Busy,
    /// The process is ending or its control thread does not answer.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_answer_is_short() {
        assert_eq!(serde_json::to_string(&Reply::done(3)).unwrap(), r#"{"id":3,"ok":true}"#);
    }

    #[test]
    fn a_refusal_names_its_interlocks() {
        let reply = Reply::interlocked(4, vec!["guardian".into(), "not-homed".into()]);
        let line = serde_json::to_string(&reply).unwrap();
        let back: Reply = serde_json::from_str(&line).unwrap();
        assert_eq!(back, reply);
        let error = back.error.unwrap();
        assert_eq!(error.interlocks, ["guardian", "not-homed"]);
        assert_eq!(error.to_string(), "open interlocks: guardian, not-homed");
    }

    #[test]
    fn a_refusal_carries_what_was_found() {
        let reply = Reply::interlocked(4, vec!["real-time".into()]);
        let text = reply.because(&["control: found SCHED_OTHER".into()]).error.unwrap().text;
        assert_eq!(text, "open interlocks: real-time; control: found SCHED_OTHER");
        assert_eq!(Reply::done(1).because(&["nothing".into()]), Reply::done(1));
    }
}
