//! The form of requests: paths, methods, bodies, and where they come from.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Client, bank};

#[tokio::test]
async fn an_unknown_path_is_not_found_and_no_final_refusal() {
    let bank = bank().await;
    for path in ["/", "/account", "/accounts/", "/accounts/account_A/", "/accounts/account_A/steal"] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = bank.ask(method, path).send().await;
            assert_eq!(answer.refusal(), (404, None), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let bank = bank().await;
    for body in ["", "amount=25.5", "{", "[25.5]", "25.5", "null", "\"amount\"", "{\"amount\": 1} x"] {
        for (method, path) in [
            ("POST", "/accounts/account_A/withdraw"),
            ("POST", "/accounts/account_A/deposit"),
            ("PUT", "/real-world-mode"),
            ("PUT", "/outage"),
        ] {
            let answer = bank.ask(method, path).body(body).send().await;
            assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{method} {path} {body}");
        }
    }
    let answer =
        bank.ask("POST", "/accounts/account_A/deposit").body(r#"{"amount": 1, "amount": 1000}"#).send().await;
    assert_eq!(answer.refusal(), (400, Some("BadRequest")));
    let answer = bank.ask("POST", "/accounts/account_A/deposit").body(b"{\"amount\": \xff}".to_vec()).send();
    assert_eq!(answer.await.refusal(), (400, Some("BadRequest")));
    assert_eq!(bank.total_cents().await, 795_000);
}

#[tokio::test]
async fn invalid_utf_8_moves_no_money_and_changes_no_setting() {
    let bank = bank().await;
    for (method, path, fields) in [
        ("POST", "/accounts/account_A/withdraw", r#""amount": 1"#),
        ("POST", "/accounts/account_A/deposit", r#""amount": 1"#),
        ("PUT", "/real-world-mode", r#""enabled": true"#),
        ("PUT", "/outage", r#""deposits": true"#),
    ] {
        for ignored in [&b"\"note\": \"\xff\""[..], b"\"\xff\": 1", b"\"note\": [{\"a\": \"\xc3\"}]"] {
            let body = [b"{", fields.as_bytes(), b", ", ignored, b"}"].concat();
            let answer = bank.ask(method, path).body(body).send().await;
            assert_eq!(answer.refusal(), (400, Some("BadRequest")), "{method} {path} {ignored:?}");
            assert!(answer.error().contains("must be UTF-8"), "{}", answer.error());
        }
    }
    assert_eq!(bank.total_cents().await, 795_000);
    assert_eq!(bank.get("/real-world-mode").await.json["enabled"], false);
    assert_eq!(bank.get("/outage").await.json["deposits"], false);
}

#[tokio::test]
async fn a_body_is_json_whatever_its_content_type_says() {
    let bank = bank().await;
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "nonsense"] {
        let ask = bank.deposit("account_B", 1.0).header("Content-Type", content_type);
        assert_eq!(ask.send().await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_may_have_sixteen_kibibytes_and_no_more() {
    let bank = bank().await;
    let padded = |length: usize| r#"{"amount": 1}"#.to_owned() + &" ".repeat(length - 13);
    for (length, status) in [(16 * 1024, 200), (16 * 1024 + 1, 413), (1024 * 1024, 413)] {
        let ask = bank.ask("POST", "/accounts/account_B/deposit").body(padded(length));
        assert_eq!(ask.send().await.status, status, "{length}");
    }
    assert_eq!(bank.balance("account_B").await, 501.0);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_move_money() {
    let bank = bank().await;
    for origin in ["https://example.com", "http://127.0.0.1.example.com", "null", "nonsense"] {
        let answer = bank.deposit("account_B", 1.0).header("Origin", origin).send().await;
        assert_eq!(answer.refusal(), (403, None), "{origin}");
        assert_eq!(bank.ask("GET", "/nowhere").header("Origin", origin).send().await.status, 403);
    }
    for origin in ["http://localhost:5051", "http://127.0.0.1:5051", "http://[::1]:1"] {
        let answer = bank.deposit("account_B", 1.0).header("Origin", origin).send().await;
        assert_eq!(answer.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn a_name_that_only_points_to_this_machine_is_refused() {
    let bank = bank().await;
    for host in ["rebound.example.com", "rebound.example.com:5050", "0.0.0.0", "localhost.evil", "a b"] {
        let answer = bank.deposit("account_B", 1.0).header("Host", host).send().await;
        assert_eq!(answer.refusal(), (421, None), "{host}");
    }
    let forwarded =
        bank.deposit("account_B", 1.0).header("X-Forwarded-Host", "x-5050.app.example").send().await;
    assert_eq!(forwarded.refusal(), (421, None));
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:5050", "[::1]:5050"] {
        let answer = bank.deposit("account_B", 1.0).header("Host", host).send().await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_http_do_not_stop_the_bank() {
    let bank = bank().await;
    let url = bank.url.clone();
    tokio::task::spawn_blocking(move || {
        for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0", b"\r\n\r\n\r\n"] {
            let mut stream = connect(&url);
            stream.write_all(bytes).expect("a connection");
            stream.shutdown(std::net::Shutdown::Write).expect("a connection");
            // Whatever it says, it hangs up.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    })
    .await
    .expect("no panic");
    assert_eq!(bank.get("/health").await.json, serde_json::json!({"status": "healthy"}));
}

#[tokio::test]
async fn half_a_body_is_no_deposit() {
    let bank = bank().await;
    let url = bank.url.clone();
    tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        let head = "POST /accounts/account_B/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99";
        write!(stream, "{head}\r\n\r\n{{\"amount\": 1}}").expect("a connection");
        stream.shutdown(std::net::Shutdown::Write).expect("a connection");
        let _ = stream.read_to_end(&mut Vec::new());
    })
    .await
    .expect("no panic");
    assert_eq!(bank.balance("account_B").await, 500.0);
}

fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("a plain URL");
    TcpStream::connect(address).expect("a connection")
}

#[tokio::test]
async fn a_hundred_connections_at_once_are_all_answered() {
    let bank = bank().await;
    let asks = (0..100).map(|_| async {
        // A client of its own is a connection of its own.
        Client::new(&bank.url).deposit("account_B", 0.01).send().await.status
    });
    let statuses = futures::future::join_all(asks).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(bank.balance("account_B").await, 501.0);
}
