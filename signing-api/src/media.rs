//! `GET /api/media` lists the caller's finished media, newest first, page by page. `DELETE /api/media/{id}` deletes one
//! upload.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use media_contract::{Manifest, Status, UploadId, UploadKey};
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::caller::CallingOwner;
use crate::problem::Problem;
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
    items: Vec<Manifest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<UploadId>,
}

/// Lists a page.
pub(crate) async fn list(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    const INVALID: Problem = Problem::InvalidParameter { name: "cursor" };
    let Query(paging) = paging.map_err(|_| INVALID)?;
    let cursor = match &paging.cursor {
        Some(text) => Some(UploadId::parse(text).ok_or(INVALID)?),
        None => None,
    };
    let mut page = Page {
        items: Vec::new(),
        cursor,
    };
    for _ in 0..MAX_LISTINGS {
        let (ids, next) = api
            .media_ids(owner.as_str(), page.cursor, LISTED_AT_ONCE)
            .await?;
        page.items.extend(ready(&api, owner.as_str(), ids).await);
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

/// Deletes an upload: its renditions and its original. A tombstone replaces the manifest, so neither a late worker nor a
/// late upload publishes it again. The call is idempotent.
///
/// The original is removed last: while it exists, its event or a sweep completes an interrupted deletion.
pub(crate) async fn delete(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let upload = upload_of(&owner, id)?;
    api.store.write_tombstone(&upload, (api.clock)()).await?;
    let removed = api.store.remove_media(&upload).await;
    // Also if the removal failed and a sweep completes it.
    if let Some(cache) = &api.edge_cache {
        let forgotten = cache.forget(upload.media_path()).await;
        forgotten.map_err(Problem::EdgeCache)?;
    }
    removed?;
    api.store.remove_original(&upload).await?;
    tracing::info!(owner = %upload.owner, id = %upload.id, "an upload was deleted");
    Ok(StatusCode::NO_CONTENT)
}
