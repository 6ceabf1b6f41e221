//! The object keys of an upload and of everything made from it, with the paths that viewers request.

use crate::UploadId;
use crate::object_path::{MEDIA_PATH, object_key, object_path};

/// The prefix of the object keys of uploads.
pub const UPLOAD_PREFIX: &str = "uploads/";

const OWNER_LENGTH: usize = 26;
const MANIFEST_NAME: &str = "manifest.json";

/// The owner and the id of an upload; all its object keys follow from them.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UploadKey {
    /// The owner: 26 characters of base32 in lower case.
    pub owner: String,
    /// The upload's id.
    pub id: UploadId,
}

impl UploadKey {
    /// Parses an object key of the form `uploads/{owner}/{id}`; `None` for any other key.
    pub fn parse(key: &str) -> Option<Self> {
        let (owner, id) = key.strip_prefix(UPLOAD_PREFIX)?.split_once('/')?;
        Self::from_parts(owner, id)
    }

    /// Parses an object key of the form `o/media/{owner}/{id}/{name}`; `None` for any other key.
    pub fn parse_media_key(key: &str) -> Option<(Self, &str)> {
        let names = object_path(key)?.strip_prefix(MEDIA_PATH)?;
        let (owner, rest) = names.split_once('/')?;
        let (id, name) = rest.split_once('/')?;
        Some((Self::from_parts(owner, id)?, name))
    }

    fn from_parts(owner: &str, id: &str) -> Option<Self> {
        let is_owner = owner.len() == OWNER_LENGTH
            && owner
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_owner {
            return None;
        }
        Some(Self {
            owner: owner.to_owned(),
            id: UploadId::parse(id)?,
        })
    }

    /// The object key of the upload itself, in the upload bucket.
    pub fn original(&self) -> String {
        format!("{UPLOAD_PREFIX}{}/{}", self.owner, self.id)
    }

    /// Whether an object key is that of a rendition of this upload: roles may delete no other object here.
    pub fn is_rendition(&self, key: &str) -> bool {
        key.strip_prefix(&self.media_prefix()).is_some_and(|name| {
            let stem = name.strip_suffix(".webp").or(name.strip_suffix(".jpg"));
            stem.is_some_and(|stem| !stem.is_empty() && !stem.contains('/'))
        })
    }

    /// The folder of the manifest and the renditions, as viewers request it: `/media/{owner}/{id}/`.
    pub fn media_path(&self) -> String {
        format!("{}{}/", owner_path(&self.owner), self.id)
    }

    /// The path of the manifest.
    pub fn manifest_path(&self) -> String {
        self.media_path() + MANIFEST_NAME
    }

    /// The prefix of the object keys of the manifest and the renditions, in the media bucket.
    pub fn media_prefix(&self) -> String {
        object_key(&self.media_path())
    }

    /// The object key of the manifest.
    pub fn manifest_key(&self) -> String {
        object_key(&self.manifest_path())
    }

    /// A key that sorts after everything that the media bucket has of this upload, and before the next upload. A listing
    /// goes on after it. The reason is that `0` follows `/` in ASCII.
    pub fn end_of_media(&self) -> String {
        let prefix = self.media_prefix();
        format!("{}0", prefix.trim_end_matches('/'))
    }
}

/// The prefix of the object keys of everything that is published, in the media bucket.
pub fn media_prefix() -> String {
    object_key(MEDIA_PATH)
}

/// The prefix of the object keys of everything that is published of an owner.
pub fn owner_prefix(owner: &str) -> String {
    object_key(&owner_path(owner))
}

