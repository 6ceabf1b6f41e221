//! The wire format of CloudFront Functions: the event of a viewer request, and what a function answers.
//!
//! The shapes follow the CloudFront developer guide, "CloudFront Functions event structure". Headers, cookies and query
//! parameters are objects of `{value, multiValue}` by name; cookies are not among the headers.

use edge_auth::ViewerRequest;
use serde_json::{Map, Value, json};

/// The event for a viewer's request.
pub fn event(request: &ViewerRequest, request_id: &str) -> Value {
    let mut headers = Map::new();
    let mut cookies = Map::new();
    for (name, value) in request.headers.iter() {
        let name = name.to_ascii_lowercase();
        if name == "cookie" {
            for pair in value.split(';') {
                if let Some((name, value)) = pair.split_once('=') {
                    add(&mut cookies, trimmed(name), trimmed(value));
                }
            }
        } else {
            add(&mut headers, &name, value);
        }
    }
    let mut parameters = Map::new();
    for pair in request
        .querystring
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add(&mut parameters, name, value);
    }
    json!({
        "version": "1.0",
        "context": {
            "distributionDomainName": "",
            "distributionId": "",
            "eventType": "viewer-request",
            "requestId": request_id,
        },
        "viewer": { "ip": request.client_ip },
        "request": {
            "method": request.method,
            "uri": request.uri,
            "querystring": parameters,
            "headers": headers,
            "cookies": cookies,
        },
        // What `request.rawQueryString()` returns; the runner takes it out.
        "rawQueryString": request.querystring,
    })
}

/// Without the white space of HTTP around it. Other white space belongs to a name: another host of the domain could set
/// a cookie whose name only looks like ours.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Adds a value of a name: the first is `value`, and with a second all are in `multiValue`.
fn add(members: &mut Map<String, Value>, name: &str, value: &str) {
    let Some(member) = members.get_mut(name) else {
        members.insert(name.to_owned(), json!({ "value": value }));
        return;
    };
    let first = json!([{ "value": member["value"] }]);
    if let Some(member) = member.as_object_mut() {
        let all = member.entry("multiValue").or_insert(first);
        if let Some(all) = all.as_array_mut() {
            all.push(json!({ "value": value }));
        }
    }
}

/// What the function answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The changed request, or a response, as the function returned it.
    pub value: Value,
    /// The lines that it logged.
    pub log: Vec<String>,
    /// How long it ran, in whole milliseconds.
    pub millis: u64,
    /// The exception that ended it; the answer is then CloudFront's 503.
    pub fault: Option<String>,
}

impl Answer {
    /// The status of a response; `None` if the request goes on.
    pub fn status(&self) -> Option<u16> {
        self.value["statusCode"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
    }

    /// The path of a request that goes on.
    pub fn uri(&self) -> Option<&str> {
        match self.status() {
            Some(_) => None,
            None => self.value["uri"].as_str(),
        }
    }

    /// The value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.value["headers"][name]["value"].as_str()
    }

    /// The headers, by lower-case name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.value["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value["value"].as_str()?)))
    }

    /// The body of a response.
    pub fn body(&self) -> Option<&str> {
        self.value["body"].as_str()
    }

    /// The log line of a denial: its `code` and the index of its rule.
    pub fn denial(&self) -> Option<Value> {
        self.log
            .first()
            .and_then(|line| serde_json::from_str(line).ok())
    }
}

#[cfg(test)]
mod tests {
    use edge_auth::Headers;

    use super::*;

    #[test]
    fn repeated_names_become_a_list() {
        let headers: Headers = [
            ("Accept", "text/html"),
            ("Cookie", "a=1; b=2"),
            ("cookie", "a=3"),
            ("accept", "image/webp"),
        ]
        .into_iter()
        .collect();
        let request = ViewerRequest {
            headers,
            querystring: "x=1&y&x=2".to_owned(),
            ..ViewerRequest::default()
        };
        let event = event(&request, "id");
        assert_eq!(
            event["request"]["headers"],
            json!({"accept": {"value": "text/html", "multiValue": [{"value": "text/html"}, {"value": "image/webp"}]}})
        );
        assert_eq!(
            event["request"]["cookies"],
            json!({"a": {"value": "1", "multiValue": [{"value": "1"}, {"value": "3"}]}, "b": {"value": "2"}})
        );
        assert_eq!(event["request"]["querystring"]["y"]["value"], "");
        assert_eq!(event["rawQueryString"], "x=1&y&x=2");
    }
}
