//! libwebp's encoder: the one piece of C in the processor. It receives only rendered pixels, never an upload's bytes.
//!
//! This is a separate crate so that all others can forbid unsafe code. Its invariants: the buffers that libwebp reads
//! have the sizes that it is given, which are checked first, and are borrowed for the call. It writes into a `Vec`
//! through a pointer that lives as long as the call.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::panic::AssertUnwindSafe;

use libwebp_sys::{
    WebPConfig, WebPEncode, WebPEncodingError, WebPPicture, WebPPictureFree, WebPPictureImportRGB,
    WebPPictureImportRGBA,
};

/// The pixels to encode: rows without gaps.
#[derive(Clone, Copy, Debug)]
pub enum Picture<'a> {
    /// Three bytes per pixel.
    Rgb(&'a [u8]),
    /// Four bytes per pixel, with colours not premultiplied.
    Rgba(&'a [u8]),
    /// Luma of full size, Cb and Cr of half, rounded up. The range is limited (RFC 6386 §9.2): luma from 16 to 235,
    /// colour from 16 to 240.
    Yuv(&'a [u8], &'a [u8], &'a [u8]),
}

/// The settings of the encoder.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// 0 to 100.
    pub quality: u8,
    /// 0 is fastest, 6 makes the smallest files.
    pub method: u8,
    /// How strongly bits are moved away from detail that is hard to see, 0 to 100 (`-sns`; libwebp's default is 50).
    pub noise_shaping: u8,
}

/// Why encoding failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// `go_on` returned false.
    Stopped,
    /// The buffers do not match the picture's size, or a side exceeds 16383.
    Size,
    /// An error of libwebp: out of memory, or more than the format can hold.
    Encoder(WebPEncodingError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was stopped"),
            Self::Size => f.write_str("the picture does not have the expected size"),
            Self::Encoder(error) => write!(f, "libwebp: {error:?}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Encodes a picture lossily. `go_on` is called from time to time, and can cancel.
pub fn encode(
    picture: Picture<'_>,
    (width, height): (u32, u32),
    options: Options,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<u8>, Failure> {
    const INVALID: Failure =
        Failure::Encoder(WebPEncodingError::VP8_ENC_ERROR_INVALID_CONFIGURATION);
    let mut config = WebPConfig::new().map_err(|()| INVALID)?;
    config.quality = f32::from(options.quality);
    config.method = options.method.into();
    config.sns_strength = options.noise_shaping.into();
    let mut target = Target(WebPPicture::new().map_err(|()| INVALID)?);
    let mut sink = Sink {
        file: Vec::new(),
        go_on,
    };
    target.0.writer = Some(write);
    target.0.progress_hook = Some(progress);
    target.0.custom_ptr = (&raw mut sink).cast::<c_void>();
    target.0.width = side(width)?;
    target.0.height = side(height)?;
    match picture {
        Picture::Rgb(data) => target.import(WebPPictureImportRGB, data, 3)?,
        Picture::Rgba(data) => target.import(WebPPictureImportRGBA, data, 4)?,
        Picture::Yuv(y, u, v) => target.lend(y, u, v)?,
    }
    // SAFETY: `config` and the picture are initialised. The picture's planes are its own, or lent by `picture` and long
    // enough. `sink` outlives the call, and the callbacks run only within it.
    let is_done = unsafe { WebPEncode(&raw const config, &raw mut target.0) != 0 };
    match target.0.error_code {
        _ if is_done => Ok(sink.file),
        WebPEncodingError::VP8_ENC_ERROR_USER_ABORT => Err(Failure::Stopped),
        code => Err(Failure::Encoder(code)),
    }
}

/// The state for libwebp's callbacks.
struct Sink<'a> {
    file: Vec<u8>,
    go_on: &'a mut dyn FnMut() -> bool,
}

/// A picture allocated by libwebp, freed on drop.
struct Target(WebPPicture);

impl Drop for Target {
    fn drop(&mut self) {
        // SAFETY: it was initialised. Only what libwebp allocated is freed: lent planes are not.
        unsafe { WebPPictureFree(&raw mut self.0) }
    }
}

impl Target {
    fn import(
        &mut self,
        import: unsafe extern "C" fn(*mut WebPPicture, *const u8, c_int) -> c_int,
        data: &[u8],
        channels: c_int,
    ) -> Result<(), Failure> {
        let stride = self.0.width * channels;
        check(data, stride, self.0.height)?;
        // SAFETY: the buffer holds as many rows of `stride` bytes as the picture has.
        if unsafe { import(&raw mut self.0, data.as_ptr(), stride) } == 0 {
            return Err(Failure::Encoder(self.0.error_code));
        }
        Ok(())
    }

    /// Lends planes to libwebp. It does not write to a picture without alpha, although its pointers are mutable.
    fn lend(&mut self, y: &[u8], u: &[u8], v: &[u8]) -> Result<(), Failure> {
        let chroma = |side: c_int| (side + 1) / 2;
        let (width, height) = (self.0.width, self.0.height);
        check(y, width, height)?;
        check(u, chroma(width), chroma(height))?;
        check(v, chroma(width), chroma(height))?;
        self.0.y_stride = width;
        self.0.uv_stride = chroma(width);
        self.0.y = y.as_ptr().cast_mut();
        self.0.u = u.as_ptr().cast_mut();
        self.0.v = v.as_ptr().cast_mut();
        Ok(())
    }
}

fn check(data: &[u8], stride: c_int, rows: c_int) -> Result<(), Failure> {
    let expected = i64::from(stride) * i64::from(rows);
    if i64::try_from(data.len()) == Ok(expected) {
        Ok(())
    } else {
        Err(Failure::Size)
    }
}

/// A side that WebP supports (14 bits), so that products of sides cannot overflow.
fn side(side: u32) -> Result<c_int, Failure> {
    match c_int::try_from(side) {
        Ok(side @ 1..=16_383) => Ok(side),
        _ => Err(Failure::Size),
    }
}

/// Receives a piece of the file.
extern "C" fn write(data: *const u8, size: usize, picture: *const WebPPicture) -> c_int {
    if size > 0 {
        // SAFETY: libwebp passes the same picture, whose `custom_ptr` is the sink, and `size` bytes.
        unsafe {
            let sink = &mut *(*picture).custom_ptr.cast::<Sink<'_>>();
            sink.file
                .extend_from_slice(std::slice::from_raw_parts(data, size));
        }
    }
    1
}

/// Asks whether to continue.
extern "C" fn progress(_percent: c_int, picture: *const WebPPicture) -> c_int {
    // SAFETY: as in `write`.
    let sink = unsafe { &mut *(*picture).custom_ptr.cast::<Sink<'_>>() };
    // A panic must not unwind into C: it counts as a cancellation.
    let go_on = std::panic::catch_unwind(AssertUnwindSafe(|| (sink.go_on)()));
    c_int::from(go_on.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options {
        quality: 80,
        method: 2,
        noise_shaping: 50,
    };

    #[test]
    fn buffers_of_another_size_are_refused() {
        let encode = |picture, size| encode(picture, size, OPTIONS, &mut || true);
        let (luma, chroma) = (&[99; 15][..], &[128; 6][..]);
        for (picture, size, is_right) in [
            (Picture::Rgb(&[9; 45]), (3, 5), true),
            (Picture::Rgb(&[9; 44]), (3, 5), false),
            (Picture::Rgba(&[9; 60]), (3, 5), true),
            (Picture::Rgba(&[9; 61]), (3, 5), false),
            (Picture::Yuv(luma, chroma, chroma), (3, 5), true),
            (Picture::Yuv(luma, chroma, &[128; 5]), (3, 5), false),
            (Picture::Yuv(luma, &[128; 7], chroma), (3, 5), false),
            (Picture::Rgb(&[]), (0, 5), false),
            (Picture::Rgb(&vec![9; 3 * 16_384]), (16_384, 1), false),
        ] {
            let file = encode(picture, size);
            assert_eq!(file.is_ok(), is_right, "{picture:?}");
            match file {
                Ok(file) => assert!(file.starts_with(b"RIFF")),
                Err(failure) => assert_eq!(failure, Failure::Size),
            }
        }
    }

    #[test]
    fn encoding_can_be_cancelled() {
        let data = vec![9; 3 * 256 * 256];
        let mut asked = 0;
        let stopped = encode(Picture::Rgb(&data), (256, 256), OPTIONS, &mut || {
            asked += 1;
            asked < 3
        });
        assert_eq!((stopped, asked), (Err(Failure::Stopped), 3));
    }
}
