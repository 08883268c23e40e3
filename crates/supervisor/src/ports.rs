//! The ports of a lab: which it uses, and who holds one that is taken.

use std::{
    collections::BTreeMap,
    io,
    net::{TcpListener, TcpStream},
    ops::Range,
    process::Command,
};

use anyhow::{Result, bail};
pub use lab_client::state::{
    ACCOUNT_API, PORTS_FILE, Ports, TEMPORAL, TEMPORAL_HTTP, TEMPORAL_UI, TRANSFER_WEB,
};

use checkout::project::Project;

/// A port that a lab listens on.
pub struct PortRow {
    /// Its name in the lab's files.
    pub name: &'static str,
    /// Where it is when nobody says otherwise; `None` for wherever there is room.
    pub default: Option<u16>,
    /// The flag of `lab start` that asks for another, without its dashes.
    pub flag: Option<&'static str>,
    /// Who listens there.
    pub what: &'static str,
}

/// The ports, one a row.
pub const PORTS: &[PortRow] = &[
    PortRow { name: TEMPORAL, default: Some(7233), flag: Some("temporal-port"), what: "the Temporal server" },
    PortRow { name: TEMPORAL_UI, default: Some(8233), flag: Some("ui-port"), what: "the Temporal UI" },
    PortRow { name: TEMPORAL_HTTP, default: None, flag: None, what: "the Temporal server's HTTP API" },
    PortRow {
        name: ACCOUNT_API,
        default: Some(5050),
        flag: Some("account-api-port"),
        what: "the account API",
    },
    PortRow {
        name: TRANSFER_WEB,
        default: Some(5051),
        flag: Some("page-port"),
        what: "the page and the Money Transfer API",
    },
];

/// How far from its default a port may move.
const REACH: u16 = 200;

/// Where a port is that has no default.
const ANYWHERE: Range<u16> = 10_000..20_000;

/// The ports of the last start, to be taken again where they are free.
pub fn remembered(project: &Project) -> Ports {
    Ports::parse(&std::fs::read_to_string(project.in_lab(PORTS_FILE)).unwrap_or_default())
}

/// Chooses every port. A port that was asked for is had or an error; any other moves to the next
/// free one, and `say` is told.
pub fn choose(
    asked: &BTreeMap<&'static str, u16>,
    remembered: &Ports,
    mut say: impl FnMut(String),
) -> Result<Ports> {
    let mut chosen = BTreeMap::new();
    for row in PORTS {
        if let Some(&port) = asked.get(row.name) {
            let taken = chosen.values().any(|&other| other == port);
            let flag = row.flag.unwrap_or(row.name);
            if taken {
                bail!("port {port} cannot be {} as well; give --{flag} another one", row.what);
            }
            if !is_free(port) {
                bail!(
                    "port {port} for {} is taken by {}; end that, or give --{flag} another port",
                    row.what,
                    holder_or_unknown(port)
                );
            }
            chosen.insert(row.name.to_owned(), port);
        }
    }
    for row in PORTS {
        if chosen.contains_key(row.name) {
            continue;
        }
        let usable = |port: &u16| !chosen.values().any(|other| other == port) && is_free(*port);
        let remembered = Some(remembered.get(row.name)).filter(|&port| port != 0);
        let port = match (remembered.filter(usable), row.default) {
            (Some(port), _) => port,
            (None, None) => any_free()?,
            (None, Some(default)) => {
                let Some(port) = (default..default + REACH).find(usable) else {
                    bail!("no free port for {} between {default} and {}", row.what, default + REACH);
                };
                if port != default {
                    let who = if chosen.values().any(|&other| other == default) {
                        "another part of this lab".to_owned()
                    } else {
                        holder_or_unknown(default)
                    };
                    say(format!("port {default} is taken by {who}; {} is on {port} instead", row.what));
                }
                port
            }
        };
        chosen.insert(row.name.to_owned(), port);
    }
    Ok(Ports(chosen))
}

/// Whether a server can be started there.
pub fn is_free(port: u16) -> bool {
    let can_listen = TcpListener::bind(("127.0.0.1", port)).is_ok();
    // macOS lets a server listen on loopback beside one that listens on all addresses.
    can_listen && !(cfg!(target_os = "macos") && TcpStream::connect(("127.0.0.1", port)).is_ok())
}

