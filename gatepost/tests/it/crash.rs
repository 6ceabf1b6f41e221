//! Crash safety: no upload is lost and none is published twice, whenever the process ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use upload_processor::retry::MAX_RECEIVES;

use crate::harness::{Form, Gatepost, PATIENCE, photo, post_form};

fn manifests(data_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let media = data_dir.join("s3/gatepost-media/o/media");
    for owner in std::fs::read_dir(media).into_iter().flatten() {
        for upload in std::fs::read_dir(owner.unwrap().path()).unwrap() {
            let manifest = upload.unwrap().path().join("manifest.json");
            if manifest.exists() {
                found.push(manifest);
            }
        }
    }
    found
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until every message is settled.
async fn drained(data_dir: &Path) {
    let is_empty = || {
        std::fs::read_dir(data_dir.join("queue"))
            .unwrap()
            .next()
            .is_none()
    };
    until("messages are left", is_empty).await;
}

#[tokio::test]
async fn twenty_uploads_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(1600, 1200);
    let mut forms: Vec<Form> = Vec::new();
    for _ in 0..20 {
        forms.push(system.form(&alice, "image/jpeg", &jpeg).await);
    }
    let sending: Vec<_> = forms
        .iter()
        .map(|form| {
            let (http, url, fields, jpeg) = (
                system.http.clone(),
                form.url().to_owned(),
                form.fields(),
                jpeg.clone(),
            );
            tokio::spawn(async move { post_form(&http, &url, &fields, &jpeg).await })
        })
        .collect();
    // Some are finished, some are in progress, some may not have arrived yet.
    until("no upload was finished", || {
        manifests(folder.path()).len() >= 3
    })
    .await;
    system.kill();
    let n_finished = manifests(folder.path()).len();
    assert!(n_finished < 20, "all were finished before the kill");

    let system = Gatepost::start(folder.path());
    for (form, sent) in forms.iter().zip(sending) {
        // A sender without an answer sends again.
        if !sent
            .await
            .unwrap()
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
        }
    }
    for form in &forms {
        let answer = system.settled(&alice, &form.id()).await;
        assert_eq!(answer["status"], "ready", "{answer}");
        for rendition in answer["manifest"]["renditions"].as_array().unwrap() {
            let file = system
                .get(rendition["path"].as_str().unwrap(), &alice)
                .await
                .bytes()
                .await
                .unwrap();
            let decoded = image::load_from_memory(&file).unwrap();
            assert_eq!(
                u64::from(decoded.width()),
                rendition["width"].as_u64().unwrap()
            );
        }
    }
    assert_eq!(manifests(folder.path()).len(), 20);
    drained(folder.path()).await;
}

