//! The beginning of a form, up to its file. S3 takes each field once and 20 KB of them; `s3s` 0.14.1 takes the last of two
//! and megabytes. Nothing here looks at what fields say.

use axum::body::Body;
use bytes::BytesMut;
use http_body_util::BodyExt as _;

/// What S3 reads of a form before its file.
const MAX_BYTES: usize = 20 * 1024;

/// Why S3 refuses a form by its beginning.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum HeadFault {
    /// A field stands twice; names differ in more than case.
    Doubled(String),
    /// The fields take more than S3 reads.
    TooLong,
}

/// What is known of a beginning.
#[derive(Debug, Eq, PartialEq)]
enum Beginning {
    /// The file has not come yet.
    Unfinished,
    /// All is there up to the file's own bytes, or there is no telling: whoever reads the form finds out.
    Finished,
    Faulty(HeadFault),
}

/// Reads up to the file. What was read is given back, for whoever reads the form.
pub(super) async fn read(content_type: &str, body: &mut Body) -> (BytesMut, Option<HeadFault>) {
    let mut head = BytesMut::new();
    let Some(boundary) = boundary(content_type) else {
        return (head, None);
    };
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            head.extend_from_slice(data);
        }
        match examine(&head, boundary) {
            Beginning::Unfinished => {}
            Beginning::Finished => break,
            Beginning::Faulty(fault) => return (head, Some(fault)),
        }
    }
    (head, None)
}

/// Reads on to the end, or to more than any form may have. `s3s` 0.14.1 keeps a form's file in memory anyway, and fails
/// to read some that come in unlucky pieces ("failed to read file stream"): so they come in one.
pub(super) async fn read_whole(head: &mut BytesMut, body: &mut Body, max_bytes: usize) {
    while head.len() <= max_bytes
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            head.extend_from_slice(data);
        }
    }
}

/// The parameter of `multipart/form-data` (RFC 2046 §5.1.1), in quotation marks or not.
fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1);
    parameters.map(str::trim).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("boundary")
            .then(|| value.trim_matches('"'))
            .filter(|value| !value.is_empty())
    })
}

fn examine(head: &[u8], boundary: &str) -> Beginning {
    let delimiter = format!("--{boundary}");
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    loop {
        let Some(begins) = find(&head[at..], delimiter.as_bytes()) else {
            return unfinished(head.len());
        };
        at += begins + delimiter.len();
        if head[at..].starts_with(b"--") {
            return Beginning::Finished;
        }
        let Some(length) = find(&head[at..], b"\r\n\r\n") else {
            return unfinished(head.len());
        };
        let Some(name) = name(&head[at..at + length]) else {
            return Beginning::Finished;
        };
        at += length + 4;
        if at > MAX_BYTES {
            return Beginning::Faulty(HeadFault::TooLong);
        }
        if name == "file" {
            return Beginning::Finished;
        }
        if names.contains(&name) {
            return Beginning::Faulty(HeadFault::Doubled(name));
        }
        names.push(name);
    }
}

fn unfinished(n_bytes: usize) -> Beginning {
    if n_bytes > MAX_BYTES {
        Beginning::Faulty(HeadFault::TooLong)
    } else {
        Beginning::Unfinished
    }
}

/// The name in a part's headers, in lower case.
fn name(headers: &[u8]) -> Option<String> {
    let headers = String::from_utf8_lossy(headers).to_ascii_lowercase();
    let disposition = headers
        .lines()
        .find(|line| line.starts_with("content-disposition:"))?;
    // `filename="…"` ends in the same letters.
    let mut parameters = disposition.split(';').map(str::trim);
    let value = parameters.find_map(|parameter| parameter.strip_prefix("name="))?;
    Some(value.trim_matches('"').to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)], rest: &str) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        fields.iter().map(part).collect::<String>() + rest
    }

    const FILE: &str =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"key\"\r\n\r\n";

    #[test]
    fn beginnings() {
        let long = "v".repeat(MAX_BYTES);
        let doubled = |name: &str| Beginning::Faulty(HeadFault::Doubled(name.to_owned()));
        for (form, found) in [
            (form(&[], ""), Beginning::Unfinished),
            (form(&[("key", "k")], ""), Beginning::Unfinished),
            (form(&[("key", "k")], &FILE[..30]), Beginning::Unfinished),
            (form(&[("key", "k")], FILE), Beginning::Finished),
            // What follows the file is none of S3's business.
            (
                form(
                    &[("key", "k")],
                    &format!("{FILE}bytes\r\n{}", form(&[("key", "x")], "")),
                ),
                Beginning::Finished,
            ),
            (form(&[("key", "k")], "--b--"), Beginning::Finished),
            (form(&[("key", "k"), ("key", "k")], FILE), doubled("key")),
            (
                form(&[("Policy", "p"), ("key", "k"), ("policy", "p")], FILE),
                doubled("policy"),
            ),
            (
                form(&[("a", &long)], FILE),
                Beginning::Faulty(HeadFault::TooLong),
            ),
            (
                form(&[("a", &long)], ""),
                Beginning::Faulty(HeadFault::TooLong),
            ),
            (
                "--b\r\nContent-Type: x\r\n\r\n".to_owned(),
                Beginning::Finished,
            ),
        ] {
            assert_eq!(examine(form.as_bytes(), "b"), found, "{form:.200}");
        }
    }

    #[test]
    fn boundaries() {
        for (content_type, found) in [
            ("multipart/form-data; boundary=b", Some("b")),
            (
                "multipart/form-data; charset=utf-8; Boundary=\"a b\"",
                Some("a b"),
            ),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data", None),
        ] {
            assert_eq!(boundary(content_type), found);
        }
    }
}
