//! Reads a form: its fields into memory, up to S3's limit, and then its file piece by piece. The parent calls it.
//!
//! `multer` splits the parts (RFC 7578). It reads ahead as far as its stream gives, so [`Pieces`] gives one piece at a
//! time, and fails where the fields are too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use futures::Stream;
use multer::{Field, Multipart};

use super::parameter::parameter;
use super::refusal::Refusal;
use crate::DrainOnDrop;

/// The most that S3 reads of a form before its file, in bytes: 20 KB with boundaries and part headers.
const MAX_HEAD_BYTES: u64 = 20 * 1024;
/// The bytes around a boundary and a part's header: `\r\n--`, `\r\n`, and the empty line.
const AROUND_PART: u64 = 4 + 2 + 2;

/// The fields of a form before its file: lower-case names, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// A form that is being read.
pub(super) struct FormReader {
    multipart: Multipart<'static>,
    limit: Arc<Limit>,
    boundary_bytes: u64,
    /// The bytes of the form that were read so far, without the file.
    head_bytes: u64,
}

/// The part with the file, whose content was not read yet.
pub(super) struct FilePart {
    field: Field<'static>,
    /// The file's name, if the part has one.
    pub(super) name: Option<String>,
    /// The bytes of the form that are not the file's content, if the form ends with it.
    pub(super) surrounding_bytes: u64,
}

impl Fields {
    /// The value of a field; `name` in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.iter();
        fields.find_map(|(found, value)| (found == name).then_some(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Puts the file's name in the place of `${filename}`: what follows the last `/` or `\`. Without a name S3 leaves
    /// the variable as it is.
    pub(super) fn expand_file_name(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            return;
        };
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        for (_, value) in &mut self.0 {
            if value.contains("${filename}") {
                *value = value.replace("${filename}", name);
            }
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        Self(fields.map(|(n, v)| (n.into(), v.into())).collect())
    }
}

impl FormReader {
    pub(super) fn new(boundary: &str, body: DrainOnDrop) -> Self {
        let limit = Arc::new(Limit {
            max_bytes: AtomicU64::new(MAX_HEAD_BYTES),
            is_reached: AtomicBool::new(false),
        });
        let pieces = Pieces {
            body,
            n_bytes: 0,
            limit: limit.clone(),
            is_paused: false,
        };
        Self {
            multipart: Multipart::new(pieces, boundary),
            limit,
            boundary_bytes: boundary.len() as u64,
            head_bytes: 0,
        }
    }

    /// Reads up to the file; `None` where the form has none.
    pub(super) async fn read_fields(&mut self) -> Result<(Fields, Option<FilePart>), Refusal> {
        let mut fields = Fields::default();
        while let Some(field) = self.multipart.next_field().await.map_err(refusal_of)? {
            self.head_bytes += AROUND_PART + self.boundary_bytes + header_bytes(field.headers());
            self.check_head()?;
            let disposition = field.headers().get(header::CONTENT_DISPOSITION);
            let disposition = disposition.map(|value| String::from_utf8_lossy(value.as_bytes()));
            let disposition = disposition.unwrap_or_default();
            let name = parameter(&disposition, "name").ok_or(Refusal::NotWellFormed)?;
            let name = name.to_ascii_lowercase();
            if name == "file" {
                self.limit.max_bytes.store(u64::MAX, Ordering::Relaxed);
                let file = FilePart {
                    name: parameter(&disposition, "filename"),
                    // The last boundary, with `--` and a line break after it.
                    surrounding_bytes: self.head_bytes + self.boundary_bytes + 8,
                    field,
                };
                return Ok((fields, Some(file)));
            }
            if fields.get(&name).is_some() {
                return Err(Refusal::DoubledField(name));
            }
            let value = field.bytes().await.map_err(refusal_of)?;
            self.head_bytes += value.len() as u64;
            self.check_head()?;
            let value =
                String::from_utf8(value.to_vec()).map_err(|_| Refusal::NotUtf8(name.clone()))?;
            fields.0.push((name, value));
        }
        Ok((fields, None))
    }

    /// Reads the form to its end, after its file. Further parts are ignored. A form without an end is malformed: a file
    /// that is followed by anything but a boundary was not read to its own end.
    pub(super) async fn finish(mut self) -> Result<(), Refusal> {
        while let Some(mut field) = self.multipart.next_field().await.map_err(refusal_of)? {
            while field.chunk().await.map_err(refusal_of)?.is_some() {}
        }
        Ok(())
    }

    /// Must be called after each part that was found, and after each value that was read.
    fn check_head(&self) -> Result<(), Refusal> {
        self.limit.is_reached.store(false, Ordering::Relaxed);
        if self.head_bytes > MAX_HEAD_BYTES {
            return Err(Refusal::FieldsTooLong);
        }
        Ok(())
    }
}

impl FilePart {
    /// The next piece of the file's content; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.field.chunk().await.map_err(refusal_of)
    }
}

fn header_bytes(headers: &HeaderMap) -> u64 {
    let lines = headers.iter();
    // A colon, a space and a line break.
    let lengths = lines.map(|(name, value)| name.as_str().len() + value.len() + 4);
    lengths.sum::<usize>() as u64
}

fn refusal_of(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::FileTooLarge => Refusal::FieldsTooLong,
            _ => Refusal::Incomplete,
        },
        _ => Refusal::NotWellFormed,
    }
}

