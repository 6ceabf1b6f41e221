//! Paths of viewers and object keys of the media bucket, and how one becomes the other.
//!
//! Manifests, URLs, rules and contracts name an object by its path, such as `/media/…`. `CloudFront` prepends
//! [`ORIGIN_PATH`] to every path that it requests from the media bucket, so a viewer can reach no object outside of that
//! folder: a request for `/o/media/…` becomes `/o/o/media/…`. This module is the only place that knows the prefix.

/// The folder of the media bucket that paths are relative to: `CloudFront`'s origin path.
/// `infra/modules/gatepost/media.tf` repeats it.
pub const ORIGIN_PATH: &str = "/o";
/// The prefix of the paths of renditions and manifests.
pub const MEDIA_PATH: &str = "/media/";

/// The object key of a path, without percent-encoding: `o/media/…` for `/media/…`.
pub fn object_key(path: &str) -> String {
    let path = path.strip_prefix('/').unwrap_or(path);
    format!("{}/{path}", folder())
}

/// The path of an object key: `/media/…` for `o/media/…`. `None` if the object is outside of [`ORIGIN_PATH`], where no
/// viewer reaches it.
pub fn object_path(key: &str) -> Option<&str> {
    let path = key.strip_prefix(folder())?;
    path.starts_with('/').then_some(path)
}

/// The origin path as keys have it, without a slash.
fn folder() -> &'static str {
    ORIGIN_PATH.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_path() {
        for (path, key) in [
            ("/media/k5x/a/640.webp", "o/media/k5x/a/640.webp"),
            ("/team/logo.svg", "o/team/logo.svg"),
            ("/", "o/"),
        ] {
            assert_eq!(object_key(path), key);
            assert_eq!(object_path(key), Some(path));
        }
    }

    #[test]
    fn a_path_that_names_the_prefix_is_another_object() {
        assert_eq!(object_key("/o/media/k5x"), "o/o/media/k5x");
        assert_eq!(object_path("o/o/media/k5x"), Some("/o/media/k5x"));
    }

    #[test]
    fn a_key_outside_of_the_origin_path_has_no_path() {
        for key in [
            "media/k5x",
            "uploads/k5x",
            "other/media",
            "o",
            "/o/media",
            "",
        ] {
            assert_eq!(object_path(key), None, "{key}");
        }
    }

    #[test]
    fn terraform_has_the_same_origin_path() {
        let media = include_str!("../../infra/modules/gatepost/media.tf");
        let line = format!("origin_path = \"{ORIGIN_PATH}\"\n");
        assert!(media.contains(&line), "media.tf has no {line}");
    }
}
