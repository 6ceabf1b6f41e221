//! Signing in at the local stack: the development identity provider with two people, for the page and for the front ends
//! of other origins. `gatepost dev` serves it beside the page; in a deployment a real provider does this.

use std::sync::Arc;

use axum::Router;
use dev_idp::{AUTHORIZE_PATH, Client, Issuer, Provider, TOKEN_PATH};

use crate::config::{SignIn, TokenKind};
use crate::web::Web;

use super::origins::Origins;

/// The page, as the provider knows it.
const CLIENT: &str = "gatepost-page";
/// The people that one can sign in as.
const PEOPLE: [&str; 2] = ["alice", "bob"];
/// The address of the page that begins to sign in.
const HOME: &str = "/?sign_in";

/// How the page signs people in on this machine.
pub(super) fn configuration() -> SignIn {
    SignIn {
        client_id: CLIENT.to_owned(),
        authorize: AUTHORIZE_PATH.to_owned(),
        token: TOKEN_PATH.to_owned(),
        issuer: None,
        scope: "openid".to_owned(),
        uses: TokenKind::AccessToken,
    }
}

/// The routes of the provider.
pub(super) fn router(issuer: Arc<Issuer>, web: Web, origins: &Origins) -> Router {
    let page = Client {
        id: CLIENT.to_owned(),
        redirects: origins.redirects(),
        origins: origins.iter().cloned().collect(),
    };
    let people = PEOPLE.map(str::to_owned).into();
    Provider::new(issuer, people, vec![page])
        .with_home(HOME)
        .with_page(move || web.sign_in_page())
        .router()
}
