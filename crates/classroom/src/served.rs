//! The class served from this checkout: `class/served.json` in the lab's folder.

use std::{
    fs::{self, File, OpenOptions},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::addresses;
use checkout::project::{Project, make_private, open_private};
use supervisor::process::{self, Identity};

/// The file of the class, in the lab's folder.
const FILE: &str = "class/served.json";

/// The addresses of a served class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The process that serves it.
    pub by: Identity,
    /// The host at which this machine reaches it.
    pub host: String,
    /// The server's gRPC port.
    pub port: u16,
    /// The port of its UI.
    pub ui_port: u16,
    /// The port of its HTTP API.
    pub http_port: u16,
}

impl Served {
    /// The class currently served from this checkout.
    pub fn find(project: &Project) -> Option<Served> {
        Served::left(project).filter(|served| process::is_alive(&served.by))
    }

    /// The class that is served now, or was until its process was killed.
    pub fn left(project: &Project) -> Option<Served> {
        Served::parse(&fs::read_to_string(file(project)).ok()?)
    }

    fn parse(text: &str) -> Option<Served> {
        let value: Value = serde_json::from_str(text).ok()?;
        let port = |name: &str| u16::try_from(value[name].as_u64()?).ok();
        Some(Served {
            by: Identity::from_json(&value["by"])?,
            host: value["host"].as_str()?.to_owned(),
            port: port("port")?,
            ui_port: port("ui_port")?,
            http_port: port("http_port")?,
        })
    }

    /// Writes the file, readable only by this user.
    pub fn write(&self, project: &Project) -> Result<()> {
        let content = json!({
            "by": self.by.to_json(),
            "host": self.host,
            "port": self.port,
            "ui_port": self.ui_port,
            "http_port": self.http_port,
        });
        project.write_json(FILE, &content)
    }

    /// `host:port` of its gRPC.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URL of its HTTP API, reachable only from this machine.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The URL of its UI.
    pub fn ui(&self) -> String {
        format!("http://{}:{}", self.host, self.ui_port)
    }
}

/// The folder of a class, accessible only to this user.
pub fn folder(project: &Project) -> Result<PathBuf> {
    project.make_lab()?;
    let folder = project.in_lab("class");
    make_private(&folder).with_context(|| format!("could not create the folder {}", folder.display()))?;
    Ok(folder)
}

/// Takes the lock that the process serving a class holds while it runs.
pub fn lock(project: &Project) -> Result<File> {
    let path = folder(project)?.join("lock");
    let lock = open_private(&path, OpenOptions::new().write(true))
        .with_context(|| format!("could not open {}", path.display()))?;
    if files::lock_within(&lock, Duration::ZERO)
        .with_context(|| format!("could not lock {}", path.display()))?
    {
        files::clear_scratch(&file(project));
        return Ok(lock);
    }
    match Served::find(project) {
        Some(served) => bail!(
            "this checkout already serves a class, at {} (pid {}); end it with Ctrl-C in its terminal",
            served.address(),
            served.by.pid
        ),
        None => bail!("this checkout is already starting a class"),
    }
}

/// Removes the file when the class has ended.
pub fn forget(project: &Project) {
    let _ = fs::remove_file(file(project));
}

/// The host at which this machine reaches a server with this bind address.
pub fn own_host(bound: std::net::IpAddr) -> String {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    addresses::host(match bound {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    })
}

fn file(project: &Project) -> PathBuf {
    project.in_lab(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_class_is_found_while_its_process_runs() {
        let root = std::env::temp_dir().join(format!("xtask-served-{}", std::process::id()));
        let project = Project { root: root.clone(), lab: root.join(".lab") };
        folder(&project).expect("temporary folders can be made");
        let by = process::identify(std::process::id()).expect("this test is alive");
        let served = Served { by, host: "[::1]".to_owned(), port: 1, ui_port: 2, http_port: 3 };
        served.write(&project).expect("it can be written");
        assert_eq!(Served::find(&project), Some(served.clone()));
        assert_eq!(
            (served.address(), served.http()),
            ("[::1]:1".to_owned(), "http://127.0.0.1:3".to_owned())
        );
        let gone = Served { by: Identity { started: "once".to_owned(), ..served.by.clone() }, ..served };
        gone.write(&project).expect("it can be written");
        assert_eq!((Served::find(&project), Served::left(&project)), (None, Some(gone)));
        forget(&project);
        assert_eq!(Served::left(&project), None);
        fs::remove_dir_all(root).expect("it is there");
    }

    #[test]
    fn only_one_class_is_served_at_a_time() {
        let root = std::env::temp_dir().join(format!("xtask-served-lock-{}", std::process::id()));
        let project = Project { root: root.clone(), lab: root.join(".lab") };
        let held = lock(&project).expect("nobody has it");
        assert!(lock(&project).expect_err("it is held").to_string().contains("already"));
        drop(held);
        lock(&project).expect("nobody has it");
        fs::remove_dir_all(root).expect("it is there");
    }
}
