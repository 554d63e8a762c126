//! The status in words, for `mechos status` and at the end of `mechos up`.

use std::fmt::Write;

use mechos_operator::{IntentSums, MissCauses, MissStatus, Percentiles, Status};

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const PLAIN: &str = "\x1b[0m";

/// The whole status in lines.
pub fn text(status: &Status, colour: bool) -> String {
    let mut out = String::new();
    head(&mut out, status, colour);
    numbers(&mut out, status);
    axes(&mut out, status, colour);
    threads(&mut out, status);
    history(&mut out, status);
    out.trim_end().to_owned()
}

/// Mode and cause in words: `halted: drive-fault (elbow)`.
pub fn mode_words(status: &Status) -> String {
    if status.cause == "none" || status.cause.is_empty() {
        return status.mode.clone();
    }
    let cause = cause_words(status, &status.cause, status.cause_detail);
    format!("{}: {cause}", status.mode)
}

/// A cause with what its detail stands for.
pub fn cause_words(status: &Status, cause: &str, detail: u32) -> String {
    let index = usize::try_from(detail).unwrap_or(usize::MAX);
    if cause == "thread-panic" {
        return format!("{cause} ({})", thread_name(status, index));
    }
    let name = match cause {
        "feedback-stale" | "drive-fault" | "drive-lost" | "drive-left" | "following-error"
        | "limit-passed" | "not-stoppable" | "unexpected-motion" => {
            status.axes.get(index).map(|axis| axis.name.as_str())
        }
        "deadline-bus" | "bus-fault" => status.buses.get(index).map(|bus| bus.name.as_str()),
        _ => None,
    };
    match name {
        Some(name) => format!("{cause} ({name})"),
        None if detail == 0 => cause.to_owned(),
        None => format!("{cause} ({detail})"),
    }
}

/// The daemon counts its real-time threads: control, deadline, then one a bus.
fn thread_name(status: &Status, index: usize) -> String {
    match index {
        0 => "control".to_owned(),
        1 => "deadline".to_owned(),
        _ => match status.buses.get(index - 2) {
            Some(bus) => format!("bus-{}", bus.name),
            None => format!("thread {index}"),
        },
    }
}

/// What an operator can do next, if the mode waits for one.
pub fn advice(status: &Status) -> Option<String> {
    match status.mode.as_str() {
        "halted" => Some("`mechos reset`, then `mechos arm`, once it is safe".to_owned()),
        "disarmed" if status.interlocks.is_empty() => Some("`mechos arm`".to_owned()),
        "disarmed" => Some(format!("open interlocks: {}", status.interlocks.join(", "))),
        "armed" if status.operator_has_control => {
            Some("an operator has the machine; `mechos resume` gives it back".to_owned())
        }
        _ => None,
    }
}

/// Ticks per second, 0 where the period is not known.
pub fn rate_hz(status: &Status) -> u64 {
    1_000_000_000_u64.checked_div(status.period_ns).unwrap_or(0)
}

/// The sums of the protocol in one line.
pub fn intents(sums: &IntentSums) -> String {
    format!(
        "{} submitted = {} accepted + {} clamped + {} refused + {} queued + {} returned + {} lost",
        sums.submitted,
        sums.accepted,
        sums.clamped,
        sums.refused,
        sums.queued,
        sums.returned,
        sums.lost
    )
}

/// What the misses were put down to; causes without any are left out.
pub fn causes(of: &MissCauses) -> String {
    let named = [
        (of.own_stage, "own stage"),
        (of.page_fault, "page fault"),
        (of.blocked, "blocked"),
        (of.involuntary_switch, "involuntary switch"),
        (of.steal, "steal"),
        (of.bus, "bus"),
    ];
    let found = named.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = found.map(|(count, name)| format!("{count} {name}")).collect();
    format!("caused by {}", words.join(", "))
}

/// One miss: `tick 812 late-compute, 318 us after its start, own-stage in gather`.
pub fn miss_words(miss: &MissStatus) -> String {
    let MissStatus { tick, kind, cause, late_us, .. } = miss;
    let stage = miss.stage.as_ref().map_or(String::new(), |stage| format!(" in {stage}"));
    let bus = miss.bus.as_ref().map_or(String::new(), |bus| format!(" of bus {bus}"));
    let call = miss.call.as_ref().map_or(String::new(), |call| format!(" ({call})"));
    format!("tick {tick} {kind}, {late_us} us after its start, {cause}{call}{stage}{bus}")
}

/// A distribution, µs.
pub fn percentiles(of: &Percentiles) -> String {
    let Percentiles { p50, p99, p99_9, max } = of;
    format!("p50 {p50:.0}  p99 {p99:.0}  p99.9 {p99_9:.0}  max {max:.0} us")
}

