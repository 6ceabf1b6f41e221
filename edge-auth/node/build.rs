//! Linker settings of the addon.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Node unloads an addon when a worker thread ends; Rust's thread-locals would then be dangling pointers.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
