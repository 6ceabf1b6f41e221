//! `gatepost.toml`: the one configuration file, read once, with every fault reported at once.
//!
//! The crates own the meaning of their settings and check them; this module reads the file, gives each crate its part,
//! and adds lines to the faults that they find.

pub(crate) mod delivery;
mod document;
mod edge;
mod notes;
pub(crate) mod sign_in;
pub(crate) mod units;
mod uploads;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;
use serde_json::Value;
use signing_api::{LinkSigner, PackedSettings, UploadsThrough};
use thumbnailer::settings::Settings as ImageSettings;
use toml::de::DeTable;

pub(crate) use delivery::DeliveryMode;
use document::Section;
use notes::Notes;
pub(crate) use sign_in::{SignIn, TokenKind};
pub(crate) use units::{parse_bytes, parse_duration, parse_time};
use units::{parse_duration_or_zero, parse_name, parse_pixels};

use crate::terminal::output;

/// The default name of the file, looked for in the working directory.
pub(crate) const DEFAULT_FILE: &str = "gatepost.toml";

/// The configuration without a file: the example of this repository.
const BUILT_IN: &str = include_str!("../../../gatepost.toml");

/// The sections of the file.
const ROOT: [&str; 13] = [
    "cors",
    "delivery",
    "deny",
    "issuers",
    "links",
    "media",
    "owner",
    "renditions",
    "rules",
    "session",
    "sign_in",
    "token",
    "uploads",
];
/// The window of mode `presigned`, in which every request gets the same URLs, where `[links]` names none.
const PRESIGNED_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// The keys of `[renditions]`.
const RENDITIONS: [&str; 5] = ["effort", "formats", "max_pixels", "quality", "widths"];
/// The names of formats.
const FORMATS: &str = "\"webp\" or \"jpeg\"";

/// Everything that the file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// How viewers are authorized.
    pub(crate) delivery: DeliveryMode,
    /// For `edge-auth`. In mode `function` a session has no keys here.
    pub(crate) edge: edge_auth::Config,
    /// For the page.
    pub(crate) sign_in: Option<SignIn>,
    /// For `upload-processor`, and in part for `signing-api`.
    pub(crate) images: ImageSettings,
    /// How long browsers may keep private media without asking again.
    pub(crate) browser_cache: Duration,
    /// Where browsers post their uploads.
    pub(crate) uploads_through: UploadsThrough,
    /// How long an upload form is valid.
    pub(crate) form_lifetime: SignedDuration,
    /// The longest lifetime of a shared link; `None` is the signer's default.
    pub(crate) max_link_lifetime: Option<SignedDuration>,
    /// The time window in which every request gets the same link.
    pub(crate) links_shared_within: SignedDuration,
}

/// The page's settings: its `/settings.json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PageSettings {
    pub(crate) sign_in: Option<SignInMethod>,
    /// The content types that a photo may have.
    types: Vec<&'static str>,
    /// The largest photo, in bytes.
    max_bytes: u64,
    /// The lifetime of the links that the page asks for, in seconds.
    link_seconds: i64,
}

/// How people sign in at the page.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum SignInMethod {
    /// The page runs the code flow itself.
    Code(SignIn),
    /// The application's own sign-in page; `{url}` is replaced by the return URL.
    Login { login: String },
}

/// The reason why a configuration cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum ConfigFault {
    /// The file cannot be read.
    Unreadable { file: PathBuf, reason: String },
    /// The file is invalid: faults with their lines.
    Faulty {
        file: PathBuf,
        faults: Vec<(usize, String)>,
    },
}

impl Config {
    /// Reads the named file, otherwise the default file, otherwise the built-in example.
    pub(crate) fn load(asked: Option<&Path>) -> Result<Self, ConfigFault> {
        Self::load_with(asked, None, None)
    }

    /// The same, in this mode of delivery in place of the file's. Session keys of the file are left out where the mode has
    /// its own.
    pub(crate) fn load_for(
        asked: Option<&Path>,
        mode: Option<DeliveryMode>,
    ) -> Result<Self, ConfigFault> {
        Self::load_with(asked, None, mode)
    }

    /// The same, with these keys for every issuer in place of its own.
    pub(crate) fn load_with_keys(
        asked: Option<&Path>,
        jwks: Option<&Value>,
    ) -> Result<Self, ConfigFault> {
        Self::load_with(asked, jwks, None)
    }

