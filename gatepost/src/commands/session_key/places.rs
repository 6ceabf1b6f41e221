//! The two places of session keys, and the connection to them.

use anyhow::{Context as _, anyhow};
use aws_call::{Caller, SecretArn};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::Region;
use clap::Args;
use signing_api::{SESSION_SECRETS_VARIABLE, SessionSecrets};

use super::store::Store;
use crate::aws;

#[derive(Args, Debug)]
pub(super) struct PlaceArgs {
    /// The KeyValueStore of CloudFront, with which the edge verifies.
    #[arg(long, value_name = "ARN", env = "GATEPOST_SESSION_STORE_ARN")]
    store: String,
    /// The secret in Secrets Manager, with which the API signs.
    #[arg(long, value_name = "ARN", env = SESSION_SECRETS_VARIABLE)]
    secret: String,
    /// Use this endpoint for both instead of AWS.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The Region whose STS gives credentials [default: that of the environment or the profile, otherwise the secret's].
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
}

/// The connection to both places, with the credentials of this moment.
pub(super) struct Places {
    pub(super) store: Store,
    pub(super) api: ApiSecret,
}

/// The API's secret.
pub(super) struct ApiSecret {
    caller: Caller,
    arn: SecretArn,
    endpoint: String,
}

impl PlaceArgs {
    /// Connects. Credentials may end while a command waits, so it connects again afterwards.
    pub(super) async fn connect(&self) -> anyhow::Result<Places> {
        // The text is not shown: it could be a secret by mistake.
        let arn = SecretArn::parse(&self.secret).ok();
        let arn = arn.filter(SecretArn::is_in_secrets_manager).context(
            "--secret is not the ARN of a secret in Secrets Manager, such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:gatepost-sessions-AbCdEf",
        )?;
        let region = match &self.region {
            Some(region) => Region::new(region.clone()),
            None => aws::region()
                .await
                .unwrap_or_else(|| Region::new(arn.region().to_owned())),
        };
        let credentials = aws::identify(Some(region)).await?.found;
        let caller = Caller::new(SharedCredentialsProvider::new(credentials))?;
        let endpoint = self.endpoint_url.as_deref();
        Ok(Places {
            store: Store::new(caller.clone(), &self.store, endpoint)?,
            api: ApiSecret {
                caller,
                endpoint: endpoint.map_or_else(|| arn.endpoint(), str::to_owned),
                arn,
            },
        })
    }
}

impl ApiSecret {
    /// Reads the keys; none if the secret has no value yet.
    pub(super) async fn read(&self) -> anyhow::Result<SessionSecrets> {
        match self.arn.read(&self.caller, &self.endpoint).await {
            Ok(text) => SessionSecrets::parse(&text).with_context(|| self.arn.as_str().to_owned()),
            Err(error) if error.is_without_value() => Ok(SessionSecrets::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the keys.
    pub(super) async fn write(&self, keys: &SessionSecrets) -> anyhow::Result<()> {
        let text = keys
            .to_json()
            .map_err(|_| anyhow!("the keys cannot be written as JSON"))?;
        Ok(self.arn.write(&self.caller, &self.endpoint, &text).await?)
    }
}
