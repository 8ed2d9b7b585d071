//! How the mirror's threads are scheduled.

use std::fs;

use crate::support::mirror::Mirror;

/// `SCHED_OTHER` and `SCHED_BATCH`, as numbered in sched(7).
const USUAL: &str = "0";
const BATCH: &str = "3";

/// The different policies and nicenesses of a mirror's threads, fields 41 and 19 of proc_pid_stat(5).
fn scheduling(mirror: &Mirror) -> Vec<(String, String)> {
    let threads = fs::read_dir(format!("/proc/{}/task", mirror.pid())).expect("the process runs");
    let mut found: Vec<(String, String)> = threads
        .filter_map(|thread| {
            // A thread of tiny_http may end meanwhile.
            let stat = fs::read_to_string(thread.expect("a thread").path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
            Some((fields[41 - 3].to_owned(), fields[19 - 3].to_owned()))
        })
        .collect();
    assert!(found.len() > 4, "the workers run");
    found.sort();
    found.dedup();
    found
}

#[test]
fn no_thread_interrupts_others() {
    let mirror = Mirror::start_with(&["--workers", "4"]);
    assert_eq!(scheduling(&mirror), [(BATCH.to_owned(), "0".to_owned())]);
}

#[test]
fn who_has_set_the_niceness_or_the_policy_has_decided() {
    for (wrapper, policy, niceness) in [
        (&["nice", "-n", "5"][..], USUAL, "5"),
        (&["chrt", "--idle", "0"], "5", "0"),
        (&["nice", "-n", "0"], BATCH, "0"),
    ] {
        let mirror = Mirror::start_under(wrapper, &["--workers", "4"]);
        assert_eq!(scheduling(&mirror), [(policy.to_owned(), niceness.to_owned())], "{wrapper:?}");
    }
}
