//! A bundle for laptops without a network: it is made, checked and installed, and cargo then needs no network.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::story::real_checkout;
use crate::support::{Checkout, outcome, rust_folders, temporal_cli};

/// A learner's laptop: no network, and empty folders over those of cargo's registry that a download fills. The unpacked sources stay,
/// because with new ones cargo would compile for minutes what is compiled here. `$1` is the registry, `$2` the folder with the empty ones,
/// `$3` the bundle, `$4` a clone.
const LAPTOP: &str = "\
set -e
ip link set lo up
mount --bind \"$2/cache\" \"$1/cache\"
mount --bind \"$2/index\" \"$1/index\"
sh \"$3/install.sh\" \"$4\"
";

fn unshare(script: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--map-root-user", "sh", "-c", script, "sh"]).args(arguments);
    command.stdin(Stdio::null());
    command
}

/// An instructor's checkout with the pinned CLI, if it is here.
fn instructor() -> Option<Checkout> {
    let cli = temporal_cli().path().to_owned();
    let pinned = cli.parent()?.parent()?;
    if !pinned.join("version").is_file() {
        return None;
    }
    let checkout = real_checkout("bundle");
    fs::create_dir_all(checkout.path(".lab/cli/bin")).expect("it can be made");
    for file in ["version", "bin/temporal"] {
        fs::copy(pinned.join(file), checkout.path(".lab/cli").join(file)).expect("it can be copied");
    }
    Some(checkout)
}

#[test]
fn a_bundle_has_all_that_cargo_needs_with_an_empty_registry_and_no_network() {
    let Some(instructor) = instructor() else {
        webtest::skip("the Temporal CLI here is not the pinned one, so a bundle would download it");
        return;
    };
    let said = instructor.run(&["prefetch", "--bundle", "lab.tar.gz", "--this-system"]).ok();
    assert!(said.contains("sh temporal-bug-lab-bundle/install.sh"), "{said}");
    let tar = |arguments: &[&str]| {
        let mut tar = Command::new("tar");
        tar.args(arguments).current_dir(&instructor.root);
        outcome(tar).ok();
    };
    tar(&["-xzf", "lab.tar.gz"]);

    // What is no bundle, and what has changed since, is refused.
    instructor.write("stray", "");
    tar(&["-cPf", "evil.tar", "temporal-bug-lab-bundle/../stray"]);
    let said = instructor.run(&["prefetch", "--from", "evil.tar"]).fails_with(1);
    assert!(said.contains("temporal-bug-lab-bundle/../stray; nothing was unpacked"), "{said}");
    let versions = instructor.read_text("temporal-bug-lab-bundle/versions");
    instructor.write("temporal-bug-lab-bundle/versions", versions.clone() + "more 1\n");
    let said = instructor.run(&["prefetch", "--from", "temporal-bug-lab-bundle"]).fails_with(1);
    assert!(said.contains("versions differs from what SHA256SUMS lists"), "{said}");
    instructor.write("temporal-bug-lab-bundle/versions", versions);
    // The bundle is no place for a checkout.
    for folder in ["temporal-bug-lab-bundle", "temporal-bug-lab-bundle/more/folders"] {
        let mut install = Command::new("sh");
        install.args(["temporal-bug-lab-bundle/install.sh", folder]).current_dir(&instructor.root);
        let said = outcome(install).fails_with(1);
        assert!(said.contains(&format!("{folder} is in the bundle; name another folder")), "{said}");
    }
    // A bundle of another system's CLI: the crates are installed, and what is missing is an error.
    let (sums, cli) = ("temporal-bug-lab-bundle/SHA256SUMS", instructor.path("temporal-bug-lab-bundle/cli"));
    let (all, aside) = (instructor.read_text(sums), instructor.path("cli"));
    let without: Vec<&str> = all.lines().filter(|line| !line.contains("  cli/")).collect();
    instructor.write(sums, without.join("\n"));
    fs::rename(&cli, &aside).expect("it is there");
    fs::remove_dir_all(instructor.path(".lab/cli")).expect("it is there");
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).filter(|folder| !folder.join("temporal").exists());
    let mut install = instructor.xtask(&["prefetch", "--from", "temporal-bug-lab-bundle"]);
    install.env_remove("BUGLAB_TEMPORAL_CLI").env("PATH", env::join_paths(others).expect("it was joined"));
    let said = outcome(install).fails_with(1);
    assert!(said.contains("the bundle has no Temporal CLI for "), "{said}");
    fs::rename(&aside, &cli).expect("it is there");
    instructor.write(sums, all);
    // As macOS does when somebody looks at the stick.
    instructor.write("temporal-bug-lab-bundle/._versions", "");

    let can = outcome(unshare("ip link set lo up && mount --bind /tmp /tmp", &[]));
    if can.code != Some(0) {
        webtest::skip(&format!("a laptop needs Linux, unshare, ip and the right to use them: {can:?}"));
        return;
    }
    // The learner's clone has what cargo has compiled here, to save the time.
    let learner = real_checkout("bundle-learner");
    let [(_, cargo_home), _] = rust_folders();
    let registry = PathBuf::from(cargo_home).join("registry");
    let (empty, bundle) = (learner.path("registry"), instructor.path("temporal-bug-lab-bundle"));
    for folder in ["cache", "index"] {
        fs::create_dir_all(empty.join(folder)).expect("it can be made");
    }
    let mut laptop = unshare(LAPTOP, &[&registry, &empty, &bundle, &learner.root]);
    learner.prepare(&mut laptop);
    laptop.env_remove("BUGLAB_TEMPORAL_CLI").env_remove("CARGO").env_remove("CARGO_MANIFEST_DIR");
    let said = outcome(laptop).ok();
    assert!(said.contains("the lab now starts without a network"), "{said}");
    let indexes = fs::read_dir(empty.join("cache")).expect("it is there").count();
    assert!(indexes == 1 && learner.path(".lab/cli/bin/temporal").is_file());
}
