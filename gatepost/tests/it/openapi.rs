//! Compares the `OpenAPI` document with the running service: every answer is described, and everything described is
//! answered.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{Gatepost, gatepost, photo, text};

/// Answers that need a fault of a dependency: S3, credentials, an issuer.
const NOT_PROVOKED: [&str; 1] = ["unavailable"];

/// Operations, each with a status.
type Statuses = BTreeSet<(String, u16)>;
/// Operations, each with a problem's type.
type Problems = BTreeSet<(String, String)>;

struct Document {
    document: Value,
    seen: Statuses,
    problems: Problems,
}

impl Document {
    async fn of(system: &Gatepost) -> Self {
        let url = format!("{}/api/openapi.json", system.url);
        let response = system.http.get(url).send().await.unwrap();
        let document = response.json().await.unwrap();
        Self {
            document,
            seen: BTreeSet::new(),
            problems: BTreeSet::new(),
        }
    }

    /// Sends a call, and finds its answer in the document.
    async fn check(&mut self, operation: &str, request: RequestBuilder) -> Value {
        let response = request.send().await.unwrap();
        self.check_answer(operation, response).await
    }

    async fn check_answer(&mut self, operation: &str, response: Response) -> Value {
        let (method, path) = operation.split_once(' ').unwrap();
        let status = response.status().as_u16();
        let described =
            &self.document["paths"][path][method.to_lowercase()]["responses"][status.to_string()];
        assert!(described.is_object(), "{operation} answers {status}");
        for (name, header) in described["headers"].as_object().unwrap() {
            let header = self.resolved(header);
            let found = response.headers().get(name);
            let found = found.unwrap_or_else(|| panic!("{operation} {status} lacks {name}"));
            self.validate(&header["schema"], &found.to_str().unwrap().into());
        }
        let content_type = response.headers().get("content-type").cloned();
        let bytes = response.bytes().await.unwrap();
        let body = if let Some(content) = described["content"].as_object() {
            let content_type = content_type.unwrap();
            let schema = &content[content_type.to_str().unwrap()]["schema"];
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            self.validate(schema, &body);
            body
        } else {
            assert!(bytes.is_empty(), "{operation} {status}");
            Value::Null
        };
        self.seen.insert((operation.to_owned(), status));
        if let Some(problem) = body["type"].as_str().filter(|_| status >= 400) {
            self.problems
                .insert((operation.to_owned(), problem.to_owned()));
        }
        body
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                self.document.pointer(pointer).unwrap()
            }
            None => value,
        }
    }

    fn validate(&self, schema: &Value, value: &Value) {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap();
        let faults: Vec<_> = validator
            .iter_errors(value)
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{value}: {faults:?}");
    }

    /// Every operation, with its statuses and its problems.
    fn described(&self) -> (Statuses, Problems) {
        let (mut statuses, mut problems) = (Statuses::new(), Problems::new());
        for (path, methods) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let name = format!("{} {path}", method.to_uppercase());
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let types = &answer["content"]["application/problem+json"]["schema"]["allOf"]
                        [1]["properties"]["type"]["enum"];
                    let types: Vec<&str> = types
                        .as_array()
                        .map(|types| types.iter().filter_map(Value::as_str).collect())
                        .unwrap_or_default();
                    let is_provoked =
                        |code: &&&str| !NOT_PROVOKED.iter().any(|name| code.ends_with(name));
                    let provoked: Vec<_> = types.iter().filter(is_provoked).collect();
                    if types.is_empty() || !provoked.is_empty() {
                        statuses.insert((name.clone(), status.parse().unwrap()));
                    }
                    problems.extend(
                        provoked
                            .iter()
                            .map(|code| (name.clone(), (**code).to_owned())),
                    );
                }
            }
        }
        (statuses, problems)
    }
}

fn token_with(system: &Gatepost, claims: &Value) -> String {
    let output = gatepost()
        .args(["token", "--sub", "alice", "--data-dir"])
        .arg(&system.data_dir)
        .args(["--claims", &claims.to_string()])
        .output()
        .unwrap();
    text(&output).0.trim().to_owned()
}

