//! The objects of the S3: what each request does to them, with S3's conditional writes, versions and answers.
//!
//! It also collects violations of what must hold at every moment: a tombstone stays, and a manifest comes last.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use media_contract::{Manifest, Rendition, Status, object_key};
use sha2::{Digest as _, Sha256};

use super::wire::{Answer, Request};
use crate::schedules::guards::Guard;

/// The objects of all buckets.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) current: BTreeMap<String, Object>,
    /// Of a versioned bucket's keys, the newest last. The newest that is not a delete marker is in `current` as well.
    pub(super) versions: BTreeMap<String, Vec<Version>>,
    steps: u64,
    pub(super) faults: Vec<String>,
    pub(super) was_deleted: bool,
    /// The guards that are taken out.
    without: &'static [Guard],
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) data: Vec<u8>,
    /// The number of the step in which it was written.
    pub(super) modified: u64,
}

/// A version of an object in a versioned bucket.
#[derive(Clone, Debug, Hash)]
pub(super) struct Version {
    pub(super) id: String,
    /// `None` is a delete marker.
    pub(super) data: Option<Vec<u8>>,
}

impl Object {
    /// Each step takes a second.
    fn time(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.modified.cast_signed()).unwrap()
    }
}

impl Objects {
    /// No objects, and without these guards.
    pub(super) fn new(without: &'static [Guard]) -> Self {
        Self {
            without,
            ..Self::default()
        }
    }

    pub(super) fn is_without(&self, guard: Guard) -> bool {
        self.without.contains(&guard)
    }

    pub(super) fn is_deleted(&self) -> bool {
        let mut manifests = self.current.iter();
        manifests
            .any(|(path, object)| path.ends_with("/manifest.json") && is_tombstone(&object.data))
    }

    pub(super) fn put(&mut self, path: String, data: Vec<u8>) {
        self.steps += 1;
        let modified = self.steps;
        self.current.insert(path, Object { data, modified });
    }

    pub(super) fn carry_out(&mut self, request: &Request) -> Answer {
        let path = request.path.clone();
        match (request.method.as_str(), path.contains('/')) {
            ("GET" | "HEAD", true) => self.get(request, &path),
            ("GET", false) => self.list(request, &path),
            ("PUT", true) => self.put_if(request, path),
            ("POST", false) => self.delete(request, &path),
            _ => Answer::error(501, "NotImplemented"),
        }
    }

    fn get(&self, request: &Request, path: &str) -> Answer {
        if let Some(id) = request.parameter("versionId") {
            let versions = self.versions.get(path).into_iter().flatten();
            let data = versions
                .filter(|version| version.id == id)
                .find_map(|version| version.data.clone());
            return match data {
                Some(data) => Answer {
                    etag: Some(etag_of(&data)),
                    ..Answer::new(200, data)
                },
                None => Answer::error(404, "NoSuchVersion"),
            };
        }
        let Some(object) = self.current.get(path) else {
            return Answer::error(404, "NoSuchKey");
        };
        let etag = etag_of(&object.data);
        if request
            .if_match
            .as_ref()
            .is_some_and(|wanted| *wanted != etag)
        {
            return Answer::error(412, "PreconditionFailed");
        }
        Answer {
            etag: Some(etag),
            modified: Some(object.time()),
            ..Answer::new(200, object.data.clone())
        }
    }

    fn put_if(&mut self, request: &Request, path: String) -> Answer {
        let found = self.current.get(&path).map(|object| etag_of(&object.data));
        if request.if_none_match && found.is_some() && !self.is_without(Guard::IfNoneMatch) {
            return Answer::error(412, "PreconditionFailed");
        }
        if let Some(wanted) = &request.if_match
            && !self.is_without(Guard::IfMatch)
        {
            match &found {
                None => return Answer::error(404, "NoSuchKey"),
                Some(found) if found != wanted => {
                    return Answer::error(412, "PreconditionFailed");
                }
                Some(_) => {}
            }
        }
        let data = request.body.clone();
        if self.is_without(Guard::ContentNames)
            && let Some((folder, name)) = path.rsplit_once('/')
            && let Some((_, name)) = name.split_once('-')
        {
            // All renditions of a width are one file.
            for (other, object) in &mut self.current {
                if other.starts_with(folder) && other.ends_with(name) {
                    object.data.clone_from(&data);
                }
            }
        }
        if request.is_manifest() {
            let is_tombstone = is_tombstone(&data);
            if self.is_deleted() && !is_tombstone {
                let text = String::from_utf8_lossy(&data);
                self.faults.push(format!("a tombstone is replaced: {text}"));
            }
            self.was_deleted |= is_tombstone;
            let manifest: Manifest = serde_json::from_slice(&data).unwrap();
            if let Status::Ready { renditions, .. } = &manifest.status {
                for Rendition { path, .. } in renditions {
                    if !self
                        .current
                        .contains_key(&format!("media/{}", object_key(path)))
                    {
                        let fault = format!("a manifest is written before {path}");
                        self.faults.push(fault);
                    }
                }
            }
            if is_tombstone && self.is_without(Guard::Tombstone) {
                self.current.remove(&path);
                return Answer::new(200, "");
            }
            if is_tombstone && request.if_none_match && self.is_without(Guard::EarlyTombstone) {
                return Answer::new(200, "");
            }
        }
        let etag = etag_of(&data);
        self.put(path, data);
        Answer {
            etag: Some(etag),
            ..Answer::new(200, "")
        }
    }

