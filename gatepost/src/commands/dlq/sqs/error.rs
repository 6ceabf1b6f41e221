//! An error of SQS, or of the connection to it, as a short text.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::terminal::printable::printable;

/// SQS's error code and message, or the connection's error.
pub(super) fn reason<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let text = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => causes(error),
    };
    printable(&text).into_owned()
}

/// An error and its causes, each once: some errors already print their cause.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let shown = cause.to_string();
        if !text.contains(&shown) {
            text = format!("{text}: {shown}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Fault {
            text: &'static str,
            source: Option<Box<Fault>>,
        }
        let fault = |text, source: Option<Fault>| Fault {
            text,
            source: source.map(Box::new),
        };
        for (error, told) in [
            (fault("a", None), "a"),
            (fault("a", Some(fault("b", None))), "a: b"),
            (
                fault("a: b", Some(fault("b", Some(fault("c", None))))),
                "a: b: c",
            ),
        ] {
            assert_eq!(causes(&error), told);
        }
    }
}
