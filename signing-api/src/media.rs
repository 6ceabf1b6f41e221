//! `GET /api/media` lists the caller's finished media, newest first, page by page. `DELETE /api/media/{id}` deletes one
//! upload.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use edge_auth::{Decision, Headers, Request};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use media_contract::{Manifest, Status, UploadId, UploadKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::Api;
use crate::caller::CallingOwner;
use crate::edge_cache::{DistributionId, cached_paths};
use crate::media_urls::{CameFrom, MediaUrls};
use crate::problem::Problem;
use crate::settings::DeliveryMode;
use crate::uploads::upload_of;

/// The maximum number of uploads per listing request.
const LISTED_AT_ONCE: i32 = 24;
/// A page is full when it has as many items; one more listing request may take it above.
const FULL_PAGE: usize = 12;
/// How many listing requests a page may take. Rejected uploads and tombstones are not listed: a page of an owner who
/// deleted much would otherwise be empty.
const MAX_LISTINGS: usize = 5;
/// How many manifests are read at a time.
const CONCURRENT_READS: usize = 8;

#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    /// Manifests whose renditions have a `url` each.
    items: Vec<Value>,
    /// When the first of these expires, if they are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    urls_expire_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<UploadId>,
}

/// Lists a page.
pub(crate) async fn list(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    from: CameFrom,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    const INVALID: Problem = Problem::InvalidParameter { name: "cursor" };
    let Query(paging) = paging.map_err(|_| INVALID)?;
    let cursor = match &paging.cursor {
        Some(text) => Some(UploadId::parse(text).ok_or(INVALID)?),
        None => None,
    };
    let urls = MediaUrls::listed(&api, &from).await?;
    let mut page = Page {
        items: Vec::new(),
        urls_expire_at: None,
        cursor,
    };
    for _ in 0..MAX_LISTINGS {
        let (ids, next) = api
            .media_ids(owner.as_str(), page.cursor, LISTED_AT_ONCE)
            .await?;
        for manifest in ready(&api, owner.as_str(), ids).await {
            let (item, end) = urls.add_to(&manifest, (&api, &from)).await?;
            page.items.push(item);
            page.urls_expire_at = page.urls_expire_at.into_iter().chain(end).min();
        }
        page.cursor = next;
        if page.cursor.is_none() || page.items.len() >= FULL_PAGE {
            break;
        }
    }
    Ok(Json(page))
}

/// The manifests of these uploads that have renditions, in the same order.
async fn ready(api: &Api, owner: &str, ids: Vec<UploadId>) -> Vec<Manifest> {
    let reads: Vec<_> = ids
        .into_iter()
        .map(|id| async move {
            let owner = owner.to_owned();
            let upload = UploadKey { owner, id };
            match api.store.manifest(&upload).await {
                Ok(found) => found.map(|found| found.manifest),
                // An unreadable manifest must not hide the others.
                Err(error) => {
                    tracing::error!(owner = %upload.owner, %id, %error, "a manifest cannot be listed");
                    None
                }
            }
        })
        .collect();
    let manifests: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .collect()
        .await;
    manifests
        .into_iter()
        .flatten()
        .filter(|manifest| matches!(manifest.status, Status::Ready { .. }))
        .collect()
}

/// Whether a path is open without any token.
fn is_for_anyone(api: &Api, path: &str) -> bool {
    let headers = Headers::default();
    let request = Request {
        method: "GET",
        uri: path.trim_end_matches('*'),
        ..Request::from(&headers)
    };
    let decision = api.authorizer.authorizer().decide((api.clock)(), &request);
    matches!(decision, Decision::Allow(allowed) if allowed.is_for_anyone)
}

/// Deletes an upload: its renditions and its original. A tombstone replaces the manifest, so neither a late worker nor a
/// late upload publishes it again. The call is idempotent.
///
/// The original is removed last: while it exists, its event or a sweep completes an interrupted deletion.
pub(crate) async fn delete(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    distribution: Option<Extension<DistributionId>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let upload = upload_of(&owner, id)?;
    let found = api.store.write_tombstone(&upload, (api.clock)()).await?;
    let removed = api.store.remove_media(&upload).await;
    let mut forgotten = Ok(());
    // Also if the removal failed and a sweep completes it. A repeated deletion has one more invalidation, which is of no
    // use while the objects are there.
    let is_tombstone = |found: &Manifest| matches!(found.status, Status::Deleted { .. });
    let is_repeated = found.as_ref().is_some_and(is_tombstone);
    if let Some(cache) = &api.edge_cache
        && (removed.is_ok() || !is_repeated)
    {
        let mut paths = cached_paths(&upload, found.as_ref());
        // An entry with a signature in its key cannot be named, and ends within a minute.
        if api.settings.delivery == DeliveryMode::Presigned {
            paths.retain(|path| is_for_anyone(&api, path));
        }
        forgotten = cache.forget(distribution.as_deref(), &upload, &paths).await;
    }
    removed?;
    api.store.remove_original(&upload).await?;
    forgotten.map_err(Problem::EdgeCache)?;
    tracing::info!(owner = %upload.owner, id = %upload.id, "an upload was deleted");
    Ok(StatusCode::NO_CONTENT)
}
