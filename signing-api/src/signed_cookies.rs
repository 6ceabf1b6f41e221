//! `CloudFront`'s signed cookies of mode `signed`: one set for each folder that the rules grant a viewer. `session` sets and
//! removes them.
//!
//! The sets have the same names and differ by their `Path`, so a browser sends the one of the folder that it asks for.

use axum::http::{HeaderMap, header};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use edge_auth::Viewer;
use jiff::{SignedDuration, Timestamp};
use url_signing::cloudfront::{CookieAttributes, Policy, SignedCookies};

use crate::api::Api;
use crate::cross_origin::SiteOrigin;
use crate::problem::Problem;
use crate::settings::DeliveryMode;

/// The maximum number of folders of a session. Browsers keep at least fifty cookies of a site (RFC 6265 §6.1), and each
/// folder has four.
const MAX_FOLDERS: usize = 10;
/// How much room the lines of all folders may take: `CloudFront` and the function URL limit the headers of an answer.
const MAX_LINES_BYTES: usize = 10 * 1024;
/// How much room all lines of an answer may take. `CloudFront` takes 20,480 bytes of an origin's answer, headers included
/// (AWS, "Quotas").
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// The name of the header, its colon and space, and the line break.
const LINE_OVERHEAD: usize = "set-cookie: \r\n".len();
/// The longest folder that a note may name: longer ones are not signed here.
const MAX_FOLDER_BYTES: usize = 300;
/// The cookie that names the folders of the session at this browser.
const NOTE: &str = "__Host-gatepost-folders";
/// Between the folders of a note. No folder contains it.
const SEPARATOR: &str = "!";

/// The folders of a session.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// Each with a slash at both ends.
    pub(crate) granted: Vec<String>,
    /// How many more the rules grant.
    pub(crate) n_left_out: usize,
    /// The `Set-Cookie` lines.
    pub(crate) lines: Vec<String>,
}

/// Whether cookies of `CloudFront` belong to a session.
pub(crate) fn are_used(api: &Api) -> bool {
    api.settings.delivery == DeliveryMode::Signed
}

/// The cookies for the folders of a viewer, until the session ends.
pub(crate) fn sign(
    api: &Api,
    site: Option<&SiteOrigin>,
    viewer: &Viewer,
    (now, end): (Timestamp, Timestamp),
) -> Result<Folders, Problem> {
    let cloudfront = api.cloudfront.as_ref().ok_or(Problem::Internal(
        "mode \"signed\" needs the variables GATEPOST_CLOUDFRONT_*",
    ))?;
    let found = api.authorizer.authorizer().folders(viewer);
    let mut folders = Folders {
        n_left_out: found.len().saturating_sub(MAX_FOLDERS),
        ..Folders::default()
    };
    let lifetime = SignedDuration::from_secs(end.as_second() - now.as_second());
    let mut bytes = 0;
    for folder in found.into_iter().take(MAX_FOLDERS) {
        let url = SiteOrigin::url(site, &folder)?;
        let signed = Policy::below(&url, lifetime)?.sign(now, cloudfront.key())?;
        let lines = signed.cookies(&CookieAttributes::default())?.set_cookie();
        bytes += lines.iter().map(String::len).sum::<usize>();
        if bytes > MAX_LINES_BYTES {
            folders.n_left_out += 1;
            continue;
        }
        folders.lines.extend(lines);
        folders.granted.push(folder);
    }
    if folders.n_left_out > 0 {
        tracing::warn!(
            n_left_out = folders.n_left_out,
            n_granted = folders.granted.len(),
            "a session has no cookies for some of its folders"
        );
    }
    Ok(folders)
}

/// The line that notes which folders have cookies now. By its name no other site of the domain can set it, and its path is
/// the whole site.
pub(crate) fn note(folders: &[String], max_age: Duration) -> String {
    Cookie::build((NOTE, folders.join(SEPARATOR)))
        .path("/")
        .max_age(max_age)
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .to_string()
}

/// The lines that remove the cookies of the folders that a call's note names, except for those that get new ones. Rules and
/// keys may have changed since, so the session itself is not asked. `others` are the further lines of the answer.
pub(crate) fn removal(
    api: &Api,
    headers: &HeaderMap,
    kept: &[String],
    others: &[String],
) -> Result<Vec<String>, Problem> {
    let mut lines = Vec::new();
    if !are_used(api) {
        return Ok(lines);
    }
    for folder in noted(headers)
        .iter()
        .filter(|folder| !kept.contains(folder))
    {
        lines.extend(SignedCookies::removal(
            folder,
            &CookieAttributes::default(),
        )?);
    }
    Ok(fitting(
        lines,
        MAX_ANSWER_BYTES.saturating_sub(size(others)),
    ))
}

/// The lines of a removal for which there is room. Without its signature the rest of a set opens nothing.
fn fitting(mut lines: Vec<String>, room: usize) -> Vec<String> {
    if size(&lines) > room {
        lines.retain(|line| line.starts_with("CloudFront-Signature="));
    }
    while size(&lines) > room {
        lines.pop();
    }
    lines
}

fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + LINE_OVERHEAD).sum()
}

/// The folders of the notes that a call carries. Other cookies may have any bytes.
fn noted(headers: &HeaderMap) -> Vec<String> {
    let mut folders: Vec<String> = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let notes = value.split(';').filter_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == NOTE).then_some(value)
        });
        for folder in notes.flat_map(|note| note.split(SEPARATOR)) {
            let folder = folder.to_owned();
            if is_folder(&folder) && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders.truncate(MAX_FOLDERS);
    folders
}

fn is_folder(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-/".contains(&byte);
    (3..=MAX_FOLDER_BYTES).contains(&text.len())
        && text.starts_with('/')
        && text.ends_with('/')
        && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_removal_that_has_no_room_leaves_no_signature_first() {
        let lines =
            |folder: &str| SignedCookies::removal(folder, &CookieAttributes::default()).unwrap();
        let all = [lines("/a/"), lines("/b/")].concat();
        assert_eq!(fitting(all.clone(), size(&all)), all);
        let fewer = fitting(all.clone(), size(&all) - 1);
        let names: Vec<_> = fewer
            .iter()
            .map(|line| line.split(';').next().unwrap())
            .collect();
        assert_eq!(names, ["CloudFront-Signature=", "CloudFront-Signature="]);
        assert_eq!(fitting(all.clone(), size(&fewer) - 1).len(), 1);
        assert!(fitting(all, 0).is_empty());
    }

    #[test]
    fn notes_are_read_beside_cookies_of_any_bytes() {
        for (cookies, expected) in [
            (
                &b"__Host-gatepost-folders=/media/a/!/team/red/"[..],
                vec!["/media/a/", "/team/red/"],
            ),
            (
                b"a=\xc3\xa9; __Host-gatepost-folders=/media/a/; b",
                vec!["/media/a/"],
            ),
            (
                b"a=\xff;__Host-gatepost-folders=/media/a/",
                vec!["/media/a/"],
            ),
            (
                b"__Host-gatepost-folders=/media/a/; __Host-gatepost-folders=/media/b/!/media/a/",
                vec!["/media/a/", "/media/b/"],
            ),
            (
                b"__Host-gatepost-folders=/media/a/ b/!media/c/!/d!//!/!/e f/",
                vec![],
            ),
            (b"xgatepost-folders=/media/a/", vec![]),
        ] {
            let value = HeaderValue::from_bytes(cookies).unwrap();
            let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
            assert_eq!(noted(&headers), expected, "{cookies:?}");
        }
    }
}
