//! `GET /api/media`: the caller's finished media, newest first, page by page.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::Caller;
use crate::{Api, Problem, UploadId};

/// How many uploads a page looks at. Rejected ones are not listed, so a page may hold fewer.
const PAGE: i32 = 24;
/// How many manifests are fetched at a time.
const CONCURRENT_READS: usize = 8;

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
    Caller(viewer): Caller,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(paging) = paging.map_err(|_| Problem::InvalidParameter { name: "cursor" })?;
    let cursor = paging.cursor.as_deref();
    if cursor.is_some_and(|cursor| UploadId::parse(cursor).is_none()) {
        return Err(Problem::InvalidParameter { name: "cursor" });
    }
    let owner = viewer.owner.as_str();
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
