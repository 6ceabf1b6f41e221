//! `gatepost.toml`: one file that configures all, read once, with every fault reported at once.
//!
//! The crates own what their settings mean and check it; this module reads the file, hands each its part, and puts
//! lines to the faults that they find.

mod document;
mod units;

use std::fmt;
use std::path::{Path, PathBuf};

use edge_auth::config::{Access, Algorithm, Audiences, Issuer, Rule, TokenSource};
use jiff::SignedDuration;
use serde_json::Value;
use toml::de::DeTable;
use upload_processor::settings::Settings as ImageSettings;

use document::{Notes, Section};
pub(crate) use units::parse_duration;
use units::{parse_bytes, parse_leeway, parse_pixels};

/// The default name of the file, looked for in the working directory.
pub(crate) const DEFAULT_FILE: &str = "gatepost.toml";

/// What holds where there is no file: the example of this repository.
const BUILT_IN: &str = include_str!("../../../gatepost.toml");

/// Everything that the file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// For `edge-auth`.
    pub(crate) edge: edge_auth::Config,
    /// For `upload-processor`, and in part for `signing-api`.
    pub(crate) images: ImageSettings,
    /// How long an upload form is valid.
    pub(crate) form_lifetime: SignedDuration,
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    Unreadable { file: PathBuf, reason: String },
    /// What it says is wrong: lines and sentences.
    Faulty {
        file: PathBuf,
        faults: Vec<(usize, String)>,
    },
}

impl Config {
    /// Reads the file that was asked for; without one the default file, and without that what is built in.
    pub(crate) fn load(asked: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with_keys(asked, None)
    }

    /// The same, with these keys for every issuer in place of its own.
    pub(crate) fn load_with_keys(
        asked: Option<&Path>,
        jwks: Option<&Value>,
    ) -> Result<Self, ConfigError> {
        let file = asked.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text, jwks),
            Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse(file, BUILT_IN, jwks)
            }
            Err(error) => Err(ConfigError::Unreadable {
                file: file.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    fn parse(file: &Path, text: &str, jwks: Option<&Value>) -> Result<Self, ConfigError> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let notes = Notes::new(text);
        for error in &errors {
            notes.syntax(error);
        }
        let config = if errors.is_empty() {
            let folder = file.parent().unwrap_or(Path::new(""));
            let root = Section::root(&notes, &table);
            let config = read_root(&root, folder, jwks);
            root.finish();
            if let Err(faults) = edge_auth::Authorizer::new(&config.edge) {
                // What was not understood is not there to be checked: one fault a key is enough.
                let known = notes.keys();
                let is_new = |key: &str| !known.iter().any(|faulty| faulty.starts_with(key));
                for fault in faults.iter().filter(|fault| is_new(&fault.key)) {
                    notes.fault(&fault.key, &fault.message);
                }
            }
            for fault in config.images.faults() {
                let section = match fault.key {
                    "types" | "max_bytes" => "uploads",
                    _ => "renditions",
                };
                notes.fault(&format!("{section}.{}", fault.key), &fault.message);
            }
            Some(config)
        } else {
            None
        };
        let faults = notes.into_faults();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigError::Faulty {
                file: file.to_owned(),
                faults,
            }),
        }
    }
}

fn read_root(root: &Section<'_>, folder: &Path, jwks: Option<&Value>) -> Config {
    let mut edge = edge_auth::Config {
        token_sources: vec![TokenSource::Authorization],
        ..Default::default()
    };
    for section in root.sections("issuers") {
        edge.issuers.push(read_issuer(&section, folder, jwks));
        section.finish();
    }
    if let Some(section) = root.section("token") {
        if let Some(texts) = section.texts("from") {
            edge.token_sources = read_token_sources(&section, &texts);
        }
        section.finish();
    }
    for section in root.sections("rules") {
        edge.rules.push(read_rule(&section));
        section.finish();
    }
    if let Some(section) = root.section("deny") {
        edge.login = section.text("login");
        if let Some(login) = &edge.login
            && !(login.starts_with("https://") || login.starts_with('/'))
        {
            section.fault(
                "login",
                "it begins with https:// or, on the same site, with a slash",
            );
        }
        section.finish();
    }
    let mut images = ImageSettings::default();
    let mut form_lifetime = SignedDuration::from_mins(5);
    if let Some(section) = root.section("uploads") {
        if let Some(types) = section.texts("types") {
            images.types = read_names(&section, "types", &types, parse_name);
        }
        if let Some(bytes) = section.parsed("max_bytes", parse_bytes) {
            images.max_bytes = bytes;
        }
        if let Some(lifetime) = section.parsed("expires_in", parse_duration) {
            form_lifetime = lifetime;
            if lifetime > SignedDuration::from_hours(12) {
                section.fault(
                    "expires_in",
                    "a form lives minutes, and never more than 12h",
                );
            }
        }
        section.finish();
    }
    if let Some(section) = root.section("renditions") {
        if let Some(widths) = section.numbers("widths") {
            images.widths = widths;
        }
        if let Some(formats) = section.texts("formats") {
            images.formats = read_names(&section, "formats", &formats, parse_name);
        }
        if let Some(quality) = section.number("quality") {
            // 0 is refused below, with the key's own sentence.
            images.quality = u8::try_from(quality).unwrap_or(0);
        }
        if let Some(pixels) = section.parsed("max_pixels", parse_pixels) {
            images.max_pixels = pixels;
        }
        section.finish();
    }
    Config {
        edge,
        images,
        form_lifetime,
    }
}

