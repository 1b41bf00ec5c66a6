//! What the linker is told besides: to need nothing but glibc, and as little memory for the program itself as it lets us.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    let target = variable("TARGET").to_uppercase().replace('-', "_");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_{target}_LINKER");
    // What unwinds the stack: a shared `libgcc_s.so.1` would be loaded for backtraces alone, and takes 150 KiB. By its
    // file name and as if it were a shared library: so it comes before the standard library's `-lgcc_s`, for which
    // nothing is left to do, and the C compiler finds it among its own. A linker without that file brings its own.
    if found("libgcc_eh.a").is_some() {
        println!("cargo::rustc-link-lib=dylib:+verbatim=libgcc_eh.a");
    }
    if packs_relocations().unwrap_or(false) {
        // Half a megabyte of addresses to adjust at the start becomes 20 KiB.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether the glibc that is linked against reads packed relocations, as it does since 2.36: an older one would not even
/// say that it cannot. The program needs that version then; built beside an older one, it needs no more than that.
fn packs_relocations() -> Option<bool> {
    const VERSION: &[u8] = b"GLIBC_ABI_DT_RELR";
    // Built for another machine, it is linked by another compiler, which is not asked.
    if std::env::var("HOST").ok()? != std::env::var("TARGET").ok()? {
        return None;
    }
    let library = std::fs::read(found("libc.so.6")?).ok()?;
    Some(library.windows(VERSION.len()).any(|window| window == VERSION))
}

/// Where what links, as a rule the C compiler, has a file of this name.
fn found(name: &str) -> Option<PathBuf> {
    let linker = std::env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let asked = Command::new(linker).arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
    // One that has none repeats the name, or says that it does not know the question.
    (asked.status.success() && path.is_absolute()).then_some(path)
}
