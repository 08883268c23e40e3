//! Copies the descriptors of Temporal's API, which the SDK's build generates from the `.proto` files.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let made = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")
        .expect("temporalio-protos exports the path of its descriptors");
    println!("cargo:rerun-if-changed={made}");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy(&made, Path::new(&out).join("descriptors.bin")).expect("the descriptors can be copied");
}
