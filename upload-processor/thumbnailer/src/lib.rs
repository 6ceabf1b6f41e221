//! From the bytes of an untrusted image to thumbnails, or to the reason why there are none. No store, no network, and no
//! clock but a deadline.
//!
//! [`thumbnail`](thumbnail::thumbnail) is the whole way: [`inspect`] looks at the bytes before anything is allocated for
//! them, [`decode`] is strict, [`render`] makes every size from one decode.

mod colour;
pub mod decode;
pub mod inspect;
mod jpeg;
mod png;
pub mod rejection;
pub mod render;
pub mod settings;
pub mod thumbnail;
mod window;
