//! The port, and the file that says a service is ready. What signals do is tested with each program.

use std::fs;

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let taken = loopback::listen("127.0.0.1", 0, "clock").await.expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let error = loopback::listen("127.0.0.1", port, "clock").await.expect_err("it is taken").to_string();
    for part in [&format!("port {port} of 127.0.0.1 is in use"), "another clock", "--port"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_named_with_its_flag() {
    // An address that no machine has: it is for documentation.
    let error = loopback::listen("192.0.2.1", 0, "clock").await.expect_err("not ours").to_string();
    assert!(error.contains("192.0.2.1") && error.contains("--host"), "{error}");
}

#[test]
fn the_ready_file_is_replaced_and_nothing_stays_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ready");
    for url in ["http://127.0.0.1:40000", "http://127.0.0.1:1"] {
        loopback::write_ready_file(&file, url).expect("a file");
        assert_eq!(fs::read_to_string(&file).expect("a file"), url);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_ready_file_that_cannot_be_written_is_named_with_its_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nowhere/ready");
    let error = loopback::write_ready_file(&file, "http://127.0.0.1:1").expect_err("no folder");
    let error = format!("{error:#}");
    assert!(error.contains("--ready-file") && error.contains("nowhere"), "{error}");
}
