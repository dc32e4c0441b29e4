//! The program `campaigns`.

use std::process::ExitCode;

/// Returns the memory of large responses to the system, and is faster with many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The minimum number of threads.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // more than cores: while large answers are made on some, the operating system gives the others
        // their turn; but no more than twice as many, as each wakes the next
        .worker_threads((2 * cores).max(THREADS))
        // a document nests 64 deep at most; without optimization each level takes its room
        .thread_stack_size(8 * 1024 * 1024)
        .build()
        .expect("the operating system gives threads");
    runtime.block_on(campaigns_server::command::run())
}
