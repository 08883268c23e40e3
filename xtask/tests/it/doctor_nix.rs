//! What `doctor` says to those who use Nix.

use crate::support::{Checkout, outcome, path_with};

#[test]
fn doctor_names_a_folder_that_nix_would_copy_whole_and_a_shell_without_nixs_rust() {
    let checkout = Checkout::without_server("doctor-nix");
    checkout.write_program("bin-of-nix/nix", "#!/bin/sh\n");
    checkout.write_program("bin-of-others/cargo", "#!/bin/sh\necho cargo 1.95.0\n");
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let remedies = |in_shell: bool| -> Vec<String> {
        let mut command = checkout.xtask(&["doctor", "--json"]);
        let [nix, cargo] = ["bin-of-nix", "bin-of-others"].map(|folder| checkout.path(folder));
        command.env("PATH", path_with(nix, &path_with(cargo, &path)));
        command.env_remove("IN_NIX_SHELL").envs(in_shell.then_some(("IN_NIX_SHELL", "impure")));
        let rows = outcome(command).findings_of("nix").into_iter().filter(|row| row["state"] == "note");
        rows.map(|row| row["remedy"].as_str().expect("it has one").to_owned()).collect()
    };
    assert_eq!(remedies(false), ["for Nix, in this folder: git init && git add --all"]);
    checkout.write(".git/HEAD", "");
    assert_eq!(remedies(false), [""; 0]);
    let in_shell = remedies(true);
    assert!(in_shell.len() == 1 && in_shell[0].contains("append that folder to PATH"), "{in_shell:?}");
}