    fn load_with(
        asked: Option<&Path>,
        jwks: Option<&Value>,
        mode: Option<DeliveryMode>,
    ) -> Result<Self, ConfigFault> {
        let file = asked.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse_as(file, &text, jwks, mode),
            Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse_as(file, BUILT_IN, jwks, mode)
            }
            Err(error) => Err(ConfigFault::Unreadable {
                file: file.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    /// The page's settings, if links are signed by `link_signer`.
    pub(crate) fn page(&self, link_signer: LinkSigner) -> PageSettings {
        let types = self.images.types.iter();
        let link_lifetime = self.max_link_lifetime;
        let link_lifetime = link_lifetime.unwrap_or(link_signer.default_lifetime());
        PageSettings {
            sign_in: self.sign_in_method(),
            types: types.map(|image_type| image_type.content_type()).collect(),
            max_bytes: self.images.max_bytes,
            link_seconds: link_lifetime.as_secs(),
        }
    }

    /// How people sign in at the page: as in `[sign_in]`, otherwise where the edge sends browsers, unless that is the page.
    fn sign_in_method(&self) -> Option<SignInMethod> {
        if let Some(sign_in) = &self.sign_in {
            return Some(SignInMethod::Code(sign_in.clone()));
        }
        let login = self.edge.login.clone()?;
        let is_the_page = login.split(['?', '#']).next() == Some("/");
        (!is_the_page).then_some(SignInMethod::Login { login })
    }

    /// The settings of `signing-api`.
    pub(crate) fn api(&self, edge: &edge_auth::Config) -> PackedSettings {
        // Each was read as a duration of at most some days.
        let seconds =
            |duration: SignedDuration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let types = self.images.types.iter();
        PackedSettings {
            delivery: self.delivery,
            uploads_through: self.uploads_through,
            edge: edge.clone(),
            types: types
                .map(|image_type| image_type.content_type().to_owned())
                .collect(),
            max_bytes: self.images.max_bytes,
            form_lifetime_seconds: seconds(self.form_lifetime),
            max_link_lifetime_seconds: self.max_link_lifetime.map(seconds),
            links_shared_within_seconds: seconds(self.links_shared_within),
        }
    }

    #[cfg(test)]
    fn parse(file: &Path, text: &str, jwks: Option<&Value>) -> Result<Self, ConfigFault> {
        Self::parse_as(file, text, jwks, None)
    }

    fn parse_as(
        file: &Path,
        text: &str,
        jwks: Option<&Value>,
        mode: Option<DeliveryMode>,
    ) -> Result<Self, ConfigFault> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let notes = Notes::new(text);
        for error in &errors {
            notes.syntax(error);
        }
        let config = if errors.is_empty() {
            let folder = file.parent().unwrap_or(Path::new(""));
            let root = Section::root(&notes, &table, &ROOT);
            let config = read_root(&root, folder, jwks, mode);
            check(&config, &notes);
            for warning in edge_auth::warnings(&config.edge) {
                let line = notes.line(&warning.key);
                let (file, message) = (file.display(), &warning.message);
                output::warn(format_args!("{file}:{line}: {}: {message}", warning.key));
            }
            Some(config)
        } else {
            None
        };
        let faults = notes.into_faults();
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigFault::Faulty {
                file: file.to_owned(),
                faults,
            }),
        }
    }
}

/// Notes the faults that the crates find in their part. Unreadable values are absent here, so a fault that only follows
/// from another one is left out: one fault per key is enough.
fn check(config: &Config, notes: &Notes<'_>) {
    if !notes.is_faulty("token.from") {
        delivery::check_token_sources(config.delivery, &config.edge.token_sources, notes);
    }
    let known = notes.keys();
    let is_known = |is: &dyn Fn(&str) -> bool| known.iter().any(|faulty| is(faulty));
    // Unreadable keys would shift the indexes of the others.
    let are_session_keys_faulty = is_known(&|faulty| is_session_key(faulty));
    // A rule may name a block whose name was unreadable.
    let are_names_faulty = is_known(&|faulty| {
        let of_block = faulty.strip_prefix("issuers");
        of_block.is_some_and(|rest| {
            !rest.contains('.') || rest.ends_with("].issuer") || rest.ends_with("].name")
        })
    });
    // An unreadable part of a rule is left out, and the rest may match more than was meant.
    let are_rules_faulty = is_known(&|faulty| faulty.starts_with("rules["));
    let authorizer = edge_auth::Authorizer::new(&delivery::with_placeholder_key(&config.edge));
    if let (Ok(authorizer), true) = (&authorizer, known.is_empty()) {
        delivery::check(config.delivery, authorizer, notes);
    }
    let faults = authorizer.err();
    for fault in faults.iter().flatten() {
        let key = edge::session_key_name(&fault.key, config.edge.session.as_ref());
        let key = notes.written(&key);
        let names_blocks =
            key.ends_with("].owner_as") || key.starts_with("rules[") && key.contains("].issuers");
        let follows = (is_session_key(&key) && are_session_keys_faulty)
            || (names_blocks && are_names_faulty)
            || (fault.message.starts_with("unreachable") && are_rules_faulty)
            || known.iter().any(|faulty| notes::is_within(faulty, &key));
        if !follows {
            notes.fault(&key, &fault.message);
        }
    }
    for fault in config.images.faults() {
        let section = match fault.key {
            "types" | "max_bytes" => "uploads",
            _ => "renditions",
        };
        let key = format!("{section}.{}", fault.key);
        if !notes.is_faulty(&key) {
            notes.fault(&key, &fault.message);
        }
    }
}

