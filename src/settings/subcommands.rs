//! The subcommands.

pub(super) const CHECK: &str = "check";
pub(super) const ASK: &str = "ask";
pub(super) const COMPLETIONS: &str = "completions";
pub(super) const MANUAL: &str = "man";

/// The flag that makes `check` check the named upstreams.
pub(super) const UPSTREAMS: &str = "upstreams";

/// Each subcommand with its help.
pub(super) const SUBCOMMANDS: [(&str, &str); 4] = [
    (ASK, "send a query as StackState does, and show the response"),
    (CHECK, "check whether a mirror is ready, or whether the named upstreams answer"),
    (COMPLETIONS, "print completions for bash, zsh or fish"),
    (MANUAL, "print the manual page"),
];
