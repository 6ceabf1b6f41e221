//! A development identity provider: people without passwords, and the provider's side of the code flow of
//! `OpenID Connect` with PKCE (RFC 7636), as far as a page needs it. In a deployment a real provider does this.
//!
//! [`Issuer`] has the key and signs tokens; [`Provider`] signs people in at a page and trades codes for tokens. This
//! crate knows nothing of the programs that use it: they name the people, the clients and the address.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dev_idp::{Client, Issuer, Provider, Redirect};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:9000").await?;
//! let issuer = Arc::new(Issuer::ephemeral("http://127.0.0.1:9000", "shop")?);
//! let shop = Client {
//!     id: "shop-page".to_owned(),
//!     redirects: vec![Redirect::Exact("http://127.0.0.1:8080/".to_owned())],
//!     origins: vec!["http://127.0.0.1:8080".to_owned()],
//! };
//! let people = vec!["alice".to_owned(), "bob".to_owned()];
//! Provider::new(issuer, people, vec![shop])
//!     .serve(listener, std::future::pending())
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod code_flow;
mod codes;
mod issuer;
mod page;

pub use client::{Client, Redirect};
pub use code_flow::{AUTHORIZE_PATH, KEYS_PATH, Provider, TOKEN_LIFETIME, TOKEN_PATH};
pub use issuer::{Issuer, IssuerError};
