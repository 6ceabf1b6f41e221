//! Dead letters of the local stack, running and stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use upload_processor::retry::MAX_RECEIVES;

use super::{Run, event, replay};
use crate::harness::{Gatepost, PATIENCE, assert_output, gatepost, photo};

fn dlq(data_dir: &Path, arguments: &[&str]) -> Run {
    let output = gatepost()
        .arg("dlq")
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    Run::new(&output)
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

fn n_files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Puts a message of this id and body into a folder of messages.
fn put_message(folder: &Path, id: &str, body: &str, receive_count: u32) {
    let message = json!({
        "message_id": id, "body": body, "sent_at": "2026-11-27T12:00:00Z", "receive_count": receive_count,
    });
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{id}.json")), message.to_string()).unwrap();
}

/// A package whose settings ask for one small rendition.
fn put_package(folder: &Path) {
    use std::io::Write as _;
    let settings = json!({
        "types": ["image/jpeg"], "max_bytes": 1_000_000, "max_pixels": 1_000_000,
        "widths": [100], "formats": ["webp"], "quality": 80,
    });
    std::fs::create_dir_all(folder).unwrap();
    let file = std::fs::File::create(folder.join("upload-processor.zip")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("settings.json", options).unwrap();
    zip.write_all(settings.to_string().as_bytes()).unwrap();
    zip.finish().unwrap();
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The files of an upload's manifest.
fn manifest_files(data_dir: &Path, key: &str) -> [PathBuf; 3] {
    let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let objects = data_dir.join("s3");
    let beside = |kind: &str| {
        let (bucket, key) = (encode("gatepost-media"), encode(key));
        objects.join(format!(".bucket-{bucket}.object-{key}.{kind}.json"))
    };
    [
        objects.join("gatepost-media").join(key),
        beside("metadata"),
        beside("internal"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_examined_fixed_and_redriven() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let system = Gatepost::start(&data_dir);
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(400, 300)).await;
    let id = answer["id"].as_str().unwrap();
    let owner = answer["manifest"]["owner"].as_str().unwrap();
    let upload = format!("uploads/{owner}/{id}");
    let manifest = manifest_files(&data_dir, &format!("o/media/{owner}/{id}/manifest.json"));
    assert!(system.interrupt());

    // Its manifest is broken. One more try, and its message is a dead letter.
    std::fs::write(&manifest[0], "{").unwrap();
    std::fs::write(&manifest[2], "{}").unwrap();
    let body = event(&upload).to_string();
    put_message(&data_dir.join("queue"), "1", &body, MAX_RECEIVES - 1);
    let system = Gatepost::start(&data_dir);
    let dead = data_dir.join("dead-letters");
    until("there is no dead letter", || dead.join("1.json").exists()).await;

    // A look changes nothing.
    let before = files(&data_dir);
    let listed = dlq(&data_dir, &["list", "--format", "json"]).well().line();
    assert_eq!(listed["message_id"], "1", "{listed}");
    assert_eq!(listed["receive_count"], MAX_RECEIVES);
    assert_eq!(listed["uploads"], json!([upload]));
    assert_eq!(listed["status"], Value::Null);
    let why = listed["why"].as_str().unwrap();
    let is_told = why.starts_with("redriving fails again: reading o/media/");
    assert!(is_told, "{why}");
    let table = dlq(&data_dir, &["list"]).well().stdout;
    let (_, row) = table.split_once('\n').unwrap();
    assert!(row.starts_with("1 ") && row.contains(&upload), "{table}");
    let shown = dlq(&data_dir, &["show", "1", "--format", "json"]).well();
    let record = &shown.line()["records"][0];
    assert_eq!(record["key"], upload, "{record}");
    assert!(record["manifest_fault"].is_string(), "{record}");
    assert_eq!(record["outcome"]["status"], "retry", "{record}");
    let planned = dlq(&data_dir, &["redrive", "--all", "--dry-run"]).well();
    let expected = format!("would move 1  {upload}\n1 would be moved, 0 failed, 0 not found\n");
    assert_eq!(planned.stdout, expected);
    assert_eq!(files(&data_dir), before);

    // The manifest is repaired.
    for file in &manifest[..2] {
        std::fs::remove_file(file).unwrap();
    }
    let before = files(&data_dir);
    let replayed = dlq(&data_dir, &["replay", "1", "--format", "json"]).well();
    let outcome = &replayed.line()["outcome"];
    assert_eq!(outcome["status"], "ready", "{outcome}");
    // The API adds a URL to each.
    let mut renditions = answer["manifest"]["renditions"].clone();
    for rendition in renditions.as_array_mut().unwrap() {
        rendition.as_object_mut().unwrap().remove("url");
    }
    assert_eq!(outcome["renditions"], renditions);
    let package = folder.path().join("package");
    put_package(&package);
    let arguments = ["replay", "1", "--format", "json", "--package"];
    let arguments = [&arguments[..], &[package.to_str().unwrap()]].concat();
    let packaged = dlq(&data_dir, &arguments).well().line();
    let renditions = packaged["outcome"]["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 1, "{packaged}");
    assert_eq!(renditions[0]["width"], 100, "{packaged}");
    let listed = dlq(&data_dir, &["list"]).well().stdout;
    assert!(listed.contains("redriving publishes "), "{listed}");
    let shown = dlq(&data_dir, &["show", "1"]).well().stdout;
    for line in ["manifest   none", "received   9×", "redriving  publishes "] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(files(&data_dir), before);

    // While the stack runs.
    let redriven = dlq(&data_dir, &["redrive", "1", "nobody", "--format", "json"]);
    assert_eq!(redriven.code, Some(1));
    let missing = "there is no dead letter nobody";
    assert!(redriven.stderr.contains(missing), "{}", redriven.stderr);
    let line = redriven.line();
    assert_eq!(
        (&line["message_id"], &line["status"]),
        (&json!("1"), &json!("moved"))
    );
    assert_eq!(n_files(&dead), 0);
    assert_eq!(system.settled(&alice, id).await["status"], "ready");
    until("the message is left", || {
        n_files(&data_dir.join("queue")) == 0
    })
    .await;

    // While the stack is stopped.
    assert!(system.interrupt());
    for file in &manifest {
        std::fs::remove_file(file).unwrap();
    }
    put_message(&dead, "2", &body, MAX_RECEIVES);
    let redriven = dlq(&data_dir, &["redrive", "--all"]).well().stdout;
    assert!(redriven.starts_with("moved 2 to "), "{redriven}");
    let kept = files(&data_dir.join("redriven"));
    let kept: Value = serde_json::from_slice(kept.values().next().unwrap()).unwrap();
    assert_eq!(
        (&kept["body"], &kept["receive_count"]),
        (&json!(body), &json!(0))
    );
    let system = Gatepost::start(&data_dir);
    assert_eq!(system.settled(&alice, id).await["status"], "ready");
    let nothing = dlq(&data_dir, &["list"]).well().stdout;
    assert_eq!(nothing, "there are no dead letters\n");
}

#[test]
fn control_characters_of_a_dead_letter_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead-letters");
    std::fs::create_dir_all(folder.path().join("s3/gatepost-uploads")).unwrap();
    let hostile = "\u{1b}[2J\u{9b}31m\u{7}\u{202e}";
    let key = json!({"eventSource": hostile, "k": [hostile]}).to_string();
    put_message(&dead, "1", hostile, MAX_RECEIVES);
    put_message(&dead, "2", &key, MAX_RECEIVES);
    put_message(
        &dead,
        "3\u{1b}[2J",
        &event(hostile).to_string(),
        MAX_RECEIVES,
    );
    // `Run` looks for control characters.
    for format in ["table", "json"] {
        let listed = dlq(folder.path(), &["list", "--format", format])
            .well()
            .stdout;
        let n_heads = usize::from(format == "table");
        assert_eq!(listed.lines().count(), 3 + n_heads, "{listed}");
        assert!(!listed.contains('\u{202e}'), "{listed}");
        for id in ["1", "2", "3\u{1b}[2J"] {
            for command in ["show", "replay"] {
                let run = dlq(folder.path(), &[command, id, "--format", format]).well();
                assert!(!run.stdout.contains('\u{202e}'), "{}", run.stdout);
            }
        }
    }
    let missing = dlq(folder.path(), &["show", "\u{1b}[2J"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("\\u{1b}[2J"), "{}", missing.stderr);
    dlq(folder.path(), &["redrive", "--all"]).well();
}

#[test]
fn a_table_of_dead_letters_has_heads() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead-letters");
    std::fs::create_dir_all(folder.path().join("s3/gatepost-uploads")).unwrap();
    let upload = "uploads/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99";
    put_message(&dead, "1", "hello", MAX_RECEIVES);
    put_message(&dead, "22", &event(upload).to_string(), MAX_RECEIVES);
    let listed = dlq(folder.path(), &["list"]).well().stdout;
    assert_output("dlq_list", folder.path(), &listed);
    let shown = dlq(folder.path(), &["show", "22"]).well().stdout;
    assert_output("dlq_show", folder.path(), &shown);

    let replayed = dlq(folder.path(), &["replay", "22"]).well().stdout;
    let end = "\n\n1 record processed, nothing published; the dead letter stays in its queue\n";
    assert!(replayed.ends_with(end), "{replayed}");
    let planned = dlq(folder.path(), &["redrive", "--all", "--dry-run"]).well();
    let expected = format!(
        "would move 1  about no upload\nwould move 22  {upload}\n2 would be moved, 0 failed, 0 not found\n"
    );
    assert_eq!(planned.stdout, expected);
}

#[test]
fn dead_letters_are_replayed_as_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead-letters");
    std::fs::create_dir_all(folder.path().join("s3/gatepost-uploads")).unwrap();
    put_message(&dead, "1", "{\"detail\": {}}", MAX_RECEIVES);
    let shown = dlq(folder.path(), &["show", "1", "--format", "json"]).well();
    let file = folder.path().join("message.json");
    let message = json!({"MessageId": "1", "ReceiptHandle": "r", "Body": "{\"detail\": {}}"});
    for content in [
        shown.stdout,
        std::fs::read_to_string(dead.join("1.json")).unwrap(),
        json!({"Messages": [message]}).to_string(),
        message.to_string(),
    ] {
        std::fs::write(&file, &content).unwrap();
        let line = replay(&file).well().line();
        assert_eq!(line["kind"], "sqs", "{content}");
        let reason = line["outcome"]["reason"].as_str().unwrap();
        let is_told = reason.starts_with("the message is not understood: ");
        assert!(is_told, "{content}: {reason}");
    }
    std::fs::write(&file, r#"{"Messages": []}"#).unwrap();
    let refused = replay(&file);
    assert_eq!(refused.code, Some(2));
    let said = "its list of messages is empty";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}

#[test]
fn two_redrives_at_a_time_move_each_dead_letter_once() {
    const N_LETTERS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead-letters");
    for n in 0..N_LETTERS {
        put_message(&dead, &n.to_string(), &n.to_string(), MAX_RECEIVES);
    }
    let runs = [(); 3].map(|()| {
        let path = folder.path().to_owned();
        std::thread::spawn(move || dlq(&path, &["redrive", "--all", "--format", "json"]))
    });
    let moved = runs.map(|run| run.join().unwrap().well().lines());
    assert_eq!(moved.iter().map(Vec::len).sum::<usize>(), N_LETTERS);
    assert_eq!(n_files(&dead), 0);
    let redriven = files(&folder.path().join("redriven"));
    let mut bodies: Vec<usize> = redriven
        .values()
        .map(|content| {
            let message: Value = serde_json::from_slice(content).unwrap();
            message["body"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..N_LETTERS).collect::<Vec<_>>());
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/dead-letters")).unwrap();
    let (nowhere, data) = (folder.path().join("nowhere"), folder.path().join("data"));
    let url = "http://127.0.0.1:1/queue";
    for (data_dir, arguments, code, said) in [
        (
            &nowhere,
            vec!["list"],
            2,
            "is not the data directory of a local stack",
        ),
        (
            &data,
            vec!["list"],
            2,
            "name the S3 of `gatepost dev --endpoint-url`",
        ),
        (
            &data,
            vec!["list", "--malware-scan", "x"],
            2,
            "the only value is guardduty",
        ),
        (&data, vec!["redrive"], 2, "<ID|--all>"),
        (
            &data,
            vec!["redrive", "--all", "1"],
            2,
            "cannot be used with",
        ),
        (&data, vec!["redrive", "1"], 1, "there is no dead letter 1"),
        (
            &data,
            vec!["list", "--queue-url", url],
            2,
            "cannot be used with",
        ),
        (
            &data,
            vec!["redrive", "1", "--main-queue-url", url],
            2,
            "with --queue-url as well",
        ),
    ] {
        let run = dlq(data_dir, &arguments);
        assert_eq!(run.code, Some(code), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
    assert!(!nowhere.exists());
}
