//! An accepted path has one reading: decoding it a second time, or encoding and parsing it again, changes nothing.

#![no_main]

use edge_auth::CanonicalPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| {
    let Ok(path) = CanonicalPath::parse(raw) else {
        return;
    };
    let decoded = path.as_str();
    assert!(decoded.starts_with('/') && !decoded.contains("//"), "{decoded:?}");
    assert!(!decoded.contains('\\') && !decoded.chars().any(char::is_control), "{decoded:?}");
    for segment in decoded.split('/') {
        assert!(segment != "." && segment != "..", "{decoded:?}");
    }
    // Encoded again, as S3's own clients do, it is the same path.
    let encoded: String = decoded
        .bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    assert_eq!(CanonicalPath::parse(&encoded).as_ref(), Ok(&path), "{encoded}");
    // All slashes were in the request: none came from a percent-encoding.
    let slashes = |text: &str| text.bytes().filter(|&byte| byte == b'/').count();
    assert_eq!(slashes(raw), slashes(decoded), "{raw:?}");
});
