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
        // more than cores: while some build large responses, the operating system runs the others;
        // but at most twice as many, since each wakes the next
        .worker_threads((2 * cores).max(THREADS))
        // a document can be nested 64 levels deep; without optimization, each level needs much
        // stack
        .thread_stack_size(8 * 1024 * 1024)
        .build()
        .expect("the operating system gives threads");
    runtime.block_on(campaigns_server::command::run())
}
