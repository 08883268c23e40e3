//! The transfer without Temporal, with the real bank and the real program.

use std::{env, fs, process::Command};

use crate::support::outcome;

#[test]
fn a_killed_plain_transfer_loses_the_money_and_its_rerun_withdraws_twice() {
    let folder = env::temp_dir().join(format!("xtask-it-without-temporal-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("temporary files can be written");
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("without-temporal").args(words).env("NO_COLOR", "1").env("TMPDIR", &folder);
        outcome(command)
    };
    let report = run(&["--json"]).json();
    let balances = |moment: usize| {
        let balances = &report["moments"][moment]["balances"];
        ["account_A", "account_B"].map(|account| balances[account].as_f64().unwrap_or_default())
    };
    assert_eq!(
        [balances(0), balances(1), balances(2)],
        [[1000.0, 500.0], [974.5, 500.0], [949.0, 525.5]],
        "{report}"
    );
    assert_eq!((&report["withdrawals"], &report["deposits"]), (&2.into(), &1.into()), "{report}");

    let said = run(&[]).ok();
    for part in ["25.50 is in no account", "withdrawn twice, deposited once", "lab/01-jerry.md"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // Neither the ledger nor anything that keeps its folder in use is left.
    fs::remove_dir(&folder).expect("its temporary folder is empty again");
}