/// Twenty starts with five uploads and a kill each: while forms are sent, pictures are decoded, renditions are written or
/// messages are settled. A sender without an answer sends again, as browsers do.
#[tokio::test]
async fn a_hundred_uploads_survive_twenty_kills() {
    const N_KILLS: usize = 20;
    const N_UPLOADS: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let jpeg = photo(1600, 1200);
    let mut forms = Vec::new();
    let mut unsent: Vec<Form> = Vec::new();
    let mut seed: u64 = 4;
    let mut n_hit = 0;
    for _ in 0..N_KILLS {
        let system = Gatepost::start(folder.path());
        let alice = system.token("alice");
        for _ in 0..N_UPLOADS {
            let form = system.form(&alice, "image/jpeg", &jpeg).await;
            forms.push(form.id());
            unsent.push(form);
        }
        // The port is that of the previous start, unless another process has taken it; signatures do not contain it.
        let url = unsent[unsent.len() - 1].url().to_owned();
        let sending: Vec<_> = unsent
            .drain(..)
            .map(|form| {
                let (http, url, jpeg) = (system.http.clone(), url.clone(), jpeg.clone());
                tokio::spawn(async move {
                    let answer = post_form(&http, &url, &form.fields(), &jpeg).await;
                    let is_sent = answer.is_ok_and(|answer| answer.status() == 204);
                    (form, is_sent)
                })
            })
            .collect();
        // The kill comes after one to four more are finished, and a random moment. Without progress the same messages
        // would be hit every time, and a message that was tried nine times is a dead letter.
        seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        let n_finished = manifests(folder.path()).len() + 1 + (seed >> 8) as usize % 4;
        until("too few uploads are finished", || {
            manifests(folder.path()).len() >= n_finished
        })
        .await;
        tokio::time::sleep(Duration::from_millis((seed >> 16) % 100)).await;
        system.kill();
        for sent in sending {
            let (form, is_sent) = sent.await.unwrap();
            if !is_sent {
                unsent.push(form);
            }
        }
        n_hit += usize::from(manifests(folder.path()).len() < forms.len());
    }
    assert!(
        n_hit >= N_KILLS / 2,
        "only {n_hit} kills came before the end"
    );

    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let url = system
        .form(&alice, "image/jpeg", &jpeg)
        .await
        .url()
        .to_owned();
    for form in &unsent {
        let answer = post_form(&system.http, &url, &form.fields(), &jpeg).await;
        assert_eq!(answer.unwrap().status(), 204);
    }
    for id in &forms {
        let answer = system.settled(&alice, id).await;
        assert_eq!(answer["status"], "ready", "{answer}");
        let renditions = answer["manifest"]["renditions"].as_array().unwrap();
        assert!(!renditions.is_empty());
        for rendition in renditions {
            let path = rendition["path"].as_str().unwrap();
            let file = system.get(path, &alice).await.bytes().await.unwrap();
            let decoded = image::load_from_memory(&file).unwrap();
            assert_eq!(rendition["width"], decoded.width());
            assert_eq!(rendition["bytes"], file.len());
        }
    }
    assert_eq!(manifests(folder.path()).len(), N_KILLS * N_UPLOADS);
    drained(folder.path()).await;
    assert!(
        !folder
            .path()
            .join("dead-letters")
            .read_dir()
            .is_ok_and(|mut dead| dead.next().is_some())
    );
}

#[tokio::test]
async fn an_object_whose_event_was_lost_is_found_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(400, 300)).await;
    let id = answer["id"].as_str().unwrap().to_owned();
    system.kill();
    // As after a crash between the object and its event.
    for manifest in manifests(folder.path()) {
        std::fs::remove_file(manifest).unwrap();
    }
    let system = Gatepost::start(folder.path());
    assert_eq!(system.settled(&alice, &id).await["status"], "ready");
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue");
    std::fs::create_dir_all(&queue).unwrap();
    // It is malformed, and was tried for half an hour.
    let message = serde_json::json!({
        "message_id": "1", "body": "{\"detail\": {}}", "sent_at": "2026-11-27T12:00:00Z",
        "receive_count": MAX_RECEIVES - 1,
    });
    std::fs::write(queue.join("1.json"), message.to_string()).unwrap();
    let system = Gatepost::start(folder.path());
    let dead = folder.path().join("dead-letters/1.json");
    until("there is no dead letter", || dead.exists()).await;
    let letter: serde_json::Value = serde_json::from_slice(&std::fs::read(&dead).unwrap()).unwrap();
    assert_eq!(letter["receive_count"], MAX_RECEIVES);
    assert_eq!(letter["body"], message["body"]);
    // The next start does not try it again, and it delayed no other message.
    drop(system);
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(64, 48)).await;
    assert_eq!(answer["status"], "ready");
    drained(folder.path()).await;
    assert!(dead.exists());
}

