//! What a stopped lab must not leave behind: processes, ports, files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use checkout::project::NO_COPY;
use supervisor::{
    ports::{self, PORTS, Ports},
    process::{self, Identity},
};

/// The files that a lab may leave: its databases, the server's with its write-ahead log, the lab's settings, its versions of the worker, locks,
/// and what stops Nix.
const KEPT: [&str; 12] = [
    "bank.db",
    // Of a lab on a service that others share.
    "class-lab",
    "service.json",
    "temporal.db",
    "temporal.db-wal",
    "temporal.db-shm",
    "ports.json",
    "stage.json",
    "stage.lock",
    "versions.json",
    "lock",
    NO_COPY,
];
/// The folders whose files may remain.
const KEPT_FOLDERS: [&str; 3] = ["logs", "backup", "versions"];

/// One sentence for each leftover: processes of the lab, other processes that work in the shadow's folder, ports of the lab, and
/// files that should have been removed.
pub(super) fn look(root: &Path, seen: &[(String, Identity)], ports: &Ports) -> Vec<String> {
    let alive = seen.iter().filter(|(_, process)| process::is_alive(process));
    let alive = alive.map(|(name, process)| format!("{name} (pid {}) is still running", process.pid));
    let others = working_in(root).into_iter().map(|process| format!("still running: {process}"));
    let taken = PORTS.iter().map(|row| ports.get(row.name)).filter(|&port| !ports::is_free(port));
    let taken = taken.map(|port| format!("port {port} is in use by {}", ports::holder_or_unknown(port)));
    let files = litter(root).into_iter().map(|path| format!("leftover file {}", path.display()));
    alive.chain(others).chain(taken).chain(files).collect()
}

/// The processes whose command line names this folder, except this process.
fn working_in(root: &Path) -> Vec<String> {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "pid=,stat=,args="]).output() else {
        return vec!["could not run ps to list processes".to_owned()];
    };
    let own = std::process::id().to_string();
    let root = root.display().to_string();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let others = lines.lines().map(str::trim).filter(|line| {
        let mut words = line.split_whitespace();
        let (pid, state) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        line.contains(&root) && pid != own && !state.starts_with('Z')
    });
    others.map(str::to_owned).collect()
}

/// Temporary files of the shadow, and files of the lab that should have been removed.
fn litter(root: &Path) -> Vec<PathBuf> {
    let is_kept = |path: &Path| {
        let name = |path: &Path| {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        KEPT.contains(&&*name(path)) || KEPT_FOLDERS.contains(&&*name(path))
    };
    let entries = |folder: PathBuf| -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let temporary = entries(root.join("tmp")).unwrap_or_default();
    let of_the_lab = entries(root.join(".lab")).unwrap_or_default().into_iter().filter(|path| !is_kept(path));
    // Empty folders do not count: the lab creates some in advance.
    let is_empty = |path: &PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    temporary.into_iter().chain(of_the_lab).filter(|path| !is_empty(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Stdio};

    use serde_json::json;

    use super::*;

    #[test]
    fn files_that_a_lab_keeps_are_accepted_and_others_are_reported() {
        let root = std::env::temp_dir().join(format!("leftovers-{}", std::process::id()));
        for folder in [".lab/logs", ".lab/backup/1", ".lab/versions/1", ".lab/run", "tmp/empty"] {
            fs::create_dir_all(root.join(folder)).expect("temporary folders can be made");
        }
        for kept in [
            ".lab/bank.db",
            ".lab/temporal.db-wal",
            ".lab/logs/worker.log",
            ".lab/backup/1/workflow.rs",
            ".lab/versions/1/worker",
            ".lab/versions.json",
        ] {
            fs::write(root.join(kept), "x").expect("it is this test's own");
        }
        assert_eq!(look(&root, &[], &Ports::default()), Vec::<String>::new());

        let held = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = held.local_addr().expect("it is bound").port();
        let ports = Ports::from_json(&json!({ ports::TEMPORAL: port }));
        for litter in
            [".lab/lab.json", ".lab/.lab.json.7", ".lab/bank.db-wal", ".lab/run/worker.ready", "tmp/x"]
        {
            fs::write(root.join(litter), "x").expect("it is this test's own");
        }
        // By its command line it works in that folder, and it was recorded as a process of the lab.
        // It ends with its input, at the latest with this test.
        let mut command = Command::new("sh");
        command.args(["-c", "read -r _", "sh"]).arg(root.join("worker")).arg("600");
        let mut process = command.stdin(Stdio::piped()).spawn().expect("there is a shell");
        let seen = process::identify(process.id()).expect("it runs");
        let found = look(&root, &[("worker".to_owned(), seen)], &ports);
        process.kill().expect("it is this test's own");
        process.wait().expect("it is this test's own");
        fs::remove_dir_all(&root).expect("it is this test's own");

        let finds = |words: &[&str]| found.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(
            finds(&["worker (pid", "is still running"]) && finds(&["still running:", "600"]),
            "{found:#?}"
        );
        assert!(finds(&[&format!("port {port} is in use")]), "{found:#?}");
        for litter in [".lab/lab.json", ".lab.json.7", "bank.db-wal", ".lab/run", "tmp/x"] {
            assert!(finds(&["leftover file", litter]), "{litter}: {found:#?}");
        }
        assert_eq!(found.len(), 8, "{found:#?}");
    }
}
