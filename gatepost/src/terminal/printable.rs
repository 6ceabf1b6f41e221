//! Makes text from outside, such as a message's body or an object's key, safe to print on a terminal.
//!
//! A control character could move the cursor, hide lines or begin an escape sequence, and a bidirectional character could
//! change the displayed order. Both are printed as escapes.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with escapes such as `\n` and `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |escaped, c| escaped.extend(c.escape_default()))
}

/// JSON with escapes such as `\u009b`, with the same meaning. `serde_json` escapes only what RFC 8259 requires.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    escaped(json, |escaped, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escape(&mut escaped, c);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, line separators, and characters that are invisible or change the direction of text (Unicode
/// Standard Annex #9).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            ("plain", "plain"),
            ("Übung «1» 写真 🖼", "Übung «1» 写真 🖼"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}\0\u{7}", "\\u{7f}\\u{0}\\u{7}"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("a\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = "\u{1b}[2J \u{9b} \u{7f} \u{202e} \u{e0041} é";
        let json = Value::from(text).to_string();
        let shown = printable_json(&json);
        assert_eq!(shown, r#""\u001b[2J \u009b \u007f \u202e \udb40\udc41 é""#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), text);
    }
}
