//! A proxy in front of the board.

use std::net::SocketAddr;

use contract::PUBLIC_HOSTS_VARIABLE;
use testbed::{Testbed, free_port};
use webtest::ask;

use crate::support::{Program, Start};

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_open_at_the_names_of_its_own_port_and_no_others() {
    let testbed = Testbed::start().await;
    let port = free_port();
    let hosts = format!("{port}=board.example.com, x-5051.app.example, lab.example.com");
    let gateway = Program::start(Start {
        flags: &["--address", testbed.server_address(), "--board", "--http-port", &port.to_string()],
        environment: &[(PUBLIC_HOSTS_VARIABLE, &hosts)],
    })
    .await;
    let address: SocketAddr = gateway.http.trim_start_matches("http://").parse().expect("an address");
    let status =
        |request_line: &str, headers: &[(&str, &str)]| ask(address, request_line, headers, "").status;
    let host = ("Host", "board.example.com");
    for own in [&[host][..], &[("Host", "localhost"), ("X-Forwarded-Host", "board.example.com")]] {
        assert_eq!(status("GET /", own), 200, "{own:?}");
        for path in ["/board.json", "/wall", "/wall.json"] {
            assert_eq!(status(&format!("GET {path}"), own), 200, "{path} {own:?}");
        }
    }
    for other in ["x-5051.app.example", "lab.example.com", "rebound.example.com"] {
        assert_eq!(status("GET /", &[("Host", other)]), 421, "{other}");
        assert_eq!(status("GET /", &[("Host", "localhost"), ("X-Forwarded-Host", other)]), 421, "{other}");
    }
    let page = [host, ("Origin", "https://lab.example.com")];
    for path in
        ["/api/v1/namespaces/default/workflows/forged", "/board/coming", "/board/announcement", "/board/open"]
    {
        assert_eq!(status(&format!("POST {path}"), &page), 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_list_is_an_error_that_names_the_variable() {
    let environment = [(PUBLIC_HOSTS_VARIABLE, "*.app.example")];
    let start = Start { flags: &["--address", "127.0.0.1:1"], environment: &environment };
    let said = Program::try_start(start).await.err().expect("it does not start");
    assert!(said.contains("BUGLAB_PUBLIC_HOSTS has \"*.app.example\""), "{said}");
}
