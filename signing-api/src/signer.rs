//! What forms and links are signed with. The SDK's provider fetches and refreshes it; here it is kept as long as it stays
//! the same, and with it the key that was derived of it.

use std::sync::{Mutex, PoisonError};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use jiff::Timestamp;
use url_signing::Credentials;

/// Credentials to sign with.
#[derive(Debug)]
pub struct Signer {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<Credentials>>,
}

impl Signer {
    /// Signs with what a provider has.
    pub fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            last: Mutex::new(None),
        }
    }

    /// What the provider has now.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let now = self.provider.provide_credentials().await?;
        let expires_at = now
            .expiry()
            .and_then(|expiry| Timestamp::try_from(expiry).ok());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A session has an id of its own, and a key has one secret.
        if let Some(last) = &*last
            && last.access_key_id == now.access_key_id()
            && last.expires_at == expires_at
        {
            return Ok(last.clone());
        }
        let credentials = Credentials {
            access_key_id: now.access_key_id().to_owned(),
            secret_access_key: now.secret_access_key().into(),
            session_token: now.session_token().map(Into::into),
            expires_at,
        };
        *last = Some(credentials.clone());
        Ok(credentials)
    }
}
