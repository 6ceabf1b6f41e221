//! The parameters of `Content-Disposition` and `Content-Type`, in every notation that HTTP clients use. The form reader
//! calls it.

/// The value of a parameter, such as `name` in `form-data; name="file"`. Names are case-insensitive, values are in
/// quotation marks or not (RFC 9110 §5.6.6), and a quotation mark within them is escaped with a backslash. Any other
/// backslash is kept, since browsers send those of file names as they are.
pub(super) fn parameter(header: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        // A parameter without a value, before this one, is skipped.
        let name = name.rsplit(';').next().unwrap_or(name).trim();
        let (value, after) = value(after.trim_start())?;
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        (_, rest) = after.split_once(';')?;
    }
}

/// The value at the beginning of a text, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut is_escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            '"' if !is_escaped => {
                return Some((quoted[..at].replace("\\\"", "\""), &quoted[at + 1..]));
            }
            character => is_escaped = character == '\\' && !is_escaped,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_in_any_notation() {
        for (header, name, found) in [
            (
                r#"form-data; name="file"; filename="p.jpg""#,
                "name",
                Some("file"),
            ),
            (
                r#"form-data; name="file"; filename="p.jpg""#,
                "filename",
                Some("p.jpg"),
            ),
            (
                r#"form-data; filename="a; name=b.jpg"; name="file""#,
                "name",
                Some("file"),
            ),
            (
                r#"form-data; filename="a\"; name=\"b"; name="file""#,
                "name",
                Some("file"),
            ),
            (
                "form-data; name=file; filename=p q.jpg; filename*=utf-8''p",
                "filename",
                Some("p q.jpg"),
            ),
            ("form-data; name=file; filename*=utf-8''p", "filename", None),
            (r#"form-data; Name = "file""#, "name", Some("file")),
            (r#"form-data; x; name="file""#, "name", Some("file")),
            (r#"form-data; name="""#, "name", Some("")),
            (
                r#"form-data; name="C:\dir\p.jpg""#,
                "name",
                Some(r"C:\dir\p.jpg"),
            ),
            (r#"form-data; name="open"#, "name", None),
            ("form-data", "name", None),
            ("multipart/form-data; boundary=b", "boundary", Some("b")),
            (
                r#"multipart/form-data; charset=utf-8; boundary="a;b""#,
                "boundary",
                Some("a;b"),
            ),
        ] {
            assert_eq!(
                parameter(header, name).as_deref(),
                found,
                "{name} of {header}"
            );
        }
    }
}
