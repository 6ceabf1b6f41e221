//! The page on which a person is chosen. It is a plain form without a script: its hidden fields are the parameters of
//! the authorization request, which the code flow checks when the form comes back.

use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};

/// The parameters of an authorization request that the form sends back.
const FIELDS: [&str; 6] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// The page for these people, with the parameters that it was opened with.
pub(crate) fn sign_in_page(
    action: &str,
    people: &[String],
    parameters: &[(String, String)],
) -> Response {
    let value = |field: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name == field);
        found.next().map_or("", |(_, value)| value)
    };
    let fields = FIELDS.map(|field| {
        let value = escape(value(field));
        format!("<input type=\"hidden\" name=\"{field}\" value=\"{value}\">")
    });
    let people = people.iter().map(|person| {
        let person = escape(person);
        format!("<p><button name=\"sub\" value=\"{person}\">{person}</button></p>")
    });
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sign in</title>\
         <h1>Who would you like to be?</h1>\
         <form method=\"post\" action=\"{action}\">{}{}</form>\
         <p>Local development identity: made-up people, no passwords.</p>",
        fields.concat(),
        people.collect::<String>()
    );
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
}

/// A text as it is within an attribute or an element.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
