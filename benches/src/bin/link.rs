//! `cargo run --release -p mechos-benches --bin link`: the benchmark of promise P3.

use std::process::ExitCode;

fn main() -> ExitCode {
    mechos_benches::link::main()
}
