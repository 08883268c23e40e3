//! The flags of a dev server of the Temporal CLI.

use std::{ffi::OsString, net::Ipv4Addr};

use crate::settings::{self, Audience};

/// The database of a server that keeps its state, in the folder that it is started in. It is named relative to that: the
/// server makes a URL of the name, in which a path may hold what means something else.
pub const DATABASE: &str = "temporal.db";

/// How the server's database is kept. A killed server loses nothing by this, since the system has what it wrote. A power cut
/// may damage the file, which a lab can bear: it starts anew. It saves half of the time of a first start.
const SQLITE: [&str; 2] = ["journal_mode=wal", "synchronous=off"];

/// A dev server of the Temporal CLI: a lab's own, that of a class, or a test's.
#[derive(Clone, Debug, Default)]
pub struct DevServer {
    /// Its gRPC port, on 127.0.0.1 as the others.
    pub port: u16,
    /// The port of its UI; `None` for a server without one.
    pub ui_port: Option<u16>,
    /// The port of its HTTP API.
    pub http_port: u16,
    /// The file that keeps its state, such as [`DATABASE`]; `None` to keep it in memory.
    pub database: Option<&'static str>,
    /// What its dynamic configuration has beside what every server has: [`for_a_class`](crate::for_a_class), or a test's own,
    /// such as `frontend.namespaceRPS=100`.
    pub settings: Vec<String>,
}

impl DevServer {
    /// Its arguments.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<String> = ["server", "start-dev"].map(str::to_owned).into();
        let mut flag = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        flag("--ip", Ipv4Addr::LOCALHOST.to_string());
        flag("--port", self.port.to_string());
        if let Some(port) = self.ui_port {
            flag("--ui-port", port.to_string());
        }
        flag("--http-port", self.http_port.to_string());
        if let Some(database) = self.database {
            flag("--db-filename", database.to_owned());
            for pragma in SQLITE {
                flag("--sqlite-pragma", pragma.to_owned());
            }
        }
        // Its warnings are about its own connections, at every stop.
        flag("--log-level", "error".to_owned());
        for attribute in contract::SEARCH_ATTRIBUTES {
            flag("--search-attribute", format!("{attribute}=Keyword"));
        }
        for value in settings::of(Audience::Everyone, self.http_port).chain(self.settings.iter().cloned()) {
            flag("--dynamic-config-value", value);
        }
        arguments
            .push(if self.ui_port.is_some() { "--ui-disable-news-fetch" } else { "--headless" }.to_owned());
        arguments.into_iter().map(OsString::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(server: &DevServer) -> String {
        let arguments = server.arguments();
        arguments.iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_server_has_the_shared_values_and_answers_only_to_its_own_names() {
        let server =
            DevServer { port: 1, http_port: 2, settings: vec!["a.b=1".into()], ..DevServer::default() };
        let words = words(&server);
        for part in [
            r#"--dynamic-config-value history.workflowTaskRetryMaxInterval="1s""#,
            r#"--dynamic-config-value frontend.httpAllowedHosts=["127.0.0.1:2","localhost:2"]"#,
            "--dynamic-config-value a.b=1",
            "--search-attribute from_account=Keyword",
        ] {
            assert!(words.contains(part), "no {part} in {words}");
        }
        assert!(!words.contains("namespaceRPS"), "{words}");
    }

    #[test]
    fn a_server_in_memory_has_no_pragmas_and_one_without_a_ui_no_port_for_it() {
        let server = words(&DevServer::default());
        assert!(server.ends_with("--headless") && !server.contains("--ui-port"), "{server}");
        assert!(!server.contains("--sqlite-pragma") && !server.contains("--db-filename"), "{server}");
        let server = DevServer { ui_port: Some(3), database: Some(DATABASE), ..DevServer::default() };
        let server = words(&server);
        assert!(server.contains("--ui-port 3") && !server.contains("--headless"), "{server}");
        assert!(server.contains("--db-filename temporal.db --sqlite-pragma journal_mode=wal"), "{server}");
    }
}
