//! The programs under test, built once a test run: `cargo test` builds a package's binaries only
//! for that package's own tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds `mechos`, `mechos-rt`, `mechos-guardian`, `mechos-sim` and
/// `mechos-cognition` of the profile that this test was built with. With `MECHOS_TESTS_BUILT` set
/// they are taken as they are.
pub fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        // target/PROFILE/deps/TEST
        let folder = test.ancestors().nth(2).expect("target/PROFILE/deps").to_owned();
        if std::env::var_os("MECHOS_TESTS_BUILT").is_some() {
            return folder;
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--workspace", "--bins"]);
        build.arg("--manifest-path");
        build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        if let Some(target) = folder.parent() {
            build.env("CARGO_TARGET_DIR", target);
        }
        let output = build.output().expect("cargo runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "building the programs failed:\n{errors}");
        folder
    })
}

/// The path of one program.
pub fn program(name: &str) -> PathBuf {
    folder().join(name)
}

/// The robot file of the six-axis arm.
pub fn arm6() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../rt/robots/arm6.toml"))
}
