//! How the addon is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Node unloads an addon when a worker thread ends; Rust's thread-locals would then point into nothing.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
