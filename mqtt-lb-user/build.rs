//! Hands the eBPF object to the crate as `$OUT_DIR/mqtt-lb.bpf.o`.
//!
//! The object needs a compiler and a linker of its own, so `cargo xtask build`
//! makes it and says in `MQTT_LB_EBPF_OBJ` where it is. Without the variable the
//! file is empty: everything compiles, and the program says at run time that it
//! has no kernel half.

use std::path::PathBuf;
use std::{env, fs, io};

const VARIABLE: &str = "MQTT_LB_EBPF_OBJ";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("mqtt-lb.bpf.o");
    let Some(object) = env::var_os(VARIABLE).map(PathBuf::from) else {
        println!(
            "cargo::warning=built without the kernel half: only the copy data path will work. \
             `cargo xtask setup && cargo xtask build` builds both halves"
        );
        return fs::write(out, []);
    };
    println!("cargo::rerun-if-changed={}", object.display());
    if let Err(error) = fs::copy(&object, out) {
        println!(
            "cargo::error={VARIABLE} names {}: {error}",
            object.display()
        );
    }
    Ok(())
}
