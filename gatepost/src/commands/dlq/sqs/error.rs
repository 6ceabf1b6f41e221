//! An error of SQS, or of the connection to it, as a short text that is safe to print.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::terminal::printable::printable;

/// SQS's error code and message, or the connection's error.
pub(super) fn reason<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    printable(&media_store::reason(error)).into_owned()
}
