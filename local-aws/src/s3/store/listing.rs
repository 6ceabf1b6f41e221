//! Listings. `s3s-fs` lists objects before common prefixes, so that a page could omit keys between them, and gives no
//! `ETag`. Here all keys are read, and put into S3's order and pages.

use data_encoding::BASE64URL_NOPAD;
use s3s::dto::{
    CommonPrefix, EncodingType, HeadObjectInput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectStorageClass, ObjectVersion,
};
use s3s::{S3, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

use super::request::internal;
use crate::s3::encoding::{encode_all, encode_path};

/// The largest page of S3.
const MAX_KEYS: i32 = 1000;

/// The requested page.
struct Query<'a> {
    bucket: &'a str,
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// The last key, or the last common prefix, of the page before.
    after: Option<&'a str>,
    max_keys: i32,
}

impl Query<'_> {
    /// Whether a name is a common prefix, which means all keys that begin with it: its first delimiter after the prefix is
    /// at its end.
    fn is_common_prefix(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.prefix);
        self.delimiter.zip(rest).is_some_and(|(delimiter, rest)| {
            rest.find(delimiter)
                .is_some_and(|at| at + delimiter.len() == rest.len())
        })
    }
}

/// The number of keys that a page may have.
fn max_keys_of(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(number) if number < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        )),
        asked => Ok(asked.unwrap_or(MAX_KEYS)),
    }
}

/// A page, in the order of keys.
#[derive(Default)]
struct Page {
    objects: Vec<Object>,
    common_prefixes: Vec<String>,
    /// The last key or common prefix, where there is more.
    next: Option<String>,
}

impl Page {
    async fn read(files: &FileSystem, query: &Query<'_>) -> S3Result<Self> {
        let listed = ListObjectsV2Input {
            bucket: query.bucket.to_owned(),
            prefix: Some(query.prefix.to_owned()),
            max_keys: Some(i32::MAX),
            ..ListObjectsV2Input::default()
        };
        let all = files.list_objects_v2(internal(listed)).await?.output;
        let mut page = Self::of(all.contents.unwrap_or_default(), query);
        for object in &mut page.objects {
            let input = HeadObjectInput {
                bucket: query.bucket.to_owned(),
                key: object.key.clone().unwrap_or_default(),
                ..HeadObjectInput::default()
            };
            // It may have been deleted meanwhile.
            if let Ok(found) = files.head_object(internal(input)).await {
                object.e_tag = found.output.e_tag;
            }
            object.storage_class = Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            ));
        }
        Ok(page)
    }

    /// The page of all objects with the prefix, which are in the order of their keys.
    fn of(objects: Vec<Object>, query: &Query<'_>) -> Self {
        let max_keys = usize::try_from(query.max_keys.min(MAX_KEYS)).unwrap_or(0);
        let mut page = Self::default();
        let mut last = None;
        for object in objects {
            let key = object.key.clone().unwrap_or_default();
            let is_before = query.after.is_some_and(|after| {
                *key <= *after || query.is_common_prefix(after) && key.starts_with(after)
            });
            let group = query.delimiter.and_then(|delimiter| {
                let rest = key.strip_prefix(query.prefix)?;
                let length = query.prefix.len() + rest.find(delimiter)? + delimiter.len();
                Some(key[..length].to_owned())
            });
            if is_before || group.is_some() && page.common_prefixes.last() == group.as_ref() {
                continue;
            }
            if page.objects.len() + page.common_prefixes.len() == max_keys {
                page.next = last;
                break;
            }
            last = Some(group.clone().unwrap_or(key));
            match group {
                Some(group) => page.common_prefixes.push(group),
                None => page.objects.push(object),
            }
        }
        page
    }

    fn n_keys(&self) -> Option<i32> {
        i32::try_from(self.objects.len() + self.common_prefixes.len()).ok()
    }

    fn contents(&self, encoding: Encoding) -> Vec<Object> {
        let objects = self.objects.iter().cloned().map(|object| Object {
            key: object.key.map(|key| encoding.of_path(key)),
            ..object
        });
        objects.collect()
    }

    fn prefixes(&self, encoding: Encoding) -> Vec<CommonPrefix> {
        let prefixes = self.common_prefixes.iter().map(|prefix| CommonPrefix {
            prefix: Some(encoding.of_path(prefix.clone())),
        });
        prefixes.collect()
    }
}

