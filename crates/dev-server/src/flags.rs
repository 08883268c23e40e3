//! The flags of a dev server of the Temporal CLI.

use std::{ffi::OsString, net::Ipv4Addr};

use crate::{
    command::Cli,
    settings::{self, Audience},
};

/// The database file of a server that keeps its state, in its working directory. The name is relative, because the server builds a
/// URL from it, in which some characters of a path have a special meaning.
pub const DATABASE: &str = "temporal.db";

/// SQLite settings of the server. A killed server loses nothing, because the system has its writes. A power cut may damage the file;
/// a lab then starts with a new one. They halve the time of a first start.
const SQLITE: [&str; 2] = ["journal_mode=wal", "synchronous=off"];

/// Whether a server that did not start says in these lines of its log that it cannot read its database.
pub fn is_unreadable_database(log: &[String]) -> bool {
    let words = ["file is not a database", "malformed", "SQL logic error", "unable to create SQLite"];
    log.iter().any(|line| words.iter().any(|word| line.contains(word)))
}

/// A dev server of the Temporal CLI: for a lab, a class or a test.
#[derive(Clone, Debug, Default)]
pub struct DevServer {
    /// Its gRPC port; all ports are on 127.0.0.1.
    pub port: u16,
    /// The port of its UI; `None` for no UI.
    pub ui_port: Option<u16>,
    /// The port of its HTTP API.
    pub http_port: u16,
    /// The file for its state, such as [`DATABASE`]; `None` to keep it in memory.
    pub database: Option<&'static str>,
    /// Additional dynamic configuration: [`for_a_class`](crate::for_a_class), or a test's, such as `frontend.namespaceRPS=100`.
    pub settings: Vec<String>,
}

impl DevServer {
    /// Its arguments for this CLI.
    pub fn arguments(&self, cli: &Cli) -> Vec<OsString> {
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
        // It warns about its own connections at every stop.
        flag("--log-level", "error".to_owned());
        for attribute in contract::SEARCH_ATTRIBUTES {
            flag("--search-attribute", format!("{attribute}=Keyword"));
        }
        for value in settings::of(Audience::Everyone, self.http_port).chain(self.settings.iter().cloned()) {
            flag("--dynamic-config-value", value);
        }
        match self.ui_port {
            Some(_) => arguments.extend(cli.newer_flags().map(str::to_owned)),
            None => arguments.push("--headless".to_owned()),
        }
        arguments.into_iter().map(OsString::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(server: &DevServer) -> String {
        words_for(server, &Cli::at("temporal"))
    }

    fn words_for(server: &DevServer, cli: &Cli) -> String {
        let arguments = server.arguments(cli);
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

    #[test]
    fn a_flag_of_newer_versions_is_given_only_to_a_cli_that_has_it() {
        let server = DevServer { ui_port: Some(3), ..DevServer::default() };
        let newer = Cli::at("temporal").with_server_help("  --ui-disable-news-fetch   Disable the newsfeed");
        let older = Cli::at("temporal").with_server_help("  --ui-asset-path string");
        assert!(words_for(&server, &newer).contains("--ui-disable-news-fetch"));
        assert!(!words_for(&server, &older).contains("--ui-disable-news-fetch"));
    }
}
