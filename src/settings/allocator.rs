//! The settings of the C library's allocator, which it takes from the environment of a process that begins, and from nowhere else.
//!
//! Left to itself it gives large lists memory of their own, which the system gets back at once, only until the first of them is
//! freed; from then on each thread keeps what it had once. Twenty workers then keep twice the memory budget.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "GLIBC_TUNABLES";

/// Lists of 4 MiB and more have memory of their own, and a thread keeps 8 MiB at most that are free.
const TUNABLES: &str = "glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=8388608";

/// Has this process begin anew with these settings, unless somebody has made settings already. Whoever started it sees no
/// difference: it is the same process, with the same arguments.
///
/// It returns if there is nothing to do, or if it cannot be done. Then the mirror works as well, but takes more memory.
pub fn apply() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let (mut args, Ok(program)) = (env::args_os(), env::current_exe()) else { return };
    let name = args.next().unwrap_or_else(|| program.clone().into());
    let _ = Command::new(program).arg0(name).args(args).env(VARIABLE, TUNABLES).exec();
}
