//! Whether SCHED_FIFO is granted: tried, and read back from the kernel.

use std::fs;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// SCHED_FIFO in proc_pid_stat(5), field 41.
pub const POLICY_FIFO: u32 = 1;

/// How the trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Granted, and read back.
    Granted,
    /// Refused.
    Refused(String),
    /// The kernel accepted and shows something else, or nothing was tried.
    Unclear(String),
}

/// Asks for SCHED_FIFO in a thread that lives for this only.
pub fn fifo(priority: u8) -> Trial {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| try_here(priority));
        thread.join().unwrap_or_else(|_| Trial::Unclear("the trial's thread panicked".to_owned()))
    })
}

fn try_here(priority: u8) -> Trial {
    let Ok(value) = ThreadPriorityValue::try_from(priority) else {
        return Trial::Unclear(format!("{priority} is no priority"));
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let asked = ThreadPriority::Crossplatform(value);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), asked, policy) {
        return Trial::Refused(match error {
            thread_priority::Error::OS(number) => {
                std::io::Error::from_raw_os_error(number).to_string()
            }
            other => other.to_string(),
        });
    }
    // glibc would answer from what it was told; /proc answers from what the scheduler does.
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    match scheduling(&stat) {
        Some((POLICY_FIFO, found)) if found == u32::from(priority) => Trial::Granted,
        found => Trial::Unclear(format!("accepted, and reads back as {found:?}")),
    }
}

/// Policy and real-time priority from the text of a `stat` file (fields 41 and 40).
pub fn scheduling(stat: &str) -> Option<(u32, u32)> {
    // The name, field 2, may hold blanks and brackets; the last bracket ends it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    Some((field(41)?, field(40)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_what_the_kernel_says() {
        // As root it may be granted, as anybody it may be refused; it is never unclear.
        assert!(!matches!(fifo(1), Trial::Unclear(_)));
        let own = fs::read_to_string("/proc/thread-self/stat").unwrap();
        assert_eq!(scheduling(&own), Some((0, 0)), "the trial left its thread");
    }

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let stat = format!("7 (irq/9) x) S {} 85 1 0", ["0"; 36].join(" "));
        assert_eq!(scheduling(&stat), Some((1, 85)));
    }
}