/// Whether names are percent-encoded in the answer: XML cannot hold every character of a key.
#[derive(Clone, Copy)]
struct Encoding {
    is_url: bool,
}

impl Encoding {
    fn of(wanted: Option<&EncodingType>) -> Self {
        Self {
            is_url: wanted.is_some_and(|wanted| wanted.as_str() == EncodingType::URL),
        }
    }

    fn of_path(self, text: String) -> String {
        if self.is_url {
            encode_path(&text)
        } else {
            text
        }
    }

    fn of_delimiter(self, text: String) -> String {
        if self.is_url { encode_all(&text) } else { text }
    }
}

/// Version 1 of the listing. A client continues after the last key of a page, or after `NextMarker`, which S3 returns
/// only if there is a delimiter.
pub(super) async fn objects(
    files: &FileSystem,
    input: ListObjectsInput,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let prefix = input.prefix.unwrap_or_default();
    let marker = input.marker.unwrap_or_default();
    let max_keys = max_keys_of(input.max_keys)?;
    let query = Query {
        bucket: &input.bucket,
        prefix: &prefix,
        delimiter: input.delimiter.as_deref().filter(|text| !text.is_empty()),
        after: Some(&*marker).filter(|marker| !marker.is_empty()),
        max_keys,
    };
    let page = Page::read(files, &query).await?;
    let has_delimiter = query.delimiter.is_some();
    let next = page.next.clone().filter(|_| has_delimiter);
    Ok(S3Response::new(ListObjectsOutput {
        common_prefixes: Some(page.prefixes(encoding)),
        contents: Some(page.contents(encoding)),
        delimiter: input.delimiter.map(|text| encoding.of_delimiter(text)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        marker: Some(encoding.of_path(marker)),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        next_marker: next.map(|next| encoding.of_path(next)),
        prefix: Some(encoding.of_path(prefix)),
        ..ListObjectsOutput::default()
    }))
}

/// The continuation token of the page after a name: clients must not read it, and XML would change some characters.
fn token_of(name: &str) -> String {
    BASE64URL_NOPAD.encode(name.as_bytes())
}

fn name_of(token: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok()
}

/// Version 2 of the listing.
pub(super) async fn objects_v2(
    files: &FileSystem,
    input: ListObjectsV2Input,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let prefix = input.prefix.unwrap_or_default();
    let max_keys = max_keys_of(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(name_of(token).ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect"
            )
        })?),
        None => None,
    };
    let after = after.as_deref();
    let query = Query {
        bucket: &input.bucket,
        prefix: &prefix,
        delimiter: input.delimiter.as_deref().filter(|text| !text.is_empty()),
        after: after.or(input.start_after.as_deref()),
        max_keys,
    };
    let page = Page::read(files, &query).await?;
    Ok(S3Response::new(ListObjectsV2Output {
        common_prefixes: Some(page.prefixes(encoding)),
        contents: Some(page.contents(encoding)),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|text| encoding.of_delimiter(text)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_count: page.n_keys(),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        next_continuation_token: page.next.map(|name| token_of(&name)),
        prefix: Some(encoding.of_path(prefix)),
        start_after: input.start_after.map(|text| encoding.of_path(text)),
        ..ListObjectsV2Output::default()
    }))
}

