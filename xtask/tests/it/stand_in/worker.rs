//! Stands in for the worker: writes its ready file and stays until it is ended.

use std::{env, fs, thread, time::Duration};

const VERSION: &str = "one";

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--ready-file").expect("the flag is given");
    for name in ["TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "ACCOUNT_API_URL"] {
        println!("{name}={}", env::var(name).expect("the lab tells where everything is"));
    }
    println!("stand-in worker, version {VERSION}");
    fs::write(&arguments[at + 1], VERSION).expect("it can be written");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
