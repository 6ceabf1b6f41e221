//! Dead letters in SQS.

use std::time::{Duration, Instant};

use serde_json::json;

use super::account::{Account, OWNER};
use super::{event, replay};
use crate::harness::PATIENCE;

/// The only requests of a look.
fn assert_only_reads(asked: &[String]) {
    let reads = [
        "ChangeMessageVisibilityBatch",
        "GET",
        "GetQueueAttributes",
        "HEAD",
        "ReceiveMessage",
    ];
    let writes = asked.iter().find(|asked| !reads.contains(&asked.as_str()));
    assert_eq!(writes, None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_dead_letter_is_examined_fixed_and_redriven() {
    let account = Account::start().await;
    let upload = account.upload(1).await;
    let body = event(&upload.original()).to_string();
    let topic = json!({"Type": "Notification", "Message": body}).to_string();
    let id = account.send(&account.main, &topic).await;
    assert_eq!(account.work().await, [false]);
    assert_eq!(account.counts(&account.dead).await, (1, 0));

    let (listed, asked) = account.dlq(&["list", "--format", "json"]).await;
    let listed = listed.well().line();
    assert_eq!(listed["message_id"], id, "{listed}");
    assert_eq!(listed["uploads"], json!([upload.original()]));
    let why = listed["why"].as_str().unwrap();
    assert!(why.contains("NoSuchBucket"), "{why}");
    assert!(listed["age_seconds"].as_u64().unwrap() < 600, "{listed}");
    assert_only_reads(&asked);
    assert_eq!(account.counts(&account.dead).await, (1, 0));

    // The cause is fixed.
    account
        .s3
        .create_bucket()
        .bucket("gatepost-media")
        .send()
        .await
        .unwrap();
    let (replayed, asked) = account.dlq(&["replay", &id, "--format", "json"]).await;
    let outcome = &replayed.well().line()["outcome"];
    assert_eq!(outcome["status"], "ready", "{outcome}");
    assert_only_reads(&asked);
    let (shown, asked) = account.dlq(&["show", &id, "--format", "json"]).await;
    let shown = shown.well();
    let record = &shown.line()["records"][0];
    assert_eq!(record["key"], upload.original(), "{record}");
    assert_eq!(record["outcome"]["status"], "ready", "{record}");
    assert!(shown.line()["first_received_at"].is_string(), "{record}");
    assert_only_reads(&asked);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.json");
    std::fs::write(&file, &shown.stdout).unwrap();
    assert_eq!(replay(&file).well().line()["kind"], "sqs");
    let (planned, asked) = account.dlq(&["redrive", "--all", "--dry-run"]).await;
    let expected = format!(
        "would move {id}  {}\n1 would be moved, 0 failed, 0 not found\n",
        upload.original()
    );
    assert_eq!(planned.well().stdout, expected);
    assert_only_reads(&asked);
    assert_eq!(account.counts(&account.dead).await, (1, 0));
    assert_eq!(account.counts(&account.main).await, (0, 0));
    assert_eq!(account.manifest(&upload).await, None);

    let (redriven, _) = account.dlq(&["redrive", &id, "nobody"]).await;
    assert_eq!(redriven.code, Some(1));
    let missing = "there is no dead letter nobody";
    assert!(redriven.stderr.contains(missing), "{}", redriven.stderr);
    let moved = format!("moved {id} to ");
    assert!(redriven.stdout.starts_with(&moved), "{}", redriven.stdout);
    assert_eq!(account.counts(&account.dead).await, (0, 0));
    // Its first receive, which `work` checks.
    assert_eq!(account.work().await, [true]);
    assert_eq!(account.manifest(&upload).await.unwrap()["status"], "ready");
    let (nothing, _) = account.dlq(&["list"]).await;
    assert_eq!(nothing.well().stdout, "there are no dead letters\n");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_failed_move_does_not_stop_the_others() {
    const N_LETTERS: usize = 25;
    let account = Account::start().await;
    let mut ids = Vec::new();
    for n in 0..N_LETTERS {
        ids.push(account.send(&account.dead, &n.to_string()).await);
    }
    for n_looks in 1..=2 {
        let (listed, _) = account.dlq(&["list", "--format", "json"]).await;
        let lines = listed.well().lines();
        let mut listed: Vec<_> = lines.iter().map(|line| &line["message_id"]).collect();
        listed.sort_by_key(|id| ids.iter().position(|known| known == *id));
        assert_eq!(json!(listed), json!(ids));
        // Each look counts once.
        assert!(lines.iter().all(|line| line["receive_count"] == n_looks));
        assert_eq!(account.counts(&account.dead).await, (N_LETTERS, 0));
    }

    // The seventh cannot be sent, and the ninth is sent and cannot be deleted.
    for (operation, n, status, n_left) in [
        ("SendMessage", 7, "refused it: ", 1),
        ("DeleteMessage", 1, "cannot be deleted here: ", 1),
    ] {
        *account.proxy.refused.lock().unwrap() = Some((operation, n));
        let (redriven, _) = account.dlq(&["redrive", "--all", "--format", "json"]).await;
        assert_eq!(redriven.code, Some(1), "{}", redriven.stdout);
        let lines = redriven.lines();
        let failed: Vec<_> = lines
            .iter()
            .filter(|line| line["status"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1, "{lines:?}");
        let reason = failed[0]["reason"].as_str().unwrap();
        assert!(reason.contains(status), "{reason}");
        assert_eq!(account.counts(&account.dead).await, (n_left, 0));
    }
    // The message that could not be deleted is in both queues: nothing is lost.
    assert_eq!(account.counts(&account.main).await, (N_LETTERS, 0));
    *account.proxy.refused.lock().unwrap() = None;
    account.dlq(&["redrive", "--all"]).await.0.well();
    assert_eq!(account.counts(&account.dead).await, (0, 0));
    assert_eq!(account.counts(&account.main).await, (N_LETTERS + 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn messages_are_visible_again_after_an_error_and_after_ctrl_c() {
    const N_LETTERS: usize = 15;
    let account = Account::start().await;
    for n in 0..N_LETTERS {
        account.send(&account.dead, &n.to_string()).await;
    }
    *account.proxy.refused.lock().unwrap() = Some(("ReceiveMessage", 2));
    for arguments in [&["list"][..], &["show", "nobody"], &["redrive", "nobody"]] {
        let (broken_off, asked) = account.dlq(arguments).await;
        assert_eq!(broken_off.code, Some(2), "{arguments:?}");
        let said = "cannot be received: Injected: by the test";
        let stderr = broken_off.stderr;
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(asked.contains(&"ChangeMessageVisibilityBatch".to_owned()));
        let counts = account.counts(&account.dead).await;
        assert_eq!(counts, (N_LETTERS, 0), "{arguments:?}");
    }
    *account.proxy.refused.lock().unwrap() = None;

    for arguments in [&["list"][..], &["show", "nobody"], &["redrive", "nobody"]] {
        account.proxy.asked.lock().unwrap().clear();
        let mut child = account
            .command(&account.dead, arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The third call waits for a second, because there are no more messages.
        let started = Instant::now();
        let receives = || {
            let asked = account.proxy.asked.lock().unwrap();
            asked
                .iter()
                .filter(|name| *name == "ReceiveMessage")
                .count()
        };
        while receives() < 3 {
            assert!(started.elapsed() < PATIENCE, "{arguments:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid = child.id().to_string();
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
        assert_eq!(ended.await.unwrap().code(), Some(130), "{arguments:?}");
        let counts = account.counts(&account.dead).await;
        assert_eq!(counts, (N_LETTERS, 0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn the_malware_gate_and_the_manifest_decide() {
    let account = Account::start().await;
    let media = account.s3.create_bucket().bucket("gatepost-media");
    media.send().await.unwrap();
    let scanned = account.upload(1).await;
    let scan = json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "detail": {
            "s3ObjectDetails": {"bucketName": "gatepost-uploads", "objectKey": scanned.original()},
            "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND"},
        },
    });
    let by_scan = account.send(&account.dead, &scan.to_string()).await;
    let body = event(&scanned.original()).to_string();
    let by_event = account.send(&account.dead, &body).await;
    for (id, arguments, is_on) in [
        // Without the tag the upload is not known to be clean; the event alone is not trusted.
        (&by_scan, &[][..], true),
        (&by_event, &["--malware-scan", "guardduty"], true),
        (&by_event, &[], false),
    ] {
        let arguments = [&["show", id, "--format", "json"], arguments].concat();
        let (shown, asked) = account.dlq(&arguments).await;
        let shown = shown.well().line();
        assert_eq!(shown["malware_scan"], is_on, "{shown}");
        let outcome = &shown["records"][0]["outcome"];
        let expected = if is_on { "retry" } else { "ready" };
        assert_eq!(outcome["status"], expected, "{shown}");
        assert_only_reads(&asked);
    }

    let failed = account.upload(2).await;
    let manifest = json!({
        "version": 1, "id": failed.id, "owner": OWNER, "status": "failed",
        "reason": {"code": "scan_pending", "message": "A sentence."},
        "created_at": "2026-11-27T12:00:00Z",
    });
    let put = account.s3.put_object().bucket("gatepost-media");
    let put = put.key(failed.manifest_key());
    put.body(manifest.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
    let body = event(&failed.original()).to_string();
    let id = account.send(&account.dead, &body).await;
    let (listed, _) = account.dlq(&["list", "--format", "json"]).await;
    let lines = listed.well().lines();
    let line = lines.iter().find(|line| line["message_id"] == id).unwrap();
    assert_eq!(line["status"], "failed");
    assert_eq!(line["why"], "failed: A sentence. (scan_pending)");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn unknown_queues_and_queues_with_a_redrive_policy_are_refused() {
    let account = Account::start().await;
    account.send(&account.dead, "{}").await;
    let two = vec![account.main.clone(), format!("{}-2", account.main)];
    for (sources, arguments, said) in [
        (
            vec![],
            vec!["--all"],
            "name the destination with --main-queue-url",
        ),
        (
            vec![],
            vec!["--all", "--main-queue-url", &account.dead],
            "--main-queue-url names the dead-letter queue itself",
        ),
        (
            two.clone(),
            vec!["--all"],
            "name one with --main-queue-url: ",
        ),
    ] {
        *account.proxy.sources.lock().unwrap() = sources;
        let arguments = [vec!["redrive"], arguments].concat();
        let (refused, _) = account.dlq(&arguments).await;
        assert_ne!(refused.code, Some(0), "{arguments:?}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains(said), "{arguments:?}: {told}");
        assert_eq!(account.counts(&account.dead).await, (1, 0), "{arguments:?}");
    }
    let named = ["redrive", "--all", "--main-queue-url", &account.main];
    account.dlq(&named).await.0.well();
    assert_eq!(account.counts(&account.main).await, (1, 0));

    // The main queue counts each look as a receive.
    let (refused, _) = account.dlq_of(&account.main, &["list"]).await;
    assert_eq!(refused.code, Some(2));
    let said = "has a redrive policy itself";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(account.counts(&account.main).await, (1, 0));
}
