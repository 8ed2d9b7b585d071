//! Settings of the C library's allocator. It reads them only from the environment, when a process starts.
//!
//! By default, it allocates large lists separately and returns their memory to the system at once, but only until the first of
//! them is freed. From then on, each thread keeps memory that it has freed. Twenty workers then keep twice the memory budget.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "GLIBC_TUNABLES";

/// Lists from 4 MiB on are allocated separately, and a thread keeps at most 8 MiB of free memory.
const TUNABLES: &str = "glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=8388608";

/// Executes the program again with these settings, unless `GLIBC_TUNABLES` is set. The process id and the arguments stay the same.
///
/// Returns only if the variable is set, or if this fails. The mirror then works, too, but may take more memory.
pub fn apply() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let (mut args, Ok(program)) = (env::args_os(), env::current_exe()) else { return };
    let name = args.next().unwrap_or_else(|| program.clone().into());
    let _ = Command::new(program).arg0(name).args(args).env(VARIABLE, TUNABLES).exec();
}
