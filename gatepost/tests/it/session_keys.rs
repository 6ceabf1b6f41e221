//! `gatepost session-key` against an independent AWS, and an API that signs with what it writes.

mod account;
mod api;

use std::path::PathBuf;
use std::time::Instant;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::harness::PATIENCE;
use account::{Account, in_background};
use api::{Edge, SigningApi};

const FIRST: &str = "a secret of mine that is long enough";
/// 31 bytes.
const SHORT: &str = "a secret of mine that is short!";

/// Options with which a rotation takes two seconds.
const QUICK: [&str; 4] = ["--propagation", "0s", "--api-cache", "1s"];

fn encoded(secret: &str) -> String {
    BASE64URL_NOPAD.encode(secret.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_key_is_pushed_listed_replaced_and_pruned() {
    let account = Account::start().await;
    let none = account.run(&["list"], "").await;
    assert_eq!(none, (0, "there are no session keys\n".to_owned()));
    let refused = account.run_failing(&["rotate", "--kid", "b"], "").await;
    assert!(refused.contains("the API has no key yet"), "{refused}");

    for _ in 0..2 {
        let push = ["push", "--kid", "a", "--propagation", "0s"];
        let (code, said) = account.run(&push, &format!("{FIRST}\n")).await;
        assert_eq!(code, 0, "{said}");
        let stored = account.stored("a").await;
        assert_eq!(stored.as_deref(), Some(&*encoded(FIRST)));
        let keys = json!({"keys": [{"kid": "a", "secret": encoded(FIRST)}]});
        assert_eq!(account.api_secret().await, keys);
    }
    let push = ["push", "--kid", "b", "--propagation", "0s"];
    let refused = account.run_failing(&push, FIRST).await;
    assert!(refused.contains("session-key rotate --kid b"), "{refused}");
    let push = ["push", "--kid", "a", "--propagation", "0s"];
    let refused = account.run_failing(&push, &FIRST.to_uppercase()).await;
    assert!(
        refused.contains("already has another secret of a"),
        "{refused}"
    );

    let rotate = [&["rotate", "--kid", "b"][..], &QUICK].concat();
    let (code, said) = account.run(&rotate, "").await;
    assert_eq!((code, said.as_str()), (0, "the API signs with b\n"));
    assert_eq!(
        account.states().await,
        [("a", true, true, "verifies"), ("b", true, true, "signs")].map(account::state)
    );
    let secrets = account.api_secret().await;
    let made = secrets["keys"][1]["secret"].as_str().unwrap();
    assert_eq!(account.stored("b").await.as_deref(), Some(made));
    assert_eq!(BASE64URL_NOPAD.decode(made.as_bytes()).unwrap().len(), 32);
    // Nothing is made or changed twice.
    let (code, _) = account.run(&rotate, "").await;
    assert_eq!(code, 0);
    assert_eq!(account.api_secret().await, secrets);
    let back = account.run_failing(&["rotate", "--kid", "a"], "").await;
    assert!(back.contains("a was replaced by b"), "{back}");

    let (_, table) = account.run(&["list"], "").await;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("KID  FROM"), "{table}");
    assert!(lines[1].starts_with("a    -"), "{table}");
    assert!(lines[2].starts_with("b    20"), "{table}");

    let (code, said) = account.run(&["prune"], "").await;
    assert_eq!(code, 0);
    assert_eq!(said, "there is no key whose sessions have all expired\n");
    let started = Instant::now();
    loop {
        let (code, said) = account.run(&["prune", "--lifetime", "1s"], "").await;
        assert_eq!(code, 0);
        if said == "a is removed from the store and from the secret\n" {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{said}");
    }
    assert_eq!(account.stored("a").await, None);
    assert_eq!(
        account.states().await,
        [("b", true, true, "signs")].map(account::state)
    );
    account.assert_no_secret_was_shown(&[FIRST, &encoded(FIRST), made]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn an_interrupted_command_is_completed_by_the_same_command() {
    let account = Account::start().await;
    // Killed while it waits for the edge: the store has the key, the API does not know it.
    let push = ["push", "--kid", "a", "--propagation"];
    let running = in_background(account.command(&[&push[..], &["1h"]].concat()), FIRST);
    account.wait_until_stored("a").await;
    drop(running);
    assert_eq!(account.api_secret().await, Value::Null);
    assert_eq!(
        account.states().await,
        [("a", true, false, "incomplete")].map(account::state)
    );
    let completed = account.run(&[&push[..], &["0s"]].concat(), FIRST).await;
    assert_eq!(completed.0, 0, "{}", completed.1);

    let rotate = ["rotate", "--kid", "b", "--api-cache", "1s", "--propagation"];
    let running = in_background(account.command(&[&rotate[..], &["1h"]].concat()), "");
    account.wait_until_stored("b").await;
    drop(running);
    let made = account.stored("b").await.unwrap();
    // Another secret than the one in the store is refused, without a change.
    let other = [&rotate[..], &["0s", "--secret-file", "-"]].concat();
    let refused = account.run_failing(&other, FIRST).await;
    assert!(
        refused.contains("the store already has another secret of b"),
        "{refused}"
    );
    let completed = account.run(&[&rotate[..], &["0s"]].concat(), "").await;
    assert_eq!(completed, (0, "the API signs with b\n".to_owned()));
    assert_eq!(account.stored("b").await.as_ref(), Some(&made));
    assert_eq!(account.api_secret().await["keys"][1]["secret"], made);

    // Between the two writes of a removal, and a key that somebody removed from the store alone.
    account.remove_stored("a").await;
    account.remove_stored("b").await;
    assert_eq!(
        account.states().await,
        [
            ("a", false, true, "missing_at_edge"),
            ("b", false, true, "missing_at_edge"),
        ]
        .map(account::state)
    );
    let (code, _) = account.run(&[&rotate[..], &["0s"]].concat(), "").await;
    assert_eq!(code, 0);
    let started = Instant::now();
    while account.states().await.len() > 1 {
        let (code, said) = account.run(&["prune", "--lifetime", "1s"], "").await;
        assert_eq!(code, 0);
        assert!(started.elapsed() < PATIENCE, "{said}");
    }
    assert_eq!(
        account.states().await,
        [("b", true, true, "signs")].map(account::state)
    );
    account.assert_no_secret_was_shown(&[FIRST, &encoded(FIRST), &made]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_secret_that_is_too_short_changes_nothing() {
    let account = Account::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("short");
    std::fs::write(&file, SHORT).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (vec!["push", "--kid", "a"], SHORT),
        (vec!["push", "--kid", "a", "--secret-file", file], ""),
    ] {
        let refused = account.run_failing(&arguments, input).await;
        assert!(refused.contains("has 31 bytes, fewer than 32"), "{refused}");
    }
    assert_eq!(account.states().await, []);
    let push = ["push", "--kid", "a", "--propagation", "0s"];
    assert_eq!(account.run(&push, FIRST).await.0, 0);
    let rotate = ["rotate", "--kid", "b", "--secret-file", file];
    let refused = account.run_failing(&rotate, "").await;
    assert!(refused.contains("has 31 bytes, fewer than 32"), "{refused}");
    assert_eq!(
        account.states().await,
        [("a", true, true, "signs")].map(account::state)
    );

    // The store's and the secret's texts from elsewhere are not quoted either.
    account.store("c", SHORT).await;
    let rotate = [&["rotate", "--kid", "c"][..], &QUICK].concat();
    let refused = account.run_failing(&rotate, "").await;
    assert!(
        refused.contains("the store's value of c cannot be used"),
        "{refused}"
    );
    account.write_api_secret(SHORT).await;
    let refused = account.run_failing(&["list"], "").await;
    assert!(refused.contains("the text is not {"), "{refused}");
    account.assert_no_secret_was_shown(&[SHORT, FIRST, &encoded(FIRST)]);
}

/// The API runs as Lambda runs it, and the edge is a check of the signature with the store's secret.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_rotation_signs_nobody_out_and_the_edge_verifies_every_session() {
    let account = Account::start().await;
    let push = ["push", "--kid", "a", "--propagation", "0s"];
    assert_eq!(account.run(&push, FIRST).await.0, 0);
    let (mut api, edge) = (SigningApi::start(&account).await, Edge::new(&account));
    let old = api.start_session().await;
    assert_eq!(edge.verify(&old).await.as_deref(), Some("a"));
    assert_eq!(api.show_session(&old).await, 200);

    let rotate = [&["rotate", "--kid", "b"][..], &QUICK].concat();
    let rotation = in_background(account.command(&rotate), "");
    // Until the rotation is complete, and after it: every session that the API signs is valid at the edge.
    let rotated = tokio::task::spawn_blocking(|| rotation.wait());
    let mut sessions = vec![old.clone()];
    while !rotated.is_finished() {
        let session = api.start_session().await;
        assert!(edge.verify(&session).await.is_some());
        // Those of one second and one key are equal.
        if !sessions.contains(&session) {
            sessions.push(session);
        }
    }
    assert!(rotated.await.unwrap());
    let new = api.start_session().await;
    assert_eq!(edge.verify(&new).await.as_deref(), Some("b"));
    sessions.push(new.clone());
    for session in &sessions {
        assert_eq!(api.show_session(session).await, 200);
        assert!(edge.verify(session).await.is_some());
    }

    // A secret that cannot be read leaves the API as it is.
    account.write_api_secret("{}").await;
    api.pass_cache_time().await;
    let later = api.start_session().await;
    assert_eq!(edge.verify(&later).await.as_deref(), Some("b"));
    assert_eq!(api.show_session(&old).await, 200);
    let log = api.log();
    assert_eq!(log.matches("cannot be read again").count(), 1, "{log}");
    let made = account.stored("b").await.unwrap();
    for secret in [FIRST, &encoded(FIRST), &made] {
        assert!(!log.contains(secret), "{log}");
    }
}
