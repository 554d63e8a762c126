//! Where it was measured: no number without it.

use nix::sys::utsname::uname;
use serde::Serialize;

/// Set by a lab: `counted shift 0`, or `wall`.
const LAB_VARIABLE: &str = "MECHOS_LAB";

/// The host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// It was built with PREEMPT_RT.
    pub preempt_rt: bool,
    /// `counted shift N` in a lab that counts instructions, else `wall`.
    pub time: String,
}

impl Host {
    /// Reads it.
    pub fn read() -> Host {
        let (kernel, version) = uname().map_or_else(
            |_| ("unknown".to_owned(), String::new()),
            |name| {
                let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
                (text(name.release()), text(name.version()))
            },
        );
        let lab = std::env::var(LAB_VARIABLE).ok().filter(|lab| !lab.is_empty());
        Host {
            kernel,
            preempt_rt: version.contains("PREEMPT_RT"),
            time: lab.unwrap_or_else(|| "wall".to_owned()),
        }
    }

    /// In one line.
    pub fn words(&self) -> String {
        let preempt = if self.preempt_rt { "PREEMPT_RT" } else { "no PREEMPT_RT" };
        format!("Linux {} ({preempt}), {} time", self.kernel, self.time)
    }
}
