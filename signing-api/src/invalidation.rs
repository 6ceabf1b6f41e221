//! `CloudFront`'s cache, which forgets by invalidations. The Lambda uses it after each deletion.
//!
//! Deleted pictures are behind the authorizer as before; an invalidation removes them from the caches within a minute or
//! two, and not only at the end of their TTL.

use aws_call::{Caller, Scope};
use axum::http::Request;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use media_contract::{ORIGIN_PATH, UploadKey};
use signing_api::{DeliveryMode, DistributionId, EdgeCache};

/// `CloudFront` is one service for the world. Other endpoints are for tests.
const ENDPOINT: &str = "https://cloudfront.amazonaws.com";

/// The cache of the distribution that a call came through.
pub(crate) struct Invalidations {
    caller: Caller,
    endpoint: String,
    delivery: DeliveryMode,
}

impl Invalidations {
    /// `endpoint` is one in place of AWS's.
    pub(crate) fn new(caller: Caller, endpoint: Option<String>, delivery: DeliveryMode) -> Self {
        Self {
            caller,
            endpoint: endpoint.unwrap_or_else(|| ENDPOINT.to_owned()),
            delivery,
        }
    }

    async fn invalidate(
        &self,
        id: &str,
        upload: &UploadKey,
        paths: &[String],
    ) -> Result<(), String> {
        // The same reference and paths are the same invalidation, also for a retry: a repeated deletion makes no
        // further one, which would be paid for.
        let is_exact = paths.iter().all(|path| !path.ends_with('*'));
        let kind = if is_exact { "deleted" } else { "deleted-again" };
        let body = batch(&self.cached_as(paths), &format!("{}-{kind}", upload.id));
        let url = format!(
            "{}/2020-05-31/distribution/{id}/invalidation",
            self.endpoint
        );
        let request = Request::post(url)
            .header("content-type", "text/xml")
            .body(body)
            .map_err(|error| error.to_string())?;
        let sent = self
            .caller
            .send("cloudfront", Scope::Region("us-east-1"), &request);
        let answer = sent.await.map_err(|error| error.to_string())?;
        drop(answer);
        Ok(())
    }

    /// The paths under which the cache may have the objects. Where a function adds the origin path, that is the path of the
    /// cache; AWS advises to name the viewer's path as well.
    fn cached_as(&self, paths: &[String]) -> Vec<String> {
        let added = match self.delivery {
            DeliveryMode::Function => Some(ORIGIN_PATH),
            DeliveryMode::Lambda | DeliveryMode::Signed | DeliveryMode::Presigned => None,
        };
        let inner = added
            .into_iter()
            .flat_map(|origin_path| paths.iter().map(move |path| format!("{origin_path}{path}")));
        paths.iter().cloned().chain(inner).collect()
    }
}

