//! The settings of the C library's allocator. It reads them from the environment when a process starts, and from nowhere else.
//!
//! Its defaults suit other programs. It returns large lists to the system at once only until the first of them is freed, and keeps them
//! from then on. It also has eight arenas for each core of the machine, each of which keeps what was freed in it. Twenty workers then
//! keep twice the memory budget.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

const VARIABLE: &str = "GLIBC_TUNABLES";

/// A list of this size or more has its own memory, which is returned to the system when the list is freed: 4 MiB.
const OWN_MEMORY_BYTES: usize = 4 << 20;

/// An arena keeps at most this much free memory at its end: 8 MiB.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The fewest arenas: with a single one, threads wait for it. With one for each core that this process may use, they hardly ever do.
const MIN_ARENAS: usize = 2;

/// Starts this process anew with these settings, unless the variable is set already. Whoever started it sees no difference: it is the
/// same process, with the same arguments.
///
/// Returns if there is nothing to do, or if it fails. Then the mirror works as well, but takes more memory.
pub fn apply() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let (mut args, Ok(program)) = (env::args_os(), env::current_exe()) else { return };
    let name = args.next().unwrap_or_else(|| program.clone().into());
    let _ = Command::new(program).arg0(name).args(args).env(VARIABLE, tunables()).exec();
}

fn tunables() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!(
        "glibc.malloc.mmap_threshold={OWN_MEMORY_BYTES}:glibc.malloc.trim_threshold={MAX_KEPT_BYTES}:\
         glibc.malloc.arena_max={}",
        MIN_ARENAS.max(cores)
    )
}
