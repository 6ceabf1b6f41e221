//! `CloudFront`'s signed cookies of mode `signed`: one set for each folder that the rules grant a viewer. `session` sets and
//! removes them.
//!
//! The sets have the same names and differ by their `Path`, so a browser sends the one of the folder that it asks for.

use axum::http::{HeaderMap, header};
use edge_auth::{Headers, Request, SESSION_COOKIE, Viewer};
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
const MAX_LINES_BYTES: usize = 12 * 1024;

/// What a session opens.
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

/// The lines that remove the cookies of the session that a call carries, except for the folders that get new ones.
pub(crate) async fn removal(
    api: &Api,
    headers: &HeaderMap,
    kept: &[String],
) -> Result<Vec<String>, Problem> {
    let mut lines = Vec::new();
    if !are_used(api) {
        return Ok(lines);
    }
    // Cookies do not outlive their session: after an expired one there are none.
    let Some(viewer) = viewer_of_session(api, headers).await else {
        return Ok(lines);
    };
    let before = api.authorizer.authorizer().folders(&viewer);
    let before = before.iter().take(MAX_FOLDERS);
    for folder in before.filter(|folder| !kept.contains(folder)) {
        lines.extend(SignedCookies::removal(
            folder,
            &CookieAttributes::default(),
        )?);
    }
    Ok(lines)
}

/// The viewer of the session cookie, even if the call has another token beside it.
async fn viewer_of_session(api: &Api, headers: &HeaderMap) -> Option<Viewer> {
    let values = headers.get_all(header::COOKIE).iter();
    let cookies = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut sessions = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    });
    let mut alone = Headers::default();
    alone.append("cookie", format!("{SESSION_COOKIE}={}", sessions.next()?));
    let request = Request::from(&alone);
    api.authorizer.authenticate(&request).await.ok()
}