/// The limit on how much of a body is read.
struct Limit {
    max_bytes: AtomicU64,
    /// Whether more was requested since the last part or value was found.
    is_reached: AtomicBool,
}

/// A body's data, in the pieces in which it arrives. After each piece it pauses once, so that its reader looks at it
/// before more is read.
struct Pieces {
    body: DrainOnDrop,
    n_bytes: u64,
    limit: Arc<Limit>,
    is_paused: bool,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.is_paused) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.n_bytes >= self.limit.max_bytes.load(Ordering::Relaxed) {
            // `multer` asks once before it looks at what it has, so only the second time does it need more.
            if self.limit.is_reached.swap(true, Ordering::Relaxed) {
                return Poll::Ready(Some(Err(io::ErrorKind::FileTooLarge.into())));
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            return match polled {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are ignored.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    self.n_bytes += data.len() as u64;
                    self.is_paused = true;
                    Poll::Ready(Some(Ok(data)))
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::StreamExt as _;

    use super::*;

    const CONTENT: &str = "0\r\n--\r\n--c\r\n";

    /// Reads a form that arrives in pieces of this many bytes: the number of fields, and how often the file's content
    /// is `CONTENT`.
    async fn read(form: &[u8], piece: usize) -> Result<(usize, Option<usize>), String> {
        let pieces: Vec<_> = form.chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = futures::stream::iter(pieces).map(Ok::<_, io::Error>);
        let mut reader = FormReader::new("b", DrainOnDrop::new(Body::from_stream(body)));
        let read = async {
            let (fields, file) = reader.read_fields().await?;
            let Some(mut file) = file else {
                return Ok((fields.0.len(), None));
            };
            let mut content = Vec::new();
            while let Some(piece) = file.next().await? {
                content.extend_from_slice(&piece);
            }
            drop(file);
            reader.finish().await?;
            let n_times = content.len() / CONTENT.len();
            assert!(content == CONTENT.repeat(n_times).as_bytes());
            Ok((fields.0.len(), Some(n_times)))
        };
        read.await
            .map_err(|refusal: Refusal| refusal.status_and_code().1.to_owned())
    }

    fn part(disposition: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    }

    #[tokio::test]
    async fn a_form_is_read_in_pieces_of_any_size() {
        let field = |length: usize| part("name=\"key\"", &"v".repeat(length));
        let file = |content: &str| part("name=\"file\"; filename=\"x\"", content);
        let around =
            part("name=\"key\"", "").len() + part("name=\"file\"; filename=\"x\"", "").len();
        let most = usize::try_from(MAX_HEAD_BYTES).unwrap() - around;
        let content = CONTENT.repeat(4000);
        let end = "--b--\r\n";
        let refused = |code: &str| Err(code.to_owned());
        for (case, form, expected) in [
            (
                "a field and a file",
                field(1) + &file(&content) + end,
                Ok((1, Some(4000))),
            ),
            (
                "the most fields",
                field(most) + &file(&content) + end,
                Ok((1, Some(4000))),
            ),
            (
                "one byte more",
                field(most + 1) + &file(&content) + end,
                refused("MaxPostPreDataLengthExceeded"),
            ),
            (
                "fields without end",
                field(1 << 20),
                refused("MaxPostPreDataLengthExceeded"),
            ),
            (
                "a preamble without end",
                "x".repeat(1 << 20),
                refused("MaxPostPreDataLengthExceeded"),
            ),
            ("no file", field(1) + end, Ok((1, None))),
            (
                "a field twice",
                field(1) + &field(1) + &file("") + end,
                refused("InvalidArgument"),
            ),
            (
                "no end",
                field(1) + &file("a"),
                refused("MalformedPOSTRequest"),
            ),
            (
                "a boundary that goes on",
                field(1) + &file(&format!("{CONTENT}\r\n--bX\r\n")) + end,
                refused("MalformedPOSTRequest"),
            ),
            (
                "an end that is cut off",
                field(1) + &file(CONTENT) + "--b-",
                refused("MalformedPOSTRequest"),
            ),
            (
                "a field after the file",
                field(1) + &file(CONTENT) + &field(1) + end,
                Ok((1, Some(1))),
            ),
            (
                "no name",
                part("filename=\"x\"", "") + end,
                refused("MalformedPOSTRequest"),
            ),
            (
                "an empty body",
                String::new(),
                refused("MalformedPOSTRequest"),
            ),
        ] {
            for piece in [1, 7, 1000, 16 * 1024, 1 << 20] {
                if piece > 1 || form.len() < 1 << 20 {
                    assert_eq!(
                        read(form.as_bytes(), piece).await,
                        expected,
                        "{case}, pieces of {piece}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_files_name_replaces_its_variable() {
        for (name, value) in [
            (Some("p.jpg"), "u/p.jpg"),
            (Some("/dir/p.jpg"), "u/p.jpg"),
            (Some("C:\\dir\\p.jpg"), "u/p.jpg"),
            (Some(""), "u/"),
            (None, "u/${filename}"),
        ] {
            let mut fields: Fields = [("key", "u/${filename}")].into_iter().collect();
            fields.expand_file_name(name);
            assert_eq!(fields.get("key"), Some(value), "{name:?}");
        }
    }
}