#[tokio::test]
async fn a_truncated_upload_is_discarded_and_a_truncated_manifest_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(400, 300);
    let answer = system.upload(&alice, "image/jpeg", &jpeg).await;
    let (id, owner) = (
        answer["id"].as_str().unwrap(),
        answer["manifest"]["owner"].as_str().unwrap(),
    );
    let store = folder.path().join("s3");
    system.kill();

    // As after a crash between an object's bytes and its attributes: of an upload, and of a manifest.
    let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let attributes = |bucket: &str, key: &str| {
        store.join(format!(
            ".bucket-{}.object-{}.metadata.json",
            encode(bucket),
            encode(key)
        ))
    };
    let manifest = format!("o/media/{owner}/{id}/manifest.json");
    std::fs::remove_file(attributes("gatepost-media", &manifest)).unwrap();
    let cut_off = store.join(format!(
        "gatepost-uploads/uploads/{owner}/{}",
        "7".repeat(26)
    ));
    std::fs::write(&cut_off, &jpeg[..100]).unwrap();

    let system = Gatepost::start(folder.path());
    assert_eq!(system.settled(&alice, id).await["status"], "ready");
    assert!(attributes("gatepost-media", &manifest).exists());
    // Incomplete files are set aside, and never deleted.
    assert!(!cut_off.exists());
    let start = folder.path().join("set-aside").read_dir().unwrap().next();
    let aside = start
        .unwrap()
        .unwrap()
        .path()
        .join("gatepost-uploads/uploads");
    let moved = aside.join(owner).join("7".repeat(26));
    assert_eq!(std::fs::read(moved).unwrap(), &jpeg[..100]);
    assert_eq!(manifests(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_form_sent_with_two_pictures_keeps_one() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    // Two pictures of the same size in bytes, with different renditions.
    let one = photo(1600, 1200);
    let mut other = photo(1200, 1600);
    let length = one.len().max(other.len());
    let mut one = one;
    one.resize(length, 0);
    other.resize(length, 0);
    for delay in [0, 20, 60, 120] {
        let intent = serde_json::json!({"content_type": "image/jpeg", "size": length});
        let response = system
            .request(reqwest::Method::POST, "/api/uploads", &alice)
            .json(&intent)
            .send()
            .await
            .unwrap();
        let form = Form(response.json().await.unwrap());
        assert_eq!(form.send(&system.http, &one).await.status(), 204);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        assert_eq!(form.send(&system.http, &other).await.status(), 204);
        let answer = system.settled(&alice, &form.id()).await;
        drained(folder.path()).await;
        let renditions = answer["manifest"]["renditions"].as_array().unwrap();
        for rendition in renditions {
            let path = rendition["path"].as_str().unwrap();
            let file = system.get(path, &alice).await.bytes().await.unwrap();
            assert_eq!(
                file.len() as u64,
                rendition["bytes"].as_u64().unwrap(),
                "{delay} ms: {path}"
            );
            let decoded = image::load_from_memory(&file).unwrap();
            assert_eq!(
                u64::from(decoded.height()),
                rendition["height"].as_u64().unwrap(),
                "{delay} ms: {path}"
            );
        }
        let media = folder.path().join("s3/gatepost-media/o");
        let made = media.join(
            answer["manifest"]["renditions"][0]["path"]
                .as_str()
                .unwrap()
                .trim_start_matches('/'),
        );
        let n_files = std::fs::read_dir(made.parent().unwrap()).unwrap().count();
        assert_eq!(
            n_files,
            renditions.len() + 1,
            "{delay} ms: files that no manifest names"
        );
    }
}

#[tokio::test]
async fn a_sender_that_hangs_up_after_the_last_byte_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(320, 240);
    let mut sent = Vec::new();
    for idx in 0..30 {
        let form = system.form(&alice, "image/jpeg", &jpeg).await;
        let mut body = Vec::new();
        for (name, value) in form.fields() {
            body.extend(
                format!(
                    "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .bytes(),
            );
        }
        body.extend(
            b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n",
        );
        body.extend(&jpeg);
        body.extend(b"\r\n--b--\r\n");
        let host = form
            .url()
            .strip_prefix("http://")
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let head = format!(
            "POST /gatepost-uploads HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = std::net::TcpStream::connect(&host).unwrap();
        std::io::Write::write_all(&mut socket, &[head.as_bytes(), &body].concat()).unwrap();
        std::thread::sleep(Duration::from_millis(idx % 10));
        drop(socket);
        sent.push(form);
    }
    // Uploads that arrived are finished; the others leave nothing behind. A later upload is finished after them.
    system.upload(&alice, "image/jpeg", &jpeg).await;
    drained(folder.path()).await;
    for form in sent {
        let key = form.0["fields"]["key"].as_str().unwrap();
        let started = Instant::now();
        loop {
            let object = folder.path().join("s3/gatepost-uploads").join(key);
            let path = format!("/api/uploads/{}", form.id());
            let answer: serde_json::Value = system.get(&path, &alice).await.json().await.unwrap();
            if object.exists() == (answer["status"] == "ready") {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
