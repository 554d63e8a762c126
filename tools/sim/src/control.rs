//! The simulator's control socket, `sim.sock`: JSON lines, one request and one reply each. For
//! demonstrations and tests; nothing of the robot needs it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest line in either direction, bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// Name of the socket in the runtime directory.
pub const SOCKET_NAME: &str = "sim.sock";

/// What may be asked, one key an object: `{"trip":{"drive":"elbow","code":8977}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A drive sends nothing more.
    Silence {
        /// Name of its axis.
        drive: String,
        /// For how long, ms; absent or null: for good. 0 ends a silence.
        #[serde(default)]
        ms: Option<u64>,
        /// It hears nothing either, as behind a broken cable.
        #[serde(default)]
        deaf: bool,
    },
    /// A drive's process data stay away, and nothing else of it.
    Blind {
        /// Name of its axis.
        drive: String,
        /// For how long, ms; absent or null: for good. 0 ends it.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// Frames are destroyed on the wire, without repetition.
    DropFrames {
        /// Share, 0 to 100.
        percent: f64,
        /// For how long, ms.
        ms: u64,
        /// Name of the bus; absent: every bus.
        #[serde(default)]
        bus: Option<String>,
    },
    /// A drive finds a fault in itself and announces it with this code.
    Trip {
        /// Name of its axis.
        drive: String,
        /// Error code (object 603F).
        code: u16,
    },
    /// The drives' thread runs at this SCHED_FIFO priority from now on. Real drives have processors
    /// of their own; on a host with one CPU, whatever loops above this thread stops them too.
    Priority {
        /// 1 to 99.
        fifo: u8,
    },
    /// How everything stands.
    Status {},
}

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// It was done.
    pub ok: bool,
    /// When it took effect, CLOCK_MONOTONIC ns.
    pub t_ns: u64,
    /// Why not, and what is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// To `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// How everything stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The bus thread runs under SCHED_FIFO.
    pub realtime: bool,
    /// Longest time that a delivery came after its modelled wire time, ns.
    pub late_max_ns: u64,
    /// Lines in the log, and frames that did not fit.
    pub log_written: u64,
    /// Frames that could not be recorded.
    pub log_lost: u64,
    /// Buses.
    pub buses: Vec<BusStatus>,
    /// Drives.
    pub drives: Vec<DriveStatus>,
}

/// One bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusStatus {
    /// Name.
    pub name: String,
    /// Frames delivered.
    pub frames: u64,
    /// Frames destroyed by `drop-frames`.
    pub destroyed: u64,
    /// Frames that drives could not hand in.
    pub overflowed: u64,
    /// Bits sent, intermissions included.
    pub bits: u64,
    /// Who is connected.
    pub clients: Vec<ClientStatus>,
}

/// One client of a bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Its own name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Frames that it did not take in time.
    pub dropped: u64,
}

/// One drive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriveStatus {
    /// Name of its axis.
    pub name: String,
    /// Its bus.
    pub bus: String,
    /// Its node.
    pub node: u8,
    /// State of the power stage, as `operation-enabled`.
    pub power: String,
    /// NMT state: its code in the heartbeat.
    pub nmt: u8,
    /// Statusword.
    pub statusword: u16,
    /// Last error's code, 0 for none.
    pub error_code: u16,
    /// Position, rad.
    pub position_rad: f64,
    /// Velocity, rad/s.
    pub velocity_rad_s: f64,
    /// Power off and exactly still.
    pub at_rest: bool,
}

/// What can go wrong for a client of the control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No simulator, or it did not answer in time.
    #[error("the simulator's control socket: {0}; is mechos-sim running?")]
    Socket(#[from] std::io::Error),
    /// It answered something else than a reply.
    #[error("the simulator's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    /// It closed the connection.
    #[error("the simulator closed the connection")]
    Closed,
    /// It refused.
    #[error("the simulator refused: {0}")]
    Refused(String),
}

/// A blocking client.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to `sim.sock` in the runtime directory. `timeout` holds for each answer too.
    ///
    /// # Errors
    /// `ControlError::Socket`.
    pub fn connect(runtime: &Path, timeout: Duration) -> Result<Self, ControlError> {
        let stream = UnixStream::connect(runtime.join(SOCKET_NAME))?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// All of `ControlError`; after any but `Refused` connect again.
    pub fn call(&mut self, request: &Request) -> Result<Reply, ControlError> {
        let mut text = serde_json::to_string(request)?;
        text.push('\n');
        self.stream.get_mut().write_all(text.as_bytes())?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            return Err(ControlError::Closed);
        }
        let reply: Reply = serde_json::from_str(&answer)?;
        if reply.ok {
            Ok(reply)
        } else {
            Err(ControlError::Refused(reply.error.unwrap_or_default()))
        }
    }

    /// How everything stands.
    ///
    /// # Errors
    /// As `call`.
    pub fn status(&mut self) -> Result<Status, ControlError> {
        self.call(&Request::Status {})?.status.ok_or(ControlError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_documented() {
        let read = |text| serde_json::from_str::<Request>(text);
        let silence = Request::Silence { drive: "shoulder".into(), ms: None, deaf: false };
        assert_eq!(read(r#"{"silence":{"drive":"shoulder","ms":null}}"#).unwrap(), silence);
        let dropped = Request::DropFrames { percent: 50.0, ms: 100, bus: None };
        assert_eq!(read(r#"{"drop-frames":{"percent":50,"ms":100}}"#).unwrap(), dropped);
        let trip = Request::Trip { drive: "elbow".into(), code: 8977 };
        assert_eq!(read(r#"{"trip":{"drive":"elbow","code":8977}}"#).unwrap(), trip);
        assert_eq!(read(r#"{"status":{}}"#).unwrap(), Request::Status {});
        assert!(read(r#"{"silence":{"drive":"shoulder","seconds":1}}"#).is_err());
        assert!(read(r#"{"explode":{}}"#).is_err());
    }
}
