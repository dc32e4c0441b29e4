//! The program `campaigns`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // a document nests 64 deep at most; without optimization each level takes its room
        .thread_stack_size(8 * 1024 * 1024)
        .build()
        .expect("the operating system gives threads");
    runtime.block_on(campaigns_server::command::run())
}