fn head(out: &mut String, status: &Status, colour: bool) {
    let paint = match status.mode.as_str() {
        "halted" => RED,
        "armed" => GREEN,
        _ => BOLD,
    };
    let (begin, end) = if colour { (paint, PLAIN) } else { ("", "") };
    let mode = mode_words(status);
    let (robot, profile, hz) = (&status.robot, &status.profile, rate_hz(status));
    let _ = writeln!(out, "{robot}  {begin}{mode}{end}  profile {profile}  {hz} Hz");
    if !status.stops_disabled.is_empty() {
        let _ = writeln!(out, "SWITCHED OFF: stop paths {}", status.stops_disabled.join(", "));
    }
}

fn numbers(out: &mut String, status: &Status) {
    let Status { ticks, skipped, misses, intents: sums, .. } = status;
    let _ = writeln!(out, "ticks     {ticks} run, {skipped} skipped");
    let _ = writeln!(
        out,
        "misses    {} late wake-up, {} late computing, {} late sending",
        misses.late_wake, misses.late_compute, misses.late_send
    );
    if misses.total() > 0 {
        let _ = writeln!(out, "          {}", causes(&status.miss_causes));
    }
    if let Some(miss) = status.last_misses.last() {
        let _ = writeln!(out, "          last: {}", miss_words(miss));
    }
    let _ = writeln!(out, "wake-up   {}", percentiles(&status.wake_us));
    let _ = writeln!(out, "computing {}", percentiles(&status.compute_us));
    let _ = writeln!(out, "sending   {}", percentiles(&status.send_us));
    let _ = writeln!(out, "intents   {}", intents(sums));
    let _ = writeln!(
        out,
        "          admitted = {} pre-empted + {} completed + {} expired + {} aborted + {} active",
        sums.preempted, sums.completed, sums.expired, sums.aborted, sums.active
    );
}

fn axes(out: &mut String, status: &Status, colour: bool) {
    let (begin, end) = if colour { (BOLD, PLAIN) } else { ("", "") };
    let widest = status.axes.iter().map(|axis| axis.name.len()).max().unwrap_or(0).max(4);
    let _ = writeln!(
        out,
        "{begin}{:<widest$}  {:<12} {:>9} {:>9} {:>9} {:>9} {:>9}{end}",
        "axis", "drive", "pos rad", "vel rad/s", "start rad", "end rad", "travelled"
    );
    for axis in &status.axes {
        let fault = match axis.fault_code {
            0 => String::new(),
            code => format!("  error {code:04X}h"),
        };
        let _ = writeln!(
            out,
            "{:<widest$}  {:<12} {:>9.4} {:>9.3} {:>9.4} {:>9.4} {:>9.3}{fault}",
            axis.name,
            axis.state,
            axis.position_rad,
            axis.velocity_rad_s,
            axis.start_rad,
            axis.end_rad,
            axis.travel_rad
        );
    }
}

fn threads(out: &mut String, status: &Status) {
    for bus in &status.buses {
        let (name, state, load) = (&bus.name, &bus.state, bus.load_percent);
        let _ = writeln!(out, "bus {name}: {state}, worst-case load {load:.1} percent");
    }
    for thread in &status.rt.threads {
        let cpu = thread.cpu.map_or("any CPU".to_owned(), |cpu| format!("CPU {cpu}"));
        let memory = if thread.locked { "memory locked" } else { "memory not locked" };
        let (name, policy, priority) = (&thread.name, &thread.policy, thread.priority);
        let _ = writeln!(out, "thread {name}: {policy} {priority}, {cpu}, {memory}");
    }
    ledger(out, status);
    if status.same_user {
        let _ = writeln!(out, "planner and daemon run as one user (simulated buses only)");
    }
    for warning in &status.host.warnings {
        let _ = writeln!(out, "host: {warning}");
    }
}

/// What the real-time threads lack, and what they did after arming that they may not do.
fn ledger(out: &mut String, status: &Status) {
    let demanded = if status.ledger.demanded { "LACKING" } else { "lacking (not demanded)" };
    for difference in &status.ledger.differences {
        let _ = writeln!(out, "{demanded}: {difference}");
    }
    let threads = || status.rt.threads.iter().filter(|thread| thread.real_time);
    for thread in threads().filter(|t| t.allocations > 0 || t.calls_unlisted > 0) {
        let (name, heap, calls) = (&thread.name, thread.allocations, thread.calls_unlisted);
        let last = thread.last_call.as_deref().map_or(String::new(), |c| format!(", last {c}"));
        let _ = writeln!(
            out,
            "VIOLATION since arming: thread {name}: {heap} allocations or frees, \
             {calls} unlisted system calls{last}"
        );
    }
    for thread in threads().filter(|thread| thread.faults_minor > 0 || thread.faults_major > 0) {
        let (name, minor, major) = (&thread.name, thread.faults_minor, thread.faults_major);
        let _ =
            writeln!(out, "page faults since arming: thread {name}: {minor} minor, {major} major");
    }
}

