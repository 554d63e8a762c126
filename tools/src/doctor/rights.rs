//! Rights: real-time priorities and locked memory, for the programs that need them.

use super::capability::{CAP_IPC_LOCK, CAP_SYS_NICE};
use super::demand::Demand;
use super::facts::{Facts, Live};
use super::finding::{Finding, Severity};
use super::host::{Host, Unread};
use super::trial::Trial;

const ELSEWHERE: &str = "not asked: another root than this host's is looked at";

/// Every check of this theme.
pub fn checks(facts: &Facts, demand: &Demand) -> Vec<Finding> {
    vec![priority(facts, demand), locked_memory(facts, demand)]
}

fn priority(facts: &Facts, demand: &Demand) -> Finding {
    let wanted = demand.priority_max();
    let finding = Finding::new("rights.priority", "real-time priorities").wanted(
        format!("SCHED_FIFO {wanted} for mechos-rt and mechos-guardian"),
        "Under ordinary priority every other program delays the control thread; the daemon reads \
         back what it got, and on a real bus does not arm without it.",
    );
    let source = "a thread that asked, RLIMIT_RTPRIO, security.capability of both programs";
    let Some(live) = &facts.live else { return finding.read(ELSEWHERE, source) };
    let limit = live.rtprio.map_or("none".to_owned(), |limit| limit.to_string());
    let tried = match &live.trial {
        Trial::Granted => match &live.sudo_user {
            None => "granted to this user".to_owned(),
            Some(user) => format!("granted to root by sudo, not known of {user}"),
        },
        Trial::Refused(why) => format!("refused to this user ({why})"),
        Trial::Unclear(what) => format!("unclear: {what}"),
    };
    let files = files_words(live, CAP_SYS_NICE, "cap_sys_nice");
    let finding = finding.read(format!("{tried}; rtprio limit {limit}; {files}"), source);
    let by_files = by_files(facts, live, CAP_SYS_NICE);
    let (severity, obstacle) = match (&live.trial, by_files) {
        (_, ByFiles::Granted) => (Severity::Ok, None),
        // Whoever may do it by himself needs no help from the files.
        (Trial::Granted, _) if live.sudo_user.is_none() => (Severity::Ok, None),
        (_, ByFiles::Unread) => (Severity::Unknown, None),
        (_, ByFiles::Missing) => (demand.lack(), None),
        (_, ByFiles::Void(why)) => (demand.lack(), Some(why)),
    };
    grant(finding.judged(severity), live, obstacle, wanted)
}

fn locked_memory(facts: &Facts, demand: &Demand) -> Finding {
    let finding = Finding::new("rights.locked_memory", "locked memory").wanted(
        "no limit, or the right to pass it (cap_ipc_lock)",
        "A page that is not locked may have to be fetched from a disk in the middle of a tick; the \
         daemon locks everything or nothing, and on a real bus does not arm with nothing.",
    );
    let source =
        "RLIMIT_MEMLOCK, CapEff of /proc/self/status, security.capability of both programs";
    let Some(live) = &facts.live else { return finding.read(ELSEWHERE, source) };
    let own = has_own(&facts.host, CAP_IPC_LOCK);
    let limit = match live.memlock_bytes {
        None => "no limit".to_owned(),
        Some(bytes) => format!("limit {} KiB", bytes / 1024),
    };
    let who = if own { ", this user may pass it" } else { "" };
    let files = files_words(live, CAP_IPC_LOCK, "cap_ipc_lock");
    let finding = finding.read(format!("{limit}{who}; {files}"), source);
    let (severity, obstacle) = match by_files(facts, live, CAP_IPC_LOCK) {
        ByFiles::Granted => (Severity::Ok, None),
        _ if (live.memlock_bytes.is_none() || own) && live.sudo_user.is_none() => {
            (Severity::Ok, None)
        }
        ByFiles::Unread => (Severity::Unknown, None),
        ByFiles::Missing => (demand.lack(), None),
        ByFiles::Void(why) => (demand.lack(), Some(why)),
    };
    grant(finding.judged(severity), live, obstacle, demand.priority_max())
}

/// What the programs' files give.
enum ByFiles {
    /// Both give it.
    Granted,
    /// One of them does not.
    Missing,
    /// They would, and something makes it void.
    Void(String),
    /// Not readable, or a program is not there.
    Unread,
}

