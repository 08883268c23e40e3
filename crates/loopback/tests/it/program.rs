//! The port and the ready file. Each program tests its signals.

use std::fs;

#[tokio::test]
async fn the_error_for_a_port_in_use_names_the_flag() {
    let taken = loopback::listen("127.0.0.1", 0, "clock").await.expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let error = loopback::listen("127.0.0.1", port, "clock").await.expect_err("it is taken").to_string();
    for part in [&format!("port {port} of 127.0.0.1 is in use"), "another clock", "--port"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn the_error_for_another_machines_address_names_the_flag() {
    // An address for documentation, which no machine has.
    let error = loopback::listen("192.0.2.1", 0, "clock").await.expect_err("not ours").to_string();
    assert!(error.contains("192.0.2.1") && error.contains("--host"), "{error}");
}

#[test]
fn the_ready_file_is_replaced_and_no_scratch_file_remains() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ready");
    for url in ["http://127.0.0.1:40000", "http://127.0.0.1:1"] {
        loopback::write_ready_file(&file, url).expect("a file");
        assert_eq!(fs::read_to_string(&file).expect("a file"), url);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn the_error_for_an_unwritable_ready_file_names_the_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nowhere/ready");
    let error = loopback::write_ready_file(&file, "http://127.0.0.1:1").expect_err("no folder");
    let error = format!("{error:#}");
    assert!(error.contains("--ready-file") && error.contains("nowhere"), "{error}");
}