    fn delete(&mut self, request: &Request, bucket: &str) -> Answer {
        let removes_versions = !self.is_without(Guard::AllVersions);
        for (key, version) in keys_in(&String::from_utf8_lossy(&request.body)) {
            if key.ends_with("/manifest.json") {
                self.faults.push(format!("{key} is deleted"));
            }
            let path = format!("{bucket}/{key}");
            let Some(versions) = self.versions.get_mut(&path) else {
                self.current.remove(&path);
                continue;
            };
            match version.filter(|_| removes_versions) {
                Some(version) => versions.retain(|other| other.id != version),
                None => versions.push(Version {
                    id: "marker".to_owned(),
                    data: None,
                }),
            }
            match versions.last().and_then(|version| version.data.clone()) {
                Some(data) => self.put(path, data),
                None => {
                    self.current.remove(&path);
                }
            }
        }
        Answer::new(200, "<DeleteResult></DeleteResult>")
    }

    fn list(&self, request: &Request, bucket: &str) -> Answer {
        let prefix = format!(
            "{bucket}/{}",
            request.parameter("prefix").unwrap_or_default()
        );
        let has_versions = request
            .query
            .split('&')
            .any(|name| name.starts_with("versions"));
        let after = request.parameter("start-after").unwrap_or_default();
        if has_versions && self.versions.keys().any(|path| path.starts_with(&prefix)) {
            return self.list_versions(&prefix);
        }
        let mut entries = String::new();
        for (path, object) in self.current.range(prefix.clone()..) {
            if !path.starts_with(&prefix) {
                break;
            }
            let key = path.split_once('/').map_or("", |(_, key)| key);
            if key <= after {
                continue;
            }
            let (size, etag) = (object.data.len(), etag_of(&object.data));
            let time = object.time();
            let common = format!(
                "<Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag><LastModified>{time:.3}</LastModified>"
            );
            let _ = if has_versions {
                write!(
                    entries,
                    "<Version>{common}<VersionId>null</VersionId></Version>"
                )
            } else {
                write!(entries, "<Contents>{common}</Contents>")
            };
        }
        let name = if has_versions {
            "ListVersionsResult"
        } else {
            "ListBucketResult"
        };
        Answer::new(
            200,
            format!("<{name}><IsTruncated>false</IsTruncated>{entries}</{name}>"),
        )
    }

    fn list_versions(&self, prefix: &str) -> Answer {
        let mut entries = String::new();
        for (path, versions) in &self.versions {
            let Some((_, key)) = path.split_once('/').filter(|_| path.starts_with(prefix)) else {
                continue;
            };
            for Version { id, data } in versions.iter().rev() {
                let element = if data.is_some() {
                    "Version"
                } else {
                    "DeleteMarker"
                };
                let _ = write!(
                    entries,
                    "<{element}><Key>{key}</Key><VersionId>{id}</VersionId></{element}>"
                );
            }
        }
        Answer::new(
            200,
            format!(
                "<ListVersionsResult><IsTruncated>false</IsTruncated>{entries}</ListVersionsResult>"
            ),
        )
    }
}

pub(crate) fn etag_of(data: &[u8]) -> String {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(data)[..16]);
    format!("\"{digest}\"")
}

/// The id of the version with this content: each content is posted once.
pub(crate) fn version_of(data: &[u8]) -> String {
    etag_of(data)[1..9].to_owned()
}

/// Whether a manifest says that its upload is deleted.
pub(super) fn is_tombstone(manifest: &[u8]) -> bool {
    String::from_utf8_lossy(manifest).contains("\"deleted\"")
}

/// The keys of a `DeleteObjects`, with their versions.
pub(super) fn keys_in(text: &str) -> Vec<(String, Option<String>)> {
    text.split("<Object>")
        .skip(1)
        .map(|object| {
            let between = |name: &str| {
                let (_, rest) = object.split_once(&format!("<{name}>"))?;
                Some(rest.split_once("</")?.0.to_owned())
            };
            (between("Key").unwrap_or_default(), between("VersionId"))
        })
        .collect()
}
