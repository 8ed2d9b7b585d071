//! The scheduling policy of the process.

use std::fs;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityOsValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::log;

/// Sets `SCHED_BATCH` (see sched(7)) for this thread and all that it starts from now on, so that they do not preempt other
/// threads when they are woken.
///
/// Several threads process a request, one after the other. Otherwise, each would preempt the one that woke it, or an upstream on
/// the same machine, and a short response would take a quarter more CPU. On a busy core, these threads now wait until it is free,
/// some milliseconds at most; their share of the CPU stays the same. If the operator has set a policy or a niceness, it stays.
pub(in crate::server) fn do_not_interrupt() {
    if usual_scheduling() != Some(true) {
        return;
    }
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let niceness = ThreadPriority::Os(ThreadPriorityOsValue::default());
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), niceness, policy) {
        // A sandbox may forbid it. The mirror works without it.
        log::debug(|| log::Line::new("scheduling").text("error", format!("{error:?}")));
    }
}

/// Whether the process has the default policy and niceness, which are both 0. The numbers of the fields are those of
/// proc_pid_stat(5).
fn usual_scheduling() -> Option<bool> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses, which may contain any character.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(field(19)? == "0" && field(41)? == "0")
}