/// Whether a fault is about a session's key, rather than about sessions.
fn is_session_key(key: &str) -> bool {
    ["session.keys", "session.secrets"]
        .iter()
        .any(|list| notes::is_within(key, list))
}

fn read_root(
    root: &Section<'_>,
    folder: &Path,
    jwks: Option<&Value>,
    mode: Option<DeliveryMode>,
) -> Config {
    let configured = delivery::read(root);
    let delivery = mode.unwrap_or(configured);
    let edge = edge::read(root, folder, jwks, (delivery, configured));
    let sign_in = sign_in::read(root, &edge);
    let mut images = ImageSettings::default();
    let (uploads_through, form_lifetime) = uploads::read(root, delivery, &mut images);
    let mut browser_cache = Duration::ZERO;
    if let Some(section) = root.section("media", &["browser_cache"]) {
        let wanted = section.parsed("browser_cache", parse_duration_or_zero);
        browser_cache = wanted.unwrap_or_default();
    }
    let mut max_link_lifetime = None;
    let mut links_shared_within = match delivery {
        DeliveryMode::Presigned => PRESIGNED_WINDOW,
        _ => SignedDuration::ZERO,
    };
    if let Some(section) = root.section("links", &["max_expires_in", "shared_within"]) {
        let limit = SignedDuration::from_hours(6 * 24);
        if let Some(lifetime) = section.parsed("max_expires_in", parse_duration) {
            max_link_lifetime = Some(lifetime);
            if lifetime > limit {
                section.fault(
                    "max_expires_in",
                    "is too long; a link is valid for at most 6 days",
                );
            }
        }
        if let Some(window) = section.parsed("shared_within", parse_duration) {
            links_shared_within = window;
            if window > SignedDuration::from_hours(24) {
                section.fault("shared_within", "is too long; at most one day (24h)");
            }
        }
    }
    if let Some(section) = root.section("renditions", &RENDITIONS) {
        if let Some(widths) = section.numbers("widths") {
            images.widths = widths;
        }
        if let Some(formats) = section.names("formats", FORMATS, parse_name) {
            images.formats = formats;
        }
        if let Some(quality) = section.number("quality") {
            match u8::try_from(quality) {
                Ok(quality) => images.quality = quality,
                Err(_) => section.fault("quality", &format!("is {quality}, expected 1 to 100")),
            }
        }
        if let Some(effort) = section.text("effort") {
            match parse_name(&effort) {
                Some(effort) => images.effort = effort,
                None => section.fault(
                    "effort",
                    &format!("{effort:?} is neither \"fast\" nor \"balanced\""),
                ),
            }
        }
        if let Some(pixels) = section.parsed("max_pixels", parse_pixels) {
            images.max_pixels = pixels;
        }
    }
    Config {
        delivery,
        edge,
        sign_in,
        images,
        browser_cache,
        uploads_through,
        form_lifetime,
        max_link_lifetime,
        links_shared_within,
    }
}

impl fmt::Display for ConfigFault {
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

impl std::error::Error for ConfigFault {}

#[cfg(test)]
mod providers;

#[cfg(test)]
mod tests {
    use thumbnailer::settings::Effort;

    use super::*;

    #[test]
    fn effort_is_read() {
        let written = "effort     = \"balanced\"";
        assert!(BUILT_IN.contains(written));
        for (line, expected) in [
            ("", Effort::Balanced),
            (written, Effort::Balanced),
            ("effort = \"fast\"", Effort::Fast),
        ] {
            let text = BUILT_IN.replace(written, line);
            let config = Config::parse(Path::new(DEFAULT_FILE), &text, None).unwrap();
            assert_eq!(config.images.effort, expected, "{line}");
        }
    }

    #[test]
    fn a_fault_hides_only_what_follows_from_it() {
        let text = r#"
[[issuers]]
issuer = "https://login.example.com/"
algorithms = ["RS266"]
jwks = { url = "http://login.example.com/keys", max_age = "1s" }
"#;
        let found = Config::parse(Path::new(DEFAULT_FILE), text, None).unwrap_err();
        let ConfigFault::Faulty { faults, .. } = found else {
            panic!("{found}");
        };
        let keys = faults.iter().map(|(_, message)| {
            let (key, _) = message.split_once(": ").unwrap();
            key
        });
        assert_eq!(
            keys.collect::<Vec<_>>(),
            [
                "issuers[0].audiences",
                "issuers[0].algorithms[0]",
                "issuers[0].jwks.url",
                "issuers[0].jwks.max_age",
            ]
        );
    }
}
