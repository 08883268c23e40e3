//! The program: the address it listens on.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
};

use webtest::ask;

/// The program with these arguments; killed when dropped.
struct Program {
    child: Child,
    /// The address that it printed.
    address: String,
}

impl Program {
    fn start(arguments: &[&str]) -> (Program, ChildStderr) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transfer-web"));
        command.args(["--port", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let stderr = child.stderr.take().expect("piped");
        let address = line
            .trim_end()
            .strip_prefix("transfer-web listens on http://")
            .unwrap_or_else(|| panic!("{line}"));
        (Program { address: address.to_owned(), child }, stderr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_listens_on_loopback_by_default_without_a_warning() {
    let (program, mut stderr) = Program::start(&[]);
    assert!(program.address.starts_with("127.0.0.1:"), "{}", program.address);
    drop(program);
    let mut errors = String::new();
    stderr.read_to_string(&mut errors).expect("text");
    assert_eq!(errors, "");
}

#[test]
fn an_address_that_other_machines_can_reach_causes_a_warning() {
    let (program, stderr) = Program::start(&["--host", "0.0.0.0"]);
    let mut warning = String::new();
    BufReader::new(stderr).read_line(&mut warning).expect("a line");
    assert!(warning.starts_with("warning: anyone who can reach 0.0.0.0:"), "{warning}");
    assert!(warning.contains("move the lab's money, and reset the lab"), "{warning}");

    // Then any Host is accepted, but requests from other origins are still rejected.
    let port = program.address.rsplit(':').next().expect("a port");
    let service = format!("127.0.0.1:{port}").parse().expect("an address");
    assert_eq!(ask(service, "GET /health", &[("Host", "lab.example.com")], "").status, 200);
    let foreign = [("Host", "lab.example.com"), ("Origin", "https://example.com")];
    assert_eq!(ask(service, "GET /health", &foreign, "").status, 403);
}