fn read_issuer(section: &Section<'_>, folder: &Path, given_jwks: Option<&Value>) -> Issuer {
    let issuer = section.required_text("issuer");
    let audiences = if !section.has("audiences") {
        section.required_text("audiences");
        Audiences::OneOf(vec![String::new()])
    } else if let Some(audiences) = section.texts_or_any("audiences") {
        audiences
    } else {
        Audiences::OneOf(vec![String::new()])
    };
    let algorithms = section.texts("algorithms").map_or_else(
        || vec![Algorithm::RS256, Algorithm::ES256],
        |names| read_names(section, "algorithms", &names, Algorithm::from_name),
    );
    let jwks = read_keys(section, folder, given_jwks);
    Issuer {
        issuer,
        audiences,
        algorithms,
        jwks,
        typ: section.text("typ"),
        claims: section
            .section("claims")
            .map(|claims| claims.texts_by_name())
            .unwrap_or_default(),
        leeway_seconds: section.parsed("leeway", parse_leeway).unwrap_or(0),
    }
}

/// `jwks = { file, url }`: the set in the file, or the one that was given instead.
fn read_keys(section: &Section<'_>, folder: &Path, given: Option<&Value>) -> Value {
    let none = serde_json::json!({"keys": []});
    let Some(keys) = section.section("jwks") else {
        if !section.has("jwks") && given.is_none() {
            section.fault(
                "jwks",
                "it is missing; write for example jwks = { file = \"jwks.json\" }",
            );
        }
        return given.cloned().unwrap_or(none);
    };
    let url = keys.text("url");
    let file = keys.text("file");
    let jwks = match (given, file) {
        (Some(given), _) => given.clone(),
        (None, Some(file)) => read_json(&folder.join(&file)).unwrap_or_else(|reason| {
            keys.fault("file", &format!("{file}: {reason}"));
            none
        }),
        (None, None) => {
            keys.fault(
                "file",
                match url {
                    Some(_) => {
                        "the keys are read from a file; save what the URL answers beside this one"
                    }
                    None => "it is missing",
                },
            );
            none
        }
    };
    keys.finish();
    jwks
}

impl Section<'_> {
    /// `audiences`: a list, or the word that skips the check.
    fn texts_or_any(&self, name: &'static str) -> Option<Audiences> {
        if self.is_text(name) {
            if self.text(name).as_deref() == Some("any") {
                return Some(Audiences::Any);
            }
            self.fault(
                name,
                "write a list of audiences, or \"any\" to skip the check",
            );
            return None;
        }
        self.texts(name).map(Audiences::OneOf)
    }
}

fn read_token_sources(section: &Section<'_>, texts: &[String]) -> Vec<TokenSource> {
    let sources = read_names(section, "from", texts, |text| match text.split_once(':') {
        None if text == "authorization" => Some(TokenSource::Authorization),
        Some(("cookie", name)) => Some(TokenSource::Cookie(name.to_owned())),
        _ => None,
    });
    if texts.is_empty() {
        section.fault(
            "from",
            "name at least one place, such as \"authorization\" or \"cookie:__Host-gatepost\"",
        );
    }
    sources
}

fn read_rule(section: &Section<'_>) -> Rule {
    let path = section.required_text("path");
    let allow = section.text("allow");
    let scopes = section.texts("scopes");
    let access = match (allow.as_deref(), scopes) {
        (None, Some(scopes)) => Access::Scopes(scopes),
        (Some("anyone"), None) => Access::Anyone,
        (Some("authenticated"), None) => Access::Authenticated,
        (Some("owner"), None) => Access::Owner,
        (Some(_), Some(_)) => {
            section.fault("allow", "a rule has `allow` or `scopes`, not both");
            Access::Authenticated
        }
        (Some(other), None) => {
            section.fault(
                "allow",
                &format!("{other:?} is none of \"anyone\", \"authenticated\", \"owner\""),
            );
            Access::Authenticated
        }
        (None, None) => {
            if !section.has("allow") && !section.has("scopes") {
                section.fault(
                    "allow",
                    "it is missing; write \"anyone\", \"authenticated\", \"owner\", or `scopes`",
                );
            }
            Access::Authenticated
        }
    };
    Rule {
        path,
        access,
        methods: section.texts("methods").unwrap_or_default(),
    }
}

/// Turns names into what they name, noting each that is unknown.
fn read_names<T>(
    section: &Section<'_>,
    name: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let mut values = Vec::with_capacity(texts.len());
    for (idx, text) in texts.iter().enumerate() {
        match parse(text) {
            Some(value) => values.push(value),
            None => section.fault(
                &format!("{name}[{idx}]"),
                &format!("{text:?} is not supported"),
            ),
        }
    }
    values
}

/// A name as `serde` knows it.
fn parse_name<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::from(name)).ok()
}

fn read_json(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => {
                write!(
                    f,
                    "the configuration {} cannot be read: {reason}",
                    file.display()
                )
            }
            Self::Faulty { file, faults } => {
                let n_faults = faults.len();
                let noun = if n_faults == 1 { "fault" } else { "faults" };
                write!(f, "the configuration has {n_faults} {noun}:")?;
                for (line, message) in faults {
                    write!(f, "\n  {}:{line}: {message}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
