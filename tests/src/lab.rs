//! The PREEMPT_RT guest of `tools/lab`, for tests that need a kernel with real time and CAN.
//!
//! Where its packages are missing a test says aloud that it was skipped; where `CI` is set that is a
//! failure, because there they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::now_ns;

/// How a run in the guest ended.
pub struct Ran {
    /// What the script printed, both streams in order.
    pub text: String,
    /// Its exit status.
    pub status: i32,
    /// The folder with what it left in /mnt/io; removed when this is dropped.
    pub left: PathBuf,
}

impl Drop for Ran {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.left);
        }
    }
}

/// Runs a line of bash in the guest, in counted time at shift 0 (one CPU, an instruction a
/// nanosecond). In it `$BIN` has the programs under test, `$ROBOTS` that of the robot
/// files, and the runtime directory one of its own. `None`: the lab cannot run here, and that was said.
pub fn counted(script: &str, timeout_s: u32) -> Option<Ran> {
    let lab = root().join("tools/lab/run");
    if let Err(why) = is_ready() {
        let text = format!("SKIPPED: the lab cannot run here ({why}); sudo tools/lab/install");
        assert!(std::env::var_os("CI").is_none(), "{text}");
        eprintln!("{text}");
        return None;
    }
    let name = format!("mechos-lab-{}-{}", std::process::id(), now_ns());
    let left = std::env::temp_dir().join(name);
    // Copied, because the planner's own user may not pass through every folder of this host.
    let settings = format!(
        "export BIN=/run/bin ROBOTS={} MECHOS_RUNTIME_DIR=/run/mechos\n\
         mkdir /run/bin && cp {}/mechos{{,-rt,-guardian,-sim,-cognition}} /run/bin/ || exit 90\n",
        root().join("rt/robots").display(),
        crate::binaries::folder().display()
    );
    let mut command = Command::new(lab);
    command.args(["--counted", "0", "--quiet", "--timeout", &timeout_s.to_string(), "--out"]);
    command.arg(&left).arg("--").arg(settings + script);
    let Output { status, stdout, stderr } = command.output().expect("the lab's command runs");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let status = status.code().unwrap_or(-1);
    assert_ne!(status, 99, "the guest did not finish:\n{text}{}", String::from_utf8_lossy(&stderr));
    Some(Ran { text, status, left })
}

/// Whether its packages and its kernel are there.
fn is_ready() -> Result<(), String> {
    let output = Command::new(root().join("tools/lab/run")).arg("--check").output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}