/// All objects, each with its one version: these buckets keep no others, and S3 then calls it `null`.
pub(super) async fn versions(
    files: &FileSystem,
    input: ListObjectVersionsInput,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let prefix = input.prefix.unwrap_or_default();
    let max_keys = max_keys_of(input.max_keys)?;
    let query = Query {
        bucket: &input.bucket,
        prefix: &prefix,
        delimiter: input.delimiter.as_deref().filter(|text| !text.is_empty()),
        after: input.key_marker.as_deref(),
        max_keys,
    };
    let page = Page::read(files, &query).await?;
    let common_prefixes = Some(page.prefixes(encoding));
    let contents = page.contents(encoding);
    let versions = contents.into_iter().map(|object| ObjectVersion {
        key: object.key,
        size: object.size,
        last_modified: object.last_modified,
        e_tag: object.e_tag,
        is_latest: Some(true),
        version_id: Some("null".to_owned()),
        ..ObjectVersion::default()
    });
    Ok(S3Response::new(ListObjectVersionsOutput {
        common_prefixes,
        delimiter: input.delimiter.map(|text| encoding.of_delimiter(text)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_marker: input.key_marker.map(|text| encoding.of_path(text)),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        next_key_marker: page.next.map(|next| encoding.of_path(next)),
        prefix: Some(encoding.of_path(prefix)),
        versions: Some(versions.collect()),
        ..ListObjectVersionsOutput::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all pages, each page in brackets.
    fn pages(keys: &[&str], prefix: &str, delimiter: Option<&str>, max_keys: i32) -> String {
        let (mut shown, mut after) = (String::new(), None);
        loop {
            let objects = keys.iter().filter(|key| key.starts_with(prefix));
            let objects = objects.map(|&key| Object {
                key: Some(key.to_owned()),
                ..Object::default()
            });
            let query = Query {
                bucket: "b",
                prefix,
                delimiter,
                after: after.as_deref(),
                max_keys,
            };
            let page = Page::of(objects.collect(), &query);
            let names = page.objects.iter().filter_map(|object| object.key.clone());
            let mut names: Vec<_> = names.chain(page.common_prefixes.clone()).collect();
            names.sort_unstable();
            shown = format!("{shown}[{}]", names.join(" "));
            after = page.next;
            if after.is_none() {
                return shown;
            }
        }
    }

    #[test]
    fn pages_are_in_the_order_of_keys_and_omit_nothing() {
        const KEYS: [&str; 7] = ["a", "b/1", "b/2", "c", "d/1", "d/2/x", "e"];
        for (prefix, delimiter, max_keys, shown) in [
            ("", None, 3, "[a b/1 b/2][c d/1 d/2/x][e]"),
            ("", None, 7, "[a b/1 b/2 c d/1 d/2/x e]"),
            ("", Some("/"), 1, "[a][b/][c][d/][e]"),
            ("", Some("/"), 2, "[a b/][c d/][e]"),
            ("", Some("/"), 3, "[a b/ c][d/ e]"),
            ("b", Some("/"), 2, "[b/]"),
            ("d/", Some("/"), 1, "[d/1][d/2/]"),
            ("d/", Some("2"), 9, "[d/1 d/2]"),
            ("x", Some("/"), 2, "[]"),
            ("", None, 0, "[]"),
        ] {
            let found = pages(&KEYS, prefix, delimiter, max_keys);
            assert_eq!(found, shown, "{prefix} {delimiter:?} {max_keys}");
        }
    }

    #[test]
    fn a_listing_can_begin_within_a_common_prefix() {
        let objects = ["b/1", "b/2"].map(|key| Object {
            key: Some(key.to_owned()),
            ..Object::default()
        });
        let query = Query {
            bucket: "b",
            prefix: "",
            delimiter: Some("/"),
            after: Some("b/1"),
            max_keys: 9,
        };
        assert_eq!(Page::of(objects.to_vec(), &query).common_prefixes, ["b/"]);
        // The prefix itself is not behind any key that begins with it.
        let query = Query {
            prefix: "b/",
            after: Some("b/"),
            ..query
        };
        assert_eq!(Page::of(objects.to_vec(), &query).objects.len(), 2);
    }
}
