//! Links what unwinds the stack into the program, which then needs nothing but glibc, and 150 KiB less memory: a shared
//! `libgcc_s.so.1` would be loaded for backtraces alone.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        // By its file name and as if it were a shared library: so it comes before the standard library's `-lgcc_s`,
        // for which nothing is left to do, and the C compiler finds it among its own.
        println!("cargo::rustc-link-lib=dylib:+verbatim=libgcc_eh.a");
    }
}