impl EdgeCache for Invalidations {
    fn forget<'a>(
        &'a self,
        distribution: Option<&'a DistributionId>,
        upload: &'a UploadKey,
        paths: &'a [String],
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            match distribution {
                Some(DistributionId(id)) if !paths.is_empty() => {
                    self.invalidate(id, upload, paths).await
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

/// The body of `CreateInvalidation`. Paths have no characters that XML would need to escape: uploads' names are made here.
fn batch(paths: &[String], reference: &str) -> String {
    let items = paths.join("</Path><Path>");
    format!(
        "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>{}</Quantity>\
         <Items><Path>{items}</Path></Items></Paths><CallerReference>{reference}</CallerReference></InvalidationBatch>",
        paths.len()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use axum::Router;
    use axum::extract::Request as Called;
    use axum::http::StatusCode;
    use media_contract::UploadId;

    use super::*;

    type Calls = Arc<Mutex<Vec<(String, String, String)>>>;

    /// A `CloudFront` that notes what it is asked, and answers with this status.
    async fn serve(status: StatusCode) -> (String, Calls) {
        let calls = Calls::default();
        let noted = calls.clone();
        let router = Router::new().fallback(move |called: Called| {
            let noted = noted.clone();
            async move {
                let (head, body) = called.into_parts();
                let body = axum::body::to_bytes(body, 65_536).await.unwrap();
                let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
                noted.lock().unwrap().push((
                    format!("{} {}", head.method, head.uri),
                    authorization,
                    String::from_utf8(body.to_vec()).unwrap(),
                ));
                status
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, calls)
    }

    fn upload() -> UploadKey {
        UploadKey {
            owner: "a".to_owned(),
            id: UploadId::parse("7ybqtx5rqd7pcfe8gn11wj6j99").unwrap(),
        }
    }

    fn invalidations(endpoint: String, delivery: DeliveryMode) -> Invalidations {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let caller = Caller::new(SharedCredentialsProvider::new(credentials)).unwrap();
        Invalidations::new(caller, Some(endpoint), delivery)
    }

    #[tokio::test]
    async fn exact_paths_are_invalidated_in_the_distribution_of_the_call() {
        let (endpoint, calls) = serve(StatusCode::CREATED).await;
        let id = DistributionId("E1EXAMPLE".to_owned());
        let paths = ["/media/a/1/x/640.webp", "/media/a/1/manifest.json"].map(str::to_owned);
        for (delivery, items) in [
            (
                DeliveryMode::Lambda,
                "<Quantity>2</Quantity><Items><Path>/media/a/1/x/640.webp</Path><Path>/media/a/1/manifest.json</Path></Items>",
            ),
            (
                DeliveryMode::Function,
                "<Quantity>4</Quantity><Items><Path>/media/a/1/x/640.webp</Path><Path>/media/a/1/manifest.json</Path>\
                 <Path>/o/media/a/1/x/640.webp</Path><Path>/o/media/a/1/manifest.json</Path></Items>",
            ),
        ] {
            let cache = invalidations(endpoint.clone(), delivery);
            cache.forget(Some(&id), &upload(), &paths).await.unwrap();
            let (called, authorization, body) = calls.lock().unwrap().pop().unwrap();
            assert_eq!(
                called,
                "POST /2020-05-31/distribution/E1EXAMPLE/invalidation"
            );
            assert!(authorization.contains("/us-east-1/cloudfront/aws4_request"));
            assert!(body.contains(items), "{body}");
        }
    }

    #[tokio::test]
    async fn a_repeated_deletion_is_one_more_invalidation_and_no_other() {
        let (endpoint, calls) = serve(StatusCode::CREATED).await;
        let cache = invalidations(endpoint, DeliveryMode::Lambda);
        let id = DistributionId("E1EXAMPLE".to_owned());
        for paths in [["/media/a/1/640.webp"], ["/media/a/1/*"], ["/media/a/1/*"]] {
            let paths = paths.map(str::to_owned);
            cache.forget(Some(&id), &upload(), &paths).await.unwrap();
        }
        let calls = calls.lock().unwrap();
        let reference = |call: &(String, String, String)| {
            let (_, rest) = call.2.split_once("<CallerReference>").unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        let [first, again, repeated] = [0, 1, 2].map(|n: usize| reference(&calls[n]));
        assert_eq!(again, repeated);
        assert_ne!(first, again);
    }

    #[tokio::test]
    async fn nothing_is_called_without_a_distribution_or_without_paths() {
        let (endpoint, calls) = serve(StatusCode::CREATED).await;
        let cache = invalidations(endpoint, DeliveryMode::Lambda);
        let id = DistributionId("E1EXAMPLE".to_owned());
        cache
            .forget(None, &upload(), &["/media/a".to_owned()])
            .await
            .unwrap();
        cache.forget(Some(&id), &upload(), &[]).await.unwrap();
        assert!(calls.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let (endpoint, _) = serve(StatusCode::FORBIDDEN).await;
        let cache = invalidations(endpoint, DeliveryMode::Lambda);
        let id = DistributionId("E1EXAMPLE".to_owned());
        let refused = cache
            .forget(Some(&id), &upload(), &["/media/a".to_owned()])
            .await;
        assert!(refused.unwrap_err().contains("403"));
    }
}
