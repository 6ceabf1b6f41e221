//! Private keys in Secrets Manager or in SSM's Parameter Store. Neither the package nor the function's environment then
//! has them. `main` reads each once, when an instance starts.

use std::ffi::OsString;

use anyhow::{Context as _, bail};
use aws_call::{Caller, SecretArn};

/// The suffix of a variable that has the ARN of a secret instead of its text.
const SUFFIX: &str = "_SECRET_ARN";

/// The text of a variable, or of the secret that the variable with this name and `_SECRET_ARN` names.
pub(crate) async fn variable(caller: &Caller, name: &str) -> anyhow::Result<Option<OsString>> {
    let arn_name = format!("{name}{SUFFIX}");
    match (set(name), set(&arn_name)) {
        (Some(_), Some(_)) => bail!("{name} and {arn_name} are both set; remove one of them"),
        (text, None) => Ok(text),
        (None, Some(value)) => {
            let arn = arn(&value, &arn_name)?;
            let text = arn.read(caller, &arn.endpoint()).await;
            let text = text.with_context(|| arn_name.clone())?;
            Ok(Some(text.as_str().into()))
        }
    }
}

/// The ARN in a variable, if it is set.
pub(crate) fn arn_variable(name: &str) -> anyhow::Result<Option<SecretArn>> {
    set(name).map(|value| arn(&value, name)).transpose()
}

fn arn(value: &OsString, variable: &str) -> anyhow::Result<SecretArn> {
    let text = value.to_str().unwrap_or_default();
    SecretArn::parse(text).with_context(|| variable.to_owned())
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
