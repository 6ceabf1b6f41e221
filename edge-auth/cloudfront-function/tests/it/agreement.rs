//! The library and the function in njs answer generated requests alike.

use std::collections::BTreeMap;

use edge_auth::lambda_edge::{GeneratedResponse, Outcome};
use edge_auth::{Authorizer, Decision, OWNER_HEADER, Request, SESSION_COOKIE};
use edge_auth_function::{ALLOWED_HEADER, Answer, event};
use jiff::Timestamp;
use serde_json::Value;
use test_support::SeededRng;

use crate::generated::request;
use crate::sessions::{NOW, config, in_njs};

const N_GENERATED: usize = 10_000;

/// A response as both give it: status, headers and body.
type Plain = (u16, BTreeMap<String, String>, Value);

fn plain(response: &GeneratedResponse) -> Plain {
    let headers = response.headers.iter();
    (
        response.status.parse().unwrap(),
        headers
            .map(|(name, value)| (name.to_owned(), value.to_string()))
            .collect(),
        parsed(response.body.as_deref()),
    )
}

fn plain_of(answer: &Answer) -> Plain {
    let headers = answer.headers();
    (
        answer.status().unwrap_or(200),
        headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        parsed(answer.body()),
    )
}

/// A problem document; the order of its members means nothing.
fn parsed(body: Option<&str>) -> Value {
    body.map_or(Value::Null, |body| serde_json::from_str(body).unwrap())
}

/// The kind of reason that a code tells an operator. The function compares a session's whole header at once, so it cannot say
/// which part of it is wrong; and the library names a subject of another type by the claim that it is in.
fn class_of(code: &str) -> &str {
    match code {
        "algorithm_not_allowed"
        | "bad_signature"
        | "critical_header"
        | "malformed_token"
        | "unknown_key" => "not_verified",
        "invalid_claim" | "unexpected_claim" => "unexpected_claim",
        other => other,
    }
}

#[test]
#[ignore = "needs njs (cargo xtask test installs it)"]
fn ten_thousand_generated_requests_are_answered_alike() {
    let config = config();
    let authorizer = Authorizer::for_shared_sessions(&config).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let mut rng = SeededRng::new(18);
    let requests: Vec<_> = (0..N_GENERATED).map(|_| request(&mut rng)).collect();
    let njs = in_njs(&config);
    let mut answers = Vec::with_capacity(N_GENERATED);
    // njs frees memory only when it ends.
    for requests in requests.chunks(1000) {
        let events = requests.iter().map(|request| event(request, "id"));
        answers.extend(njs.run(now, events.collect()).unwrap());
    }
    assert_eq!(answers.len(), requests.len());

    let mut n_by_code: BTreeMap<String, usize> = BTreeMap::new();
    for (request, answer) in requests.iter().zip(&answers) {
        let decision = authorizer.decide(now, &Request::from(request));
        let context = || format!("{request:#?}\n{decision:?}\n{answer:?}");
        let code = match &decision {
            Decision::Allow(_) => "allowed",
            Decision::Preflight(_) => "preflight",
            Decision::Deny(denied) => denied.refusal.code(),
            Decision::Redirect(redirect) => redirect.denied.refusal.code(),
            other => panic!("{other:?}"),
        };
        *n_by_code.entry(code.to_owned()).or_default() += 1;
        assert_eq!(answer.fault, None, "{}", context());
        let logged = answer.denial();
        let logged = logged.as_ref().and_then(|line| line["code"].as_str());
        match authorizer.answer(request.clone(), &decision) {
            Outcome::Continue(forwarded) => {
                assert_eq!(
                    answer.uri(),
                    Some(&*format!("/o{}", request.uri)),
                    "{}",
                    context()
                );
                let owner = forwarded
                    .headers
                    .iter()
                    .find(|(name, _)| *name == OWNER_HEADER);
                let owner = owner.map(|(_, value)| value.to_string());
                assert_eq!(
                    answer.header(OWNER_HEADER),
                    owner.as_deref(),
                    "{}",
                    context()
                );
                assert_eq!(answer.header(ALLOWED_HEADER), Some("1"), "{}", context());
                assert_eq!(
                    answer.value["cookies"][SESSION_COOKIE],
                    Value::Null,
                    "{}",
                    context()
                );
                assert_eq!(answer.header("authorization"), None, "{}", context());
                assert_eq!(logged, None, "{}", context());
            }
            Outcome::Respond(response) => {
                assert_eq!(plain_of(answer), plain(&response), "{}", context());
                let logged = logged.unwrap_or("preflight");
                assert_eq!(class_of(logged), class_of(code), "{}", context());
            }
        }
    }
    println!("{n_by_code:#?}");
    // The generated requests reach every kind of decision, or the agreement would prove little.
    for code in [
        "allowed",
        "ambiguous_path",
        "bad_signature",
        "claim_mismatch",
        "claim_required",
        "cors_refused",
        "expired",
        "invalid_claim",
        "issuer_not_allowed",
        "malformed_token",
        "missing_claim",
        "missing_scope",
        "no_owner",
        "no_rule",
        "no_token",
        "not_owner",
        "preflight",
        "several_tokens",
        "token_too_long",
        "unexpected_claim",
        "unknown_issuer",
        "unknown_key",
        "wrong_audience",
    ] {
        let n = n_by_code.get(code).copied().unwrap_or_default();
        assert!(n >= 5, "{code}: {n}");
    }
    let n_allowed = n_by_code["allowed"];
    assert!(n_allowed > N_GENERATED / 10, "{n_allowed} are allowed");
    println!("{N_GENERATED} requests, {n_allowed} of them allowed, answered alike");
}
