//! Stands in for the worker: writes its ready file and stays until it is ended.

use std::{env, fs, io::Write, os::unix::process::CommandExt, path::Path, process::Command, thread, time::Duration};

const VERSION: &str = "one";

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--ready-file").expect("the flag is given");
    let mut stdout = std::io::stdout();
    for name in ["TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "ACCOUNT_API_URL"] {
        let _ = writeln!(stdout, "{name}={}", env::var(name).expect("the lab tells where everything is"));
    }
    let _ = writeln!(stdout, "stand-in worker, version {VERSION}");
    // A version of the worker runs in a folder of its own, .lab/versions/1.
    let mut hold = "hold";
    if let (Ok(deployment), Ok(build_id)) = (env::var("TEMPORAL_DEPLOYMENT_NAME"), env::var("TEMPORAL_WORKER_BUILD_ID")) {
        let _ = writeln!(stdout, "it is version {build_id} of {deployment}");
        hold = "../../../hold";
    }
    let hold = Path::new(hold);
    while hold.join("worker").exists() {
        // It may be let go in this moment.
        let _ = fs::write(hold.join("worker.here"), "");
        thread::sleep(Duration::from_millis(10));
    }
    let ready_file = &arguments[at + 1];
    if hold.join("stop").exists() {
        // One that does not end at a TERM. It is ready once it ignores that.
        let script = "trap 'touch \"$3/stop.here\"' TERM; printf '%s' \"$1\" > \"$2\"; while [ -e \"$3/stop\" ]; do sleep 0.05; done";
        let error = Command::new("sh").args(["-c", script, "sh", VERSION, ready_file]).arg(hold).exec();
        panic!("there is a shell: {error}");
    }
    fs::write(ready_file, VERSION).expect("it can be written");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