/// The folder of everything that is published of an owner, as viewers request it: `/media/{owner}/`.
pub fn owner_path(owner: &str) -> String {
    format!("{MEDIA_PATH}{owner}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";
    const ID: &str = "7ybqtx5rqd7pcfe8gn11wj6j99";

    #[test]
    fn only_keys_made_by_the_api_are_uploads() {
        let key = format!("uploads/{OWNER}/{ID}");
        let upload = UploadKey::parse(&key).unwrap();
        assert_eq!(upload.original(), key);
        for key in [
            format!("uploads/{OWNER}"),
            format!("uploads/{OWNER}/{ID}/x"),
            format!("other/{OWNER}/{ID}"),
            format!("uploads/../{ID}"),
            format!("uploads/{}/{ID}", "A".repeat(26)),
            // 26 characters, but not an id: i, l, o and u are not digits of Crockford's base32.
            format!("uploads/{OWNER}/{}", "i".repeat(26)),
            // More than 128 bits.
            format!("uploads/{OWNER}/{}", "z".repeat(26)),
        ] {
            assert_eq!(UploadKey::parse(&key), None, "{key}");
        }
    }

    #[test]
    fn media_keys_lead_back_to_their_upload() {
        let upload = UploadKey::parse(&format!("uploads/{OWNER}/{ID}")).unwrap();
        for name in ["manifest.json", "0123456789abcdef-640.webp"] {
            let key = format!("o/media/{OWNER}/{ID}/{name}");
            assert_eq!(
                UploadKey::parse_media_key(&key),
                Some((upload.clone(), name))
            );
        }
        for key in [
            format!("media/{OWNER}/{ID}/manifest.json"),
            format!("o/media/{OWNER}/manifest.json"),
            format!("o/media/{OWNER}/{ID}"),
            format!("o/o/media/{OWNER}/{ID}/manifest.json"),
            format!("uploads/{OWNER}/{ID}/manifest.json"),
        ] {
            assert_eq!(UploadKey::parse_media_key(&key), None, "{key}");
        }
    }

    #[test]
    fn a_manifest_has_a_path_and_a_key() {
        let upload = UploadKey::parse(&format!("uploads/{OWNER}/{ID}")).unwrap();
        let path = format!("/media/{OWNER}/{ID}/manifest.json");
        assert_eq!(upload.manifest_path(), path);
        assert_eq!(upload.manifest_key(), format!("o{path}"));
        assert_eq!(owner_prefix(OWNER), format!("o/media/{OWNER}/"));
        assert_eq!(media_prefix(), "o/media/");
    }

    #[test]
    fn the_end_of_an_uploads_media_is_between_two_uploads() {
        let [first, second] = [ID, "7ybqtx5rqd7pcfe8gn11wj6j9a"]
            .map(|id| UploadKey::parse(&format!("uploads/{OWNER}/{id}")).unwrap());
        let end = first.end_of_media();
        assert!(first.media_prefix() + "~" < end && end < second.media_prefix());
    }

    #[test]
    fn only_rendition_keys_are_renditions() {
        let upload = UploadKey::parse(&format!("uploads/{OWNER}/{ID}")).unwrap();
        for (name, is_rendition) in [
            ("0123456789abcdef-640.webp", true),
            ("0123456789abcdef-640.jpg", true),
            ("640.webp", true),
            ("manifest.json", false),
            (".webp", false),
            ("notes/640.webp", false),
            ("readme.txt", false),
        ] {
            let key = format!("{}{name}", upload.media_prefix());
            assert_eq!(upload.is_rendition(&key), is_rendition, "{name}");
        }
    }

    #[test]
    fn uploads_are_ordered_as_s3_lists_them() {
        let mut keys = [OWNER, "aaaaaaaaaaaaaaaaaaaaaaaaaa"]
            .into_iter()
            .flat_map(|owner| {
                [
                    ID,
                    "0123456789abcdefghjkmnpqrs",
                    "7zzzzzzzzzzzzzzzzzzzzzzzzz",
                ]
                .map(|id| format!("uploads/{owner}/{id}"))
            })
            .collect::<Vec<_>>();
        keys.sort();
        let uploads: Vec<_> = keys
            .iter()
            .filter_map(|key| UploadKey::parse(key))
            .collect();
        assert_eq!(uploads.len(), 6);
        assert!(uploads.is_sorted());
    }
}
