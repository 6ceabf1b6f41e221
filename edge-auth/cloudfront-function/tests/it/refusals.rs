//! What the function refuses although its signature is right, or although another entry of the store is known.

use edge_auth::{SESSION_COOKIE, SESSION_ISSUER, ViewerRequest, shared_session_header};
use edge_auth_function::{Answer, event};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sessions::{FOREIGN, ISSUER, KID, NOW, SECRET, SHORT, config, in_njs, signed};

fn claims() -> Value {
    json!({
        "iss": SESSION_ISSUER, "aud": SESSION_ISSUER, "iat": NOW, "exp": NOW + 900, "block": "customers",
        "token": {
            "iss": ISSUER, "aud": "media", "tid": null, "token_use": "access", "sub": "alice", "oid": null,
            "groups": "red", "/realm_access/roles": null, "scope": null, "scp": null, "email_verified": null,
            "level": null, "departments": null, "https://zitadel.example/roles": null,
        },
    })
}

fn answers(sessions: &[String]) -> Vec<Answer> {
    let events = sessions.iter().map(|session| {
        let cookie = format!("{SESSION_COOKIE}={session}");
        let request = ViewerRequest {
            method: "GET".to_owned(),
            uri: "/team/red/x".to_owned(),
            headers: [("cookie", cookie.as_str())].into_iter().collect(),
            ..ViewerRequest::default()
        };
        event(&request, "id")
    });
    let now = Timestamp::from_second(NOW).unwrap();
    in_njs(&config()).run(now, events.collect()).unwrap()
}

#[test]
#[ignore = "needs njs (cargo xtask test installs it)"]
fn every_other_character_of_a_signature_is_refused() {
    let good = signed(&shared_session_header(KID), &claims(), SECRET);
    let mut sessions = vec![good.clone()];
    let signature = good.rfind('.').unwrap() + 1;
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.";
    for at in [signature, good.len() - 1] {
        for other in alphabet.chars() {
            let mut session = good.clone();
            session.replace_range(at..=at, &other.to_string());
            if session != good {
                sessions.push(session);
            }
        }
    }
    // The engine decodes base64url leniently.
    sessions.extend(["=", "==", "A", "\u{e9}", "%3D"].map(|more| format!("{good}{more}")));
    let answers = answers(&sessions);
    assert_eq!(answers[0].uri(), Some("/o/team/red/x"), "{:?}", answers[0]);
    for (session, answer) in sessions.iter().zip(&answers).skip(1) {
        assert_eq!(answer.status(), Some(401), "{session}: {answer:?}");
    }
}

#[test]
#[ignore = "needs njs (cargo xtask test installs it)"]
fn a_key_that_is_not_a_session_secret_is_refused() {
    let header = shared_session_header(KID);
    let sessions = [
        signed(&header, &claims(), SECRET),
        // A secret of fewer than 32 bytes could be guessed.
        signed(&shared_session_header(SHORT), &claims(), &SECRET[..31]),
        signed(FOREIGN, &claims(), b""),
        signed("__proto__", &claims(), b""),
        signed("constructor", &claims(), b""),
        signed("", &claims(), b""),
        signed(&format!("../session/{header}"), &claims(), SECRET),
        // The same header in another form.
        signed(&format!("{header}="), &claims(), SECRET),
    ];
    let answers = answers(&sessions);
    assert!(answers[0].uri().is_some(), "{:?}", answers[0]);
    for (session, answer) in sessions.iter().zip(&answers).skip(1) {
        assert_eq!(answer.status(), Some(401), "{session}: {answer:?}");
    }
}
