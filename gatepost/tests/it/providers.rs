//! Every identity provider of `docs/providers.md`: its configuration as it can be pasted, held against sample tokens by
//! `gatepost replay`, in both runtimes.

mod table;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{gatepost, repository, text};
use table::{Keys, NOW, providers};

#[test]
fn every_providers_tokens_get_the_documented_decision() {
    let keys = Keys::generate();
    let (mut n_cases, mut failed) = (0, Vec::new());
    for provider in providers() {
        let folder = tempfile::tempdir().unwrap();
        provider.write(folder.path());
        let jwks = folder.path().join("jwks.json");
        std::fs::write(&jwks, keys.jwks().to_string()).unwrap();
        let events = folder.path().join("events");
        std::fs::create_dir(&events).unwrap();
        for (idx, case) in provider.cases.iter().enumerate() {
            let mut headers = json!({});
            if let Some((name, value)) = case.header(&keys) {
                headers[&name] = json!([{"key": name, "value": value}]);
            }
            let event = json!({"Records": [{"cf": {
                "config": {"eventType": "viewer-request"},
                "request": {"method": "GET", "uri": case.uri, "querystring": "", "headers": headers},
            }}]});
            let write = |kind: &str, value: &Value| {
                let file = events.join(format!("{idx:03}{kind}.json"));
                std::fs::write(file, value.to_string()).unwrap();
            };
            write("", &event);
            write(".expected", &case.expected);
        }
        for runtime in ["native", "node"] {
            let lines = replay(folder.path(), runtime);
            assert_eq!(lines.len(), provider.cases.len(), "{}", provider.section);
            for (line, case) in lines.iter().zip(&provider.cases) {
                n_cases += 1;
                if line["matches"] != true {
                    let (section, name) = (&provider.section, &case.name);
                    failed.push(format!(
                        "{section}, {runtime}: {name}: expected {}, found {}",
                        case.expected, line["outcome"]
                    ));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(n_cases > 300, "{n_cases}");
    println!("{n_cases} requests with sample tokens of providers are answered as expected");
}

fn replay(folder: &Path, runtime: &str) -> Vec<Value> {
    let output = gatepost()
        .arg("replay")
        .arg(folder.join("events"))
        .arg("--config")
        .arg(folder.join("gatepost.toml"))
        .arg("--jwks")
        .arg(folder.join("jwks.json"))
        .arg("--at")
        .arg(Timestamp::from_second(NOW).unwrap().to_string())
        .args(["--format", "json", "--runtime", runtime])
        // The addon is built from source.
        .current_dir(repository(""))
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.code() != Some(2), "{stderr}");
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}