/// The port of this name that a lab uses if it is free.
pub fn default_of(name: &str) -> Option<u16> {
    PORTS.iter().find(|row| row.name == name)?.default
}

/// Who listens there on `::1`, if anybody does: browsers try that first for `localhost`, and the lab listens on 127.0.0.1.
pub fn holder_on_ipv6(port: u16) -> Option<String> {
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    let taken = TcpListener::bind(("::1", port)).err().filter(is_taken);
    taken.map(|_| named(holder(port, true)))
}

/// A random free port: labs that start at one moment hardly choose the same. Not from the range out of which
/// systems give ports to whoever connects (32768 and up, or 49152), since while the server restarts its port is free.
pub fn any_free() -> Result<u16> {
    for _ in 0..100 {
        let random = fastrand::u16(..);
        let port = ANYWHERE.start + random % (ANYWHERE.end - ANYWHERE.start);
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("there is hardly a free port between {} and {}", ANYWHERE.start, ANYWHERE.end)
}

/// Who listens there, for a sentence.
pub fn holder_or_unknown(port: u16) -> String {
    named(holder(port, false))
}

fn named(holder: Option<String>) -> String {
    holder.unwrap_or_else(|| "a process that the system does not name".to_owned())
}

/// Who listens there, such as `python3 (pid 4711)`, where the system tells.
fn holder(port: u16, only_ipv6: bool) -> Option<String> {
    if cfg!(target_os = "linux") { holder_by_proc(port, only_ipv6) } else { holder_by_lsof(port, only_ipv6) }
}

/// Linux lists sockets with an inode, and what a process has open with the same one.
fn holder_by_proc(port: u16, only_ipv6: bool) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .skip(only_ipv6.into())
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| {
            table.lines().skip(1).filter_map(|line| listening_inode(line, port)).collect::<Vec<_>>()
        })
        .collect();
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = std::fs::read_dir("/proc").ok()?;
    for pid in processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let holds = files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .any(|link| links.iter().any(|socket| link.as_os_str() == socket.as_str()));
        if holds {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

/// The inode in a line of `/proc/net/tcp`, if that socket listens on the port.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
    listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
}

fn holder_by_lsof(port: u16, only_ipv6: bool) -> Option<String> {
    let sockets = format!("-i{}TCP:{port}", if only_ipv6 { "6" } else { "" });
    let output = Command::new("lsof").args(["-nP", &sockets, "-sTCP:LISTEN", "-Fpc"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |letter: char| text.lines().find_map(|line| line.strip_prefix(letter));
    Some(format!("{} (pid {})", field('c')?, field('p')?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        (listener, port)
    }

    #[test]
    fn a_port_asked_for_that_is_taken_is_an_error_that_names_its_holder() {
        let (_held, port) = listener();
        let asked = BTreeMap::from([(TEMPORAL_UI, port)]);
        let error = choose(&asked, &Ports::default(), |_| {}).expect_err("it is taken").to_string();
        for part in [port.to_string(), format!("pid {}", std::process::id()), "--ui-port".to_owned()] {
            assert!(error.contains(&part), "{error}");
        }
    }

    #[test]
    fn the_same_port_asked_for_twice_is_an_error() {
        let (held, port) = listener();
        drop(held);
        let asked = BTreeMap::from([(TEMPORAL, port), (ACCOUNT_API, port)]);
        let error = choose(&asked, &Ports::default(), |_| {}).expect_err("it is one port").to_string();
        assert!(error.contains("as well"), "{error}");
    }

    #[test]
    fn a_remembered_port_that_is_taken_is_not_used() {
        let (_held, port) = listener();
        let remembered = Ports::from_json(&json!({ TEMPORAL_HTTP: port }));
        let ports = choose(&BTreeMap::new(), &remembered, |_| {}).expect("there are others");
        assert_ne!(ports.get(TEMPORAL_HTTP), port);
        assert_eq!(Ports::from_json(&ports.to_json()), ports);
    }

    #[test]
    fn only_a_listening_socket_holds_a_port() {
        let line = "0: 0100007F:1C41 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        assert_eq!(listening_inode(line, 0x1c41).as_deref(), Some("4711"));
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 0x1c41), None);
        assert_eq!(listening_inode(line, 80), None);
    }
}
