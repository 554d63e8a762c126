//! What can be known of a host and of files, read through the caller.

use std::fmt::Write;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The environment variable with which the lab says what time runs: `wall`, or `counted shift N`.
pub const LAB_VARIABLE: &str = "MECHOS_LAB";

/// The host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// The kernel's release (`uname -r`).
    pub kernel_release: String,
    /// The kernel's version (`uname -v`).
    pub kernel_version: String,
    /// The kernel is PREEMPT_RT.
    pub preempt_rt: bool,
    /// The kernel's command line.
    pub command_line: String,
    /// The CPU's name.
    pub cpu_model: String,
    /// CPUs that are on.
    pub cpus: u32,
    /// `counted shift N` where time follows counted instructions; absent: wall time.
    pub counted: Option<String>,
}

impl Host {
    /// From the kernel's own files, through `read`, and the lab's word, if any.
    pub fn read(read: impl Fn(&str) -> Option<String>, lab: Option<String>) -> Host {
        let line = |path: &str| read(path).map_or_else(String::new, |text| text.trim().to_owned());
        let kernel_version = line("/proc/sys/kernel/version");
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let named = cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            matches!(key.trim(), "model name" | "Model" | "CPU part").then(|| value.trim())
        });
        Host {
            host: line("/proc/sys/kernel/hostname"),
            kernel_release: line("/proc/sys/kernel/osrelease"),
            preempt_rt: line("/sys/kernel/realtime") == "1"
                || kernel_version.contains("PREEMPT_RT"),
            kernel_version,
            command_line: line("/proc/cmdline"),
            cpu_model: named.unwrap_or(std::env::consts::ARCH).to_owned(),
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            counted: lab.filter(|lab| lab.starts_with("counted")),
        }
    }

    /// `wall time`, or `counted time (counted shift 0)`.
    pub fn time(&self) -> String {
        match &self.counted {
            Some(counted) => format!("counted time ({counted})"),
            None => "wall time".to_owned(),
        }
    }
}

/// What is so here, as a certificate must say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// This host.
    pub host: Host,
    /// No bus here can have a motor on it: simulated, or a CAN interface without a device behind it.
    pub simulated_drives: bool,
    /// SHA-256 of the robot file's text that mechos-rt has loaded.
    pub config_sha256: String,
    /// SHA-256 of the mechos-rt that runs.
    pub rt_sha256: String,
    /// The mechos-guardian that runs.
    pub guardian: GuardianFacts,
    /// Options of mechos-rt and mechos-guardian that take away what a report tried, as
    /// `mechos-rt --allow-no-rt`.
    pub weakened_by: Vec<String>,
}

/// What the guardian says of itself; nothing while it has not been heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardianFacts {
    /// SHA-256 of its binary.
    pub binary_sha256: Option<String>,
    /// SHA-256 of the robot file's text that it has loaded.
    pub config_sha256: Option<String>,
}

impl GuardianFacts {
    /// Whether it has said all of it.
    pub fn is_known(&self) -> bool {
        self.binary_sha256.is_some() && self.config_sha256.is_some()
    }
}

impl Facts {
    /// What the guardian has loaded, where that is known and is not what mechos-rt has.
    pub fn guardians_other_config(&self) -> Option<&str> {
        self.guardian.config_sha256.as_deref().filter(|config| *config != self.config_sha256)
    }
}

/// SHA-256 of what can be read, hexadecimal.
///
/// # Errors
/// The reader's.
pub fn sha256(mut from: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..len).unwrap_or_default());
    }
    Ok(hexadecimal(hasher))
}

/// SHA-256 of what is in memory, hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hasher: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_standards() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), abc);
        assert_eq!(sha256_of(b"abc"), abc);
    }

    #[test]
    fn a_host_is_read_from_the_kernels_files() {
        let files = |path: &str| {
            Some(match path {
                "/proc/sys/kernel/hostname" => "robot\n".to_owned(),
                "/proc/sys/kernel/version" => "#1 SMP PREEMPT_RT Debian\n".to_owned(),
                "/proc/cpuinfo" => "processor\t: 0\nmodel name\t: A B\nprocessor\t: 1\n".to_owned(),
                _ => return None,
            })
        };
        let host = Host::read(files, Some("counted shift 0".to_owned()));
        assert_eq!((host.host.as_str(), host.cpu_model.as_str(), host.cpus), ("robot", "A B", 2));
        assert!(host.preempt_rt && host.time().contains("shift 0"));
        let wall = Host::read(|_| None, Some("wall".to_owned()));
        assert_eq!((wall.counted.clone(), wall.time().as_str()), (None, "wall time"));
    }
}