fn history(out: &mut String, status: &Status) {
    for halt in &status.halts {
        let before = std::time::Duration::from_nanos(status.t_ns.saturating_sub(halt.t_ns));
        let cause = cause_words(status, &halt.cause, halt.detail);
        let _ = writeln!(out, "stopped {:.1} s ago: {cause}", before.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mechos_operator::{AxisStatus, Halt, LedgerStatus, RtStatus, ThreadStatus};

    fn halted() -> Status {
        Status {
            robot: "arm6".into(),
            profile: "relaxed".into(),
            mode: "halted".into(),
            cause: "drive-fault".into(),
            cause_detail: 1,
            period_ns: 1_000_000,
            t_ns: 3_500_000_000,
            axes: ["base", "elbow"]
                .map(|name| AxisStatus { name: name.into(), ..AxisStatus::default() })
                .into(),
            halts: vec![Halt {
                cause: "drive-fault".into(),
                detail: 1,
                t_ns: 1_000_000_000,
                ..Halt::default()
            }],
            ..Status::default()
        }
    }

    #[test]
    fn a_halt_names_its_axis_and_what_to_do() {
        let text = text(&halted(), false);
        assert!(text.starts_with("arm6  halted: drive-fault (elbow)  profile relaxed  1000 Hz"));
        assert!(text.contains("stopped 2.5 s ago"), "{text}");
        assert!(advice(&halted()).unwrap().contains("mechos reset"));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_panic_names_its_thread() {
        let bus = mechos_operator::BusStatus { name: "upper".into(), ..Default::default() };
        let status = Status { buses: vec![bus], ..Status::default() };
        let words = |detail| cause_words(&status, "thread-panic", detail);
        assert_eq!(words(0), "thread-panic (control)");
        assert_eq!(words(2), "thread-panic (bus-upper)");
        assert_eq!(words(9), "thread-panic (thread 9)");
    }

    #[test]
    fn misses_come_with_their_causes_and_the_last_one_with_its_stage() {
        let mut status = Status::default();
        assert!(!text(&status, false).contains("caused by"));
        status.misses.late_compute = 2;
        (status.miss_causes.blocked, status.miss_causes.own_stage) = (1, 1);
        status.last_misses = vec![MissStatus {
            tick: 812,
            kind: "late-compute".into(),
            cause: "own-stage".into(),
            stage: Some("gather".into()),
            late_us: 318,
            ..MissStatus::default()
        }];
        let text = text(&status, false);
        assert!(text.contains("caused by 1 own stage, 1 blocked\n"), "{text}");
        let last = "last: tick 812 late-compute, 318 us after its start, own-stage in gather\n";
        assert!(text.contains(last), "{text}");
    }

    #[test]
    fn a_status_of_nothing_is_still_text() {
        assert!(text(&Status::default(), true).contains("ticks"));
    }

    #[test]
    fn a_violation_and_a_difference_are_lines_of_their_own() {
        let quiet = ThreadStatus { name: "deadline".into(), real_time: true, ..Default::default() };
        let control = ThreadStatus {
            name: "control".into(),
            calls_unlisted: 2,
            last_call: Some("getppid".into()),
            ..quiet.clone()
        };
        let differences = vec!["control: asked SCHED_FIFO 70; found SCHED_OTHER".into()];
        let ledger = LedgerStatus { demanded: true, differences, ..LedgerStatus::default() };
        let rt = RtStatus { threads: vec![control, quiet] };
        let text = text(&Status { ledger, rt, ..Status::default() }, false);
        assert!(text.contains("LACKING: control: asked SCHED_FIFO 70"), "{text}");
        assert!(text.contains("thread control: 0 allocations or frees, 2 unlisted"), "{text}");
        assert!(text.contains("last getppid"), "{text}");
        assert!(!text.contains("thread deadline: 0"), "{text}");
        assert!(!text.contains("page faults"), "{text}");
    }

    #[test]
    fn switched_off_stop_paths_are_loud() {
        let status = Status { stops_disabled: vec!["kernel".into()], ..Status::default() };
        assert!(text(&status, false).contains("SWITCHED OFF"));
    }
}