#[tokio::test]
async fn the_service_matches_its_openapi_document() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        &folder.path().join("data"),
        r#"
        [token]
        from = ["authorization", "cookie:__Host-gatepost"]
        [[rules]]
        path  = "/media/{owner}/**"
        allow = "owner"
        [[rules]]
        path   = "/team/**"
        claims = { biography = "long" }
        "#,
    );
    let mut document = Document::of(&system).await;
    let alice = system.token("alice");
    let call = |method: Method, path: &str| system.request(method, path, &alice);
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let nobody = |method: &Method, path: &str| {
        system
            .http
            .request(method.clone(), format!("{}{path}", system.url))
    };
    let elsewhere = ("sec-fetch-site", "cross-site");
    let no_upload = "/api/uploads/7zzzzzzzzzzzzzzzzzzzzzzzzz";

    // Uploads.
    let create = "POST /api/uploads";
    let jpeg = photo(640, 480);
    let intent = json!({"content_type": "image/jpeg", "size": jpeg.len()});
    let with = |name: &str, value: Value| {
        let mut body = intent.clone();
        body[name] = value;
        call(post.clone(), "/api/uploads").json(&body)
    };
    let form = document
        .check(create, with("filename", json!("a.jpg")))
        .await;
    let form = crate::harness::Form(form);
    document
        .check(create, with("content_type", json!("text/html")))
        .await;
    document.check(create, with("size", json!(1e9))).await;
    document
        .check(create, with("size", json!(26_214_401)))
        .await;
    document
        .check(create, call(post.clone(), "/api/uploads").body("{}"))
        .await;
    let long = "x".repeat(16 * 1024);
    document.check(create, with("filename", json!(long))).await;
    document
        .check(create, nobody(&post, "/api/uploads").json(&intent))
        .await;
    document
        .check(
            create,
            nobody(&post, "/api/uploads")
                .json(&intent)
                .header(elsewhere.0, elsewhere.1),
        )
        .await;

    let show = "GET /api/uploads/{id}";
    let path = format!("/api/uploads/{}", form.id());
    let answer = document.check(show, call(get.clone(), &path)).await;
    assert_eq!(answer["status"], "pending");
    assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
    system.settled(&alice, &form.id()).await;
    let ready = document.check(show, call(get.clone(), &path)).await;
    assert_eq!(ready["status"], "ready");
    let bad = system.upload(&alice, "image/jpeg", b"no picture").await;
    let bad = format!("/api/uploads/{}", bad["id"].as_str().unwrap());
    let answer = document.check(show, call(get.clone(), &bad)).await;
    assert_eq!(answer["status"], "rejected");
    document.check(show, nobody(&get, &path)).await;
    document.check(show, call(get.clone(), no_upload)).await;

    let show_many = "GET /api/uploads";
    let unknown = "7zzzzzzzzzzzzzzzzzzzzzzzzz";
    let ids: Vec<_> = [path.as_str(), &bad, no_upload]
        .iter()
        .map(|path| path.rsplit('/').next().unwrap())
        .collect();
    let many = format!("/api/uploads?ids={}", ids.join(","));
    let found = document.check(show_many, call(get.clone(), &many)).await;
    let items = found["items"].as_array().unwrap();
    let of = |member: &str| {
        let members = items.iter().map(|item| item[member].as_str().unwrap());
        members.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of("id"), ids);
    assert_eq!(of("status"), ["ready", "rejected", "unknown"]);
    assert_eq!(items[0]["manifest"]["source"], ready["manifest"]["source"]);
    let too_many = vec![unknown; 51].join(",");
    for wrong in ["", "?ids=", "?ids=x", &format!("?ids={too_many}")] {
        let wrong = format!("/api/uploads{wrong}");
        document.check(show_many, call(get.clone(), &wrong)).await;
    }
    document.check(show_many, nobody(&get, &many)).await;

    // Media.
    let list = "GET /api/media";
    let page = document.check(list, call(get.clone(), "/api/media")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    document
        .check(list, call(get.clone(), "/api/media?cursor=x"))
        .await;
    document.check(list, nobody(&get, "/api/media")).await;

    // Links.
    let link = "POST /api/links";
    let wish = |path: &str| {
        call(post.clone(), "/api/links").json(&json!({"path": path, "expires_in": 60}))
    };
    let rendition = ready["manifest"]["renditions"][0]["path"].as_str().unwrap();
    document.check(link, wish(rendition)).await;
    document.check(link, wish("/media/../x")).await;
    document.check(link, wish("/elsewhere/x")).await;
    document
        .check(link, call(post.clone(), "/api/links").body("{}"))
        .await;
    document.check(link, wish(&long)).await;
    document
        .check(
            link,
            nobody(&post, "/api/links").header(elsewhere.0, elsewhere.1),
        )
        .await;
    document
        .check(link, nobody(&post, "/api/links").json(&json!({})))
        .await;

    // Sessions.
    let who = "GET /api/session";
    let caller = document.check(who, call(get.clone(), "/api/session")).await;
    assert_eq!(caller["sub"], "alice");
    document.check(who, nobody(&get, "/api/session")).await;
    let start = "POST /api/session";
    let response = call(post.clone(), "/api/session").send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    document.check_answer(start, response).await;
    document
        .check(
            start,
            nobody(&post, "/api/session").header("cookie", &cookie),
        )
        .await;
    document.check(start, nobody(&post, "/api/session")).await;
    document
        .check(
            start,
            call(post.clone(), "/api/session").header(elsewhere.0, elsewhere.1),
        )
        .await;
    let long = token_with(&system, &json!({"biography": "x".repeat(3500)}));
    document
        .check(start, system.request(post.clone(), "/api/session", &long))
        .await;
    let end = "DELETE /api/session";
    document.check(end, nobody(&delete, "/api/session")).await;
    document
        .check(
            end,
            nobody(&delete, "/api/session").header(elsewhere.0, elsewhere.1),
        )
        .await;

    // Deleting.
    let remove = "DELETE /api/media/{id}";
    let path = format!("/api/media/{}", form.id());
    document.check(remove, nobody(&delete, &path)).await;
    document
        .check(
            remove,
            nobody(&delete, &path).header(elsewhere.0, elsewhere.1),
        )
        .await;
    document.check(remove, call(delete.clone(), &path)).await;
    document.check(remove, call(delete.clone(), &path)).await;
    document
        .check(remove, call(delete.clone(), "/api/media/x"))
        .await;
    let gone = format!("/api/uploads/{}", form.id());
    let answer = document.check(show, call(get.clone(), &gone)).await;
    assert_eq!(answer["status"], "deleted");
    // An upload that has not arrived can be deleted, too.
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    let pending = format!("/api/media/{}", form.id());
    document.check(remove, call(delete.clone(), &pending)).await;
    assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
    let gone = format!("/api/uploads/{}", form.id());
    let answer = document.check(show, call(get.clone(), &gone)).await;
    assert_eq!(answer["status"], "deleted");
    // An upload that a worker marked as failed.
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    let place = folder.path().join("data/s3/gatepost-media/o");
    let place = place.join(form.0["manifest"].as_str().unwrap().trim_start_matches('/'));
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let manifest = json!({
        "version": 1, "id": form.id(), "owner": form.0["manifest"].as_str().unwrap().split('/').nth(2), "status": "failed",
        "reason": {"code": "processing_failed", "message": "It could not be processed."},
        "created_at": "2026-11-27T12:00:00Z",
    });
    std::fs::write(&place, manifest.to_string()).unwrap();
    let failed = format!("/api/uploads/{}", form.id());
    let answer = document.check(show, call(get.clone(), &failed)).await;
    assert_eq!(answer["reason"], manifest["reason"]);
    assert_eq!(answer["status"], "failed");

    // A service's token names no subject, so it owns nothing.
    let service = token_with(&system, &json!({"sub": ""}));
    let by_service = |method: &Method, path: &str| system.request(method.clone(), path, &service);
    let caller = document.check(who, by_service(&get, "/api/session")).await;
    assert_eq!(
        (&caller["sub"], &caller["owner"]),
        (&Value::Null, &Value::Null)
    );
    document
        .check(create, by_service(&post, "/api/uploads").json(&intent))
        .await;
    document.check(show, by_service(&get, no_upload)).await;
    document.check(show_many, by_service(&get, &many)).await;
    document.check(list, by_service(&get, "/api/media")).await;
    document.check(remove, by_service(&delete, &path)).await;

    let itself = "GET /api/openapi.json";
    document
        .check(itself, nobody(&get, "/api/openapi.json"))
        .await;

    // A system without sessions.
    let without = Gatepost::start_configured(
        &folder.path().join("other"),
        "[token]\nfrom = [\"authorization\"]\n",
    );
    let token = without.token("alice");
    document
        .check(start, without.request(post.clone(), "/api/session", &token))
        .await;

    let (statuses, problems) = document.described();
    assert_eq!(document.seen, statuses);
    assert_eq!(document.problems, problems);

    // The service has no method that the document lacks.
    for (path, described) in document.document["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if described.get(method.to_lowercase()).is_some() {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let path = path.replace("{id}", "7zzzzzzzzzzzzzzzzzzzzzzzzz");
            let answer = call(method.clone(), &path).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            let allowed = answer.headers()["allow"].to_str().unwrap().split(',');
            let allowed: BTreeSet<_> = allowed.map(|name| name.trim().to_lowercase()).collect();
            let described = described.as_object().unwrap().keys().cloned();
            let mut described: BTreeSet<_> = described.collect();
            if described.contains("get") {
                described.insert("head".to_owned());
            }
            assert_eq!(allowed, described, "{method} {path}");
        }
    }
}
