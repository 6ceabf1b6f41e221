//! The result of a format's parser: the outline of the picture, and the parts of the file that its pixels need.
//!
//! Each parser of `inspect` makes an [`Outline`]; only the decoders see the [`Essence`]. It checks nothing.

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::colour::Colours;
use crate::jpeg;
use crate::png::Stored;
use crate::rejection::Rejection;
use crate::settings::Settings;

/// A frame of an animation, which may cover only part of the canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The result of a format's parser.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    /// The estimated peak of decoding and rendering, in bytes, excluding the upload.
    pub(super) memory: u64,
    /// The colour information of the file.
    pub(super) colours: Option<Colours>,
    /// The position of the essence in the picture, if it does not fill it.
    pub(super) frame: Option<Frame>,
    /// Whether the file ends before the essence does; all pixels may still be there.
    pub(super) is_cut: bool,
    pub(super) essence: Essence<'a>,
}

/// The parts of a file that the pixels need, and nothing else.
#[derive(Debug)]
pub(crate) enum Essence<'a> {
    /// Concatenated, they form a file with the same pixels and no metadata. For JPEG this is the file itself, because
    /// its decoder reads nothing else.
    File(Vec<Cow<'a, [u8]>>),
    Png(Stored<'a>),
    /// The bitstream of a lossy WebP without alpha.
    Vp8(&'a [u8]),
}

impl Essence<'_> {
    /// Concatenates the pieces of a file.
    pub(crate) fn joined<'b>(pieces: &'b [Cow<'_, [u8]>]) -> Cow<'b, [u8]> {
        match pieces {
            [whole] => Cow::Borrowed(whole),
            pieces => Cow::Owned(pieces.concat()),
        }
    }
}

impl<'a> Outline<'a> {
    /// Reads the headers of a JPEG, which has its own parser.
    pub(super) fn of_jpeg(bytes: &'a [u8], settings: &Settings) -> Result<Self, Rejection> {
        let header = jpeg::Header::parse(bytes, settings)?;
        Ok(Self {
            width: header.width,
            height: header.height,
            orientation: header.orientation,
            memory: header.memory,
            colours: header.profile.as_deref().and_then(Colours::of_profile),
            frame: None,
            is_cut: false,
            essence: Essence::File(vec![Cow::Borrowed(bytes)]),
        })
    }
}
