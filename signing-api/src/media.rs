//! `GET /api/media`: the caller's finished media, newest first, page by page. `DELETE /api/media/{id}`: one of them
//! less.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::CallingOwner;
use crate::{Api, Problem, UploadId};

/// How many uploads a page looks at. Rejected ones are not listed, so a page may hold fewer.
const PAGE: i32 = 24;
/// How many manifests are fetched at a time.
const CONCURRENT_READS: usize = 8;

/// How long after its form was made an upload without a manifest is being worked on, and not one that failed for good.
const STILL_AT_WORK: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    items: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Lists a page.
pub(crate) async fn list(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(paging) = paging.map_err(|_| Problem::InvalidParameter { name: "cursor" })?;
    let cursor = paging.cursor.as_deref();
    if cursor.is_some_and(|cursor| UploadId::parse(cursor).is_none()) {
        return Err(Problem::InvalidParameter { name: "cursor" });
    }
    let owner = owner.as_str();
    let (ids, next) = api.media_ids(owner, cursor, PAGE).await?;
    let reads: Vec<_> = ids.iter().map(|id| api.manifest(owner, id)).collect();
    let manifests: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .collect()
        .await;
    let items = ids
        .iter()
        .zip(manifests)
        .filter_map(|(id, manifest)| {
            manifest.unwrap_or_else(|problem| {
                // One that cannot be read hides no other.
                tracing::error!(owner, id, "a manifest cannot be listed: {problem}");
                None
            })
        })
        .filter(|manifest| manifest["status"] == "ready")
        .collect();
    Ok(Json(Page {
        items,
        cursor: next,
    }))
}

/// Deletes what became of an upload: the original, the manifest, the renditions. What is not there is deleted already.
///
/// The original goes first, or it would be found without a manifest and processed again; then the manifest, so that
/// nobody lists what is half gone; then the edge forgets it. Whoever was interrupted asks again.
pub(crate) async fn delete(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id.map_err(|_| Problem::NoSuchUpload)?;
    let parsed = UploadId::parse(&id).ok_or(Problem::NoSuchUpload)?;
    let owner = owner.as_str();
    let age = (api.clock)().duration_since(parsed.made_at());
    if age < STILL_AT_WORK
        && !api.has_manifest(owner, &id).await?
        && api.upload_arrived(owner, &id).await?
    {
        // Whoever works on it would publish it after it was deleted.
        return Err(Problem::NotFinished);
    }
    api.delete_upload(owner, &id).await?;
    api.delete_media(owner, &id).await?;
    if let Some(cache) = &api.edge_cache {
        let forgotten = cache.forget(format!("/media/{owner}/{id}/")).await;
        forgotten.map_err(Problem::EdgeCache)?;
    }
    tracing::info!(owner, id, "an upload was deleted");
    Ok(StatusCode::NO_CONTENT)
}
