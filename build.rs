//! What the linker is told besides: to need nothing but glibc, and as little memory for the program itself as it lets us.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // What unwinds the stack: a shared `libgcc_s.so.1` would be loaded for backtraces alone, and takes 150 KiB. By its
    // file name and as if it were a shared library: so it comes before the standard library's `-lgcc_s`, for which
    // nothing is left to do, and the C compiler finds it among its own.
    println!("cargo::rustc-link-lib=dylib:+verbatim=libgcc_eh.a");
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
    let asked = Command::new("cc").arg("-print-file-name=libc.so.6").output().ok()?;
    let library = std::fs::read(String::from_utf8(asked.stdout).ok()?.trim()).ok()?;
    Some(library.windows(VERSION.len()).any(|window| window == VERSION))
}
