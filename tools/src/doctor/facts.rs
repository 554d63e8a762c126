//! Everything that the checks look at, taken once: files, rights, links, and what changed over a
//! short window.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::can_link::{self, Link};
use super::capability::FileCapabilities;
use super::demand::Demand;
use super::host::{Host, Unread};
use super::trial::{self, Trial};

/// How long the counters of stolen time and of system management interrupts are watched.
const WINDOW: Duration = Duration::from_millis(500);

/// Model-specific register MSR_SMI_COUNT of Intel's processors.
const MSR_SMI_COUNT: u64 = 0x34;

/// What is known of the host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its files.
    pub host: Host,
    /// What no file tells; `None` when another root than this host's is looked at.
    pub live: Option<Live>,
    /// What changed while it was watched.
    pub window: Window,
}

/// What this process was told by system calls.
#[derive(Clone, Debug)]
pub struct Live {
    /// This process is root.
    pub is_root: bool,
    /// The user's name.
    pub user: String,
    /// Who called `sudo`; root's own rights then say nothing of his.
    pub sudo_user: Option<String>,
    /// The user's own group.
    pub group: String,
    /// RLIMIT_RTPRIO; `None`: no limit.
    pub rtprio: Option<u64>,
    /// RLIMIT_MEMLOCK, bytes; `None`: no limit.
    pub memlock_bytes: Option<u64>,
    /// SCHED_FIFO at the robot's highest priority, tried.
    pub trial: Trial,
    /// mechos-rt and mechos-guardian beside this program, and what their files may do.
    pub binaries: Vec<(PathBuf, Result<FileCapabilities, Unread>)>,
    /// What netlink says of each CAN interface.
    pub links: BTreeMap<String, Result<Link, String>>,
}

/// Counters at both ends of a short time.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// How long, ms.
    pub ms: u128,
    /// `/proc/stat` at its begin and end.
    pub stat: Option<(String, String)>,
    /// System management interrupts since boot at its begin and end, by CPU.
    pub smi: BTreeMap<usize, Result<(u64, u64), Unread>>,
}

impl Facts {
    /// Looks at this host. Takes the window's time and a short-lived thread; changes nothing.
    pub fn gather(demand: &Demand) -> Facts {
        let host = Host::below(Path::new("/"));
        let window = Window::watch(&host, demand, WINDOW);
        let live = Live::gather(&host, demand);
        Facts { host, live: Some(live), window }
    }

    /// Looks at files below another root only.
    pub fn below(root: &Path, demand: &Demand) -> Facts {
        let host = Host::below(root);
        let window = Window::watch(&host, demand, Duration::ZERO);
        Facts { host, live: None, window }
    }

    /// The names of the CAN interfaces that there are.
    pub fn can_interfaces(&self) -> Vec<String> {
        can_interfaces(&self.host)
    }
}

/// ARPHRD_CAN of the kernel's if_arp.h.
const TYPE_CAN: i64 = 280;

fn can_interfaces(host: &Host) -> Vec<String> {
    let names = host.names("/sys/class/net").into_iter();
    names
        .filter(|name| host.number(&format!("/sys/class/net/{name}/type")) == Ok(TYPE_CAN))
        .collect()
}

impl Live {
    fn gather(host: &Host, demand: &Demand) -> Live {
        let uid = nix::unistd::geteuid();
        let named = |found: Option<String>, number: u32| found.unwrap_or(number.to_string());
        let user = nix::unistd::User::from_uid(uid).ok().flatten();
        let gid = nix::unistd::getegid();
        let group = nix::unistd::Group::from_gid(gid).ok().flatten();
        let soft = |resource| {
            getrlimit(resource).ok().map(|limits| limits.1).filter(|limit| *limit != RLIM_INFINITY)
        };
        Live {
            is_root: uid.is_root(),
            user: named(user.map(|user| user.name), uid.as_raw()),
            sudo_user: std::env::var("SUDO_USER").ok().filter(|_| uid.is_root()),
            group: named(group.map(|group| group.name), gid.as_raw()),
            rtprio: soft(Resource::RLIMIT_RTPRIO),
            memlock_bytes: soft(Resource::RLIMIT_MEMLOCK),
            trial: trial::fifo(demand.priority_max()),
            binaries: binaries(),
            links: can_interfaces(host)
                .into_iter()
                .map(|name| (name.clone(), can_link::ask(&name)))
                .collect(),
        }
    }
}

/// The real-time programs beside this one.
fn binaries() -> Vec<(PathBuf, Result<FileCapabilities, Unread>)> {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new(""));
    ["mechos-rt", "mechos-guardian"]
        .map(|name| folder.join(name))
        .map(|path| (path.clone(), FileCapabilities::of(&path)))
        .into()
}

impl Window {
    fn watch(host: &Host, demand: &Demand, length: Duration) -> Window {
        let begun = std::time::Instant::now();
        let stat_before = host.text("/proc/stat");
        let smi = |cpu: usize| host.word_at(&format!("/dev/cpu/{cpu}/msr"), MSR_SMI_COUNT);
        let smi_before: Vec<_> = demand.all_cpus().iter().map(|cpu| (cpu, smi(cpu))).collect();
        std::thread::sleep(length);
        let both = |(cpu, before): (usize, Result<u64, Unread>)| {
            (cpu, before.and_then(|before| Ok((before, smi(cpu)?))))
        };
        Window {
            stat: stat_before.zip(host.text("/proc/stat")),
            smi: smi_before.into_iter().map(both).collect(),
            ms: begun.elapsed().as_millis(),
        }
    }
}
