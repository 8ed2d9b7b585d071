//! What the system is asked about the order in which threads get their turn on a core.

use std::fs;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityOsValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::log;

/// Has this thread, and all it starts from now on, not interrupt others when they are woken (`SCHED_BATCH`, see sched(7)).
///
/// A request goes through the hands of several threads. Each that is woken would interrupt the one that has woken it and
/// has not finished yet, or an upstream on the same machine; a short answer would take a quarter more CPU. On a core that
/// is busy they wait for their turn instead, some milliseconds at most, and their part of the time stays the same.
/// Who has set the policy or the niceness himself has decided otherwise.
pub(in crate::server) fn do_not_interrupt() {
    if usual_scheduling() != Some(true) {
        return;
    }
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let niceness = ThreadPriority::Os(ThreadPriorityOsValue::default());
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), niceness, policy) {
        // Not allowed in some sandbox, perhaps. All works without.
        log::debug(|| log::Line::new("scheduling").text("error", format!("{error:?}")));
    }
}

/// Whether the process has the policy and the niceness that processes have, both 0; proc_pid_stat(5) numbers its fields.
fn usual_scheduling() -> Option<bool> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second, a name in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(field(19)? == "0" && field(41)? == "0")
}
