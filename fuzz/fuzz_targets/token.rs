//! Only the one signed token is accepted: neither arbitrary input nor a mutation of that token is.

#![no_main]

mod common;

use common::{NOW, authorizer, token};
use edge_auth::{Lines, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let text = if mode % 2 == 0 {
        String::from_utf8_lossy(data).into_owned()
    } else {
        // Every four bytes are a mutation: position, value, and whether to replace, insert or remove.
        let mut bytes = token().clone().into_bytes();
        for change in data.chunks_exact(4) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (bytes.len() + 1);
            match change[3] % 3 {
                0 => bytes.insert(at, change[2]),
                1 if at < bytes.len() => bytes[at] = change[2],
                _ if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ => {}
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let authorization = format!("Bearer {text}");
    let request = Request {
        authorization: Lines::One(&authorization),
        ..Request::default()
    };
    if authorizer().authenticate(NOW, &request).is_ok() {
        assert_eq!(text.trim_matches(' '), token());
    }
});