fn by_files(facts: &Facts, live: &Live, capability: u32) -> ByFiles {
    for (path, found) in &live.binaries {
        match found {
            Err(Unread::Other(why)) => return ByFiles::Void(format!("{}: {why}", path.display())),
            Err(_) => return ByFiles::Unread,
            Ok(_) => {}
        }
    }
    let given = |found: &Result<super::capability::FileCapabilities, _>| {
        found.as_ref().is_ok_and(|found| found.has(capability))
    };
    // What would make setcap void is worth knowing before it is tried.
    match (void(facts, live, capability), live.binaries.iter().all(|(_, found)| given(found))) {
        (Some(why), _) => ByFiles::Void(why),
        (None, true) => ByFiles::Granted,
        (None, false) => ByFiles::Missing,
    }
}

/// Why a file's capabilities count for nothing here.
fn void(facts: &Facts, live: &Live, capability: u32) -> Option<String> {
    let host = &facts.host;
    if status_word(host, "NoNewPrivs:").as_deref() == Some("1") {
        return Some("this session was started with no_new_privs".to_owned());
    }
    let bounding =
        status_word(host, "CapBnd:").and_then(|bits| u64::from_str_radix(&bits, 16).ok());
    // Only where somebody took rights away; some kernels show an empty set to root.
    if bounding.is_some_and(|bits| bits != 0 && bits >> capability & 1 == 0) {
        return Some("this session's bounding set lacks it (a container?)".to_owned());
    }
    let folder = live.binaries.first()?.0.parent()?.to_string_lossy().into_owned();
    let mount = nosuid_mount(host, &folder)?;
    Some(format!("{mount} is mounted nosuid"))
}

/// The mount of a folder, if its files' rights are ignored there (proc_pid_mountinfo(5)).
fn nosuid_mount(host: &Host, folder: &str) -> Option<String> {
    let table = host.text("/proc/self/mountinfo")?;
    let mounts = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some((*fields.get(4)?, *fields.get(5)?))
    });
    let inside = |point: &str| {
        let rest = folder.strip_prefix(point.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // A later mount of the same point lies on top of an earlier one.
    let own = mounts.filter(|(point, _)| inside(point)).max_by_key(|(point, _)| point.len())?;
    own.1.split(',').any(|option| option == "nosuid").then(|| own.0.to_owned())
}

fn has_own(host: &Host, capability: u32) -> bool {
    let bits = status_word(host, "CapEff:").and_then(|bits| u64::from_str_radix(&bits, 16).ok());
    bits.is_some_and(|bits| bits >> capability & 1 == 1)
}

fn status_word(host: &Host, key: &str) -> Option<String> {
    let status = host.text("/proc/self/status")?;
    status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()))
}

fn files_words(live: &Live, capability: u32, name: &str) -> String {
    let words = live.binaries.iter().map(|(path, found)| {
        let program = path.file_name().unwrap_or_default().to_string_lossy();
        match found {
            Ok(found) if found.has(capability) => format!("{program} has {name}"),
            Ok(_) => format!("{program} has no {name}"),
            Err(unread) => format!("{program}: {unread}"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

fn grant(finding: Finding, live: &Live, obstacle: Option<String>, priority: u8) -> Finding {
    let paths: Vec<String> =
        live.binaries.iter().map(|(path, _)| path.display().to_string()).collect();
    let setcap: Vec<String> = paths
        .iter()
        .map(|path| format!("sudo setcap cap_sys_nice,cap_ipc_lock=ep {path}"))
        .collect();
    match obstacle {
        None => finding.mend(setcap.join("\n")),
        Some(why) => {
            let user = live.sudo_user.as_ref().unwrap_or(&live.user);
            let read = format!("{}; a file's capabilities count for nothing: {why}", finding.read);
            Finding { read, ..finding }.mend(format!(
                "printf '%s\\n' '{user} - rtprio {priority}' '{user} - memlock unlimited' | sudo tee \
                 /etc/security/limits.d/mechos.conf   # then log in again\n\
                 sudo prlimit --pid $$ --rtprio={priority} --memlock=unlimited   # this shell, now"
            ))
        }
    }
}
