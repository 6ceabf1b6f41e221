//! Turns the bytes of an untrusted image into thumbnails, or into the reason for its rejection. It uses no store, no
//! network, and no clock except for the deadline.
//!
//! [`thumbnail`](thumbnail::thumbnail) is the whole pipeline: [`inspect`] checks the bytes before anything is allocated
//! for them, [`decode`] is strict, and [`render`] makes every size from one decode.

mod bytes;
mod colour;
mod deadline;
pub mod decode;
mod exif;
pub mod inspect;
mod jpeg;
mod limits;
mod plan;
mod png;
mod raster;
pub mod rejection;
pub mod render;
pub mod settings;
pub mod thumbnail;
mod window;
