//! What the linker is told beside what Cargo tells it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // Half a megabyte of places that are to be moved at a start becomes a few kilobytes, neither of which need stay in
        // memory. glibc reads these from 2.36 on.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
