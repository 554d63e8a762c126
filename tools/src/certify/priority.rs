//! Real-time priority for a thread of this process, where the host grants it.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};

/// Asks for SCHED_FIFO for the calling thread; whether it was granted, as read back.
pub fn ask_fifo(priority: u8) -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    if let Ok(value) = ThreadPriorityValue::try_from(priority) {
        let priority = ThreadPriority::Crossplatform(value);
        let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
    }
    thread_schedule_policy().is_ok_and(|read_back| read_back == policy)
}
