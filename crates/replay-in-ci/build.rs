//! Copies the descriptors of Temporal's API, which the SDK's build makes: by them tests/replay.rs reads what the Temporal CLI exports.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let made = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")
        .expect("temporalio-protos tells where it has put its descriptors");
    println!("cargo:rerun-if-changed={made}");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy(&made, Path::new(&out).join("descriptors.bin")).expect("a file that was made can be copied");
}
