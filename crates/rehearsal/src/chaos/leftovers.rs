//! What is left of a lab that was stopped, and should not be: processes, ports, files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use supervisor::{
    ports::{self, PORTS, Ports},
    process::{self, Identity},
};

/// The files that a lab may leave: its databases, the server's with its write-ahead log, and what the lab remembers.
const KEPT: [&str; 7] =
    ["bank.db", "temporal.db", "temporal.db-wal", "temporal.db-shm", "ports.json", "stage.json", "lock"];
/// The folders whose files may stay.
const KEPT_FOLDERS: [&str; 2] = ["logs", "backup"];

/// What is left, a sentence each: of the processes that were seen, of any others that work in the shadow's folder, of
/// the lab's ports, and of files in its folder that are of use to nobody.
pub(super) fn look(root: &Path, seen: &[(String, Identity)], ports: &Ports) -> Vec<String> {
    let alive = seen.iter().filter(|(_, process)| process::is_alive(process));
    let alive = alive.map(|(name, process)| format!("{name} (pid {}) still runs", process.pid));
    let others = working_in(root).into_iter().map(|process| format!("this still runs: {process}"));
    let taken = PORTS.iter().map(|row| ports.get(row.name)).filter(|&port| !ports::is_free(port));
    let taken = taken.map(|port| format!("port {port} is held by {}", ports::holder_or_unknown(port)));
    let files = litter(root).into_iter().map(|path| format!("there is a file {}", path.display()));
    alive.chain(others).chain(taken).chain(files).collect()
}

/// The processes whose command line names this folder, but for this one's own.
fn working_in(root: &Path) -> Vec<String> {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "pid=,stat=,args="]).output() else {
        return vec!["ps, which would tell, does not".to_owned()];
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

/// The files below the shadow's folder for temporary ones, and those of the lab that nobody needs any more.
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
    // A folder that is empty is of no weight: the lab makes some before it knows what for.
    let is_empty = |path: &PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    temporary.into_iter().chain(of_the_lab).filter(|path| !is_empty(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Stdio};

    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_lab_keeps_is_no_litter_and_all_else_is_found() {
        let root = std::env::temp_dir().join(format!("leftovers-{}", std::process::id()));
        for folder in [".lab/logs", ".lab/backup/1", ".lab/run", "tmp/empty"] {
            fs::create_dir_all(root.join(folder)).expect("temporary folders can be made");
        }
        for kept in
            [".lab/bank.db", ".lab/temporal.db-wal", ".lab/logs/worker.log", ".lab/backup/1/workflow.rs"]
        {
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
        // It works in that folder, as far as its command line tells; and it was seen.
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
        assert!(finds(&["worker (pid", "still runs"]) && finds(&["this still runs", "600"]), "{found:#?}");
        assert!(finds(&[&format!("port {port} is held")]), "{found:#?}");
        for litter in [".lab/lab.json", ".lab.json.7", "bank.db-wal", ".lab/run", "tmp/x"] {
            assert!(finds(&["there is a file", litter]), "{litter}: {found:#?}");
        }
        assert_eq!(found.len(), 8, "{found:#?}");
    }
}
