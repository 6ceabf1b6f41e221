//! Every parsable event gets an answer. Without a token only public paths are allowed, and every refusal has a form
//! that `CloudFront` accepts.

#![no_main]

mod common;

use common::{NOW, authorizer, token};
use edge_auth::lambda_edge::{Outcome, ViewerRequestEvent};
use edge_auth::{Decision, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<ViewerRequestEvent>(data) else {
        return;
    };
    for record in event.records {
        let request = record.cf.request;
        let decision = authorizer().decide(NOW, &Request::from(&request));
        let (uri, other) = (request.uri.clone(), request.other.clone());
        match (authorizer().answer(request, &decision), &decision) {
            (Outcome::Continue(on), Decision::Allow(allowed)) => {
                // No request here carries the token.
                assert!(allowed.owner.is_none() && allowed.path.as_str().starts_with("/public"));
                assert_eq!((on.uri, on.other), (uri, other));
                for (name, value) in on.headers.iter() {
                    assert!(!name.starts_with("x-gatepost-"), "{name}");
                    assert!(name != "authorization" && !value.contains(token()), "{name}: {value}");
                }
            }
            (Outcome::Respond(response), decision) => {
                assert!(!matches!(decision, Decision::Allow(_)));
                let status = response.status.as_str();
                assert!(["204", "302", "400", "401", "403"].contains(&status), "{status}");
                let header = |name: &str| response.headers.values(name).next();
                assert_eq!(header("cache-control"), Some("no-store"));
                assert!(response.body.unwrap_or_default().len() < 1024);
                if let Some(location) = header("location") {
                    assert!(location.starts_with("/sign-in?return_to=%2F"), "{location}");
                    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
                }
            }
            (Outcome::Continue(_), decision) => panic!("{decision:?} goes on"),
        }
    }
});
