//! A package made for the run: its configuration, with generated keys, and its files.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::{Authorizer, Config};
use serde_json::{Value, json};

use crate::harness::{gatepost, repository, text};

pub(super) const ISSUER: &str = "https://login.example.com/";
/// 2026-11-24T00:00:00Z.
pub(super) const NOW: i64 = 1_795_478_400;

pub(super) const CONFIG: &str = r#"
[[issuers]]
issuer     = "https://login.example.com/"
audiences  = ["media"]
algorithms = ["ES256", "HS256"]
jwks       = { file = "jwks.json" }
secrets    = [{ kid = "secret", file = "secret" }]
leeway     = "5s"

[token]
from = ["authorization", "cookie:__Host-gatepost", "query:token", "header:Cf-Access-Jwt-Assertion"]

[[rules]]
path  = "/media/{owner}/**"
allow = "owner"
[[rules]]
path    = "/team/{claim:groups}/**"
allow   = "authenticated"
issuers = ["https://login.example.com/"]
[[rules]]
path  = "/realm/{claim:/realm_access/roles}/**"
allow = "authenticated"
[[rules]]
path   = "/admin/**"
scopes = ["media:admin"]
[[rules]]
path   = "/reports/*.pdf"
claims = { email_verified = true, department = ["sales", "finance"] }
[[rules]]
path  = "/public/**"
allow = "anyone"

[deny]
login = "/sign-in?return_to={url}"

[cors]
origins     = ["https://app.example.com"]
credentials = true

[session]
secrets = [{ kid = "shared", file = "session-secret" }]
keys    = [{ kid = "pair", file = "session.pem", from = 2026-11-24T01:00:00Z }]
"#;

/// A folder with a configuration with generated keys, and its package.
pub(super) struct Package {
    pub(super) folder: tempfile::TempDir,
    pub(super) key: EcdsaKeyPair,
    /// As the packaged API has it, which makes sessions.
    pub(super) api: Authorizer,
}

impl Package {
    pub(super) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec",
            "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)}]});
        std::fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        std::fs::write(folder.path().join("gatepost.toml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("session-secret"), SESSION_SECRET).unwrap();
        std::fs::write(folder.path().join("session.pem"), new_session_key()).unwrap();
        Self::pack(folder.path(), "dist");
        let settings = content_of(&folder.path().join("dist/signing-api.zip"), "settings.json");
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let api = Authorizer::new(&serde_json::from_value(settings["edge"].clone()).unwrap());
        let api = api.unwrap_or_else(|faults| panic!("{faults:?}"));
        let package = Self { folder, key, api };
        package.unpack();
        package
    }

    pub(super) fn pack(folder: &Path, out: &str) {
        let output = gatepost()
            // The deployed package is unknown here, and no session exists yet.
            .args(["package", "--rotate-now"])
            .arg("--config")
            .arg(folder.join("gatepost.toml"))
            .arg("--out")
            .arg(folder.join(out))
            .current_dir(repository(""))
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stdout}{stderr}");
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Unpacks the zip, as Lambda would.
    pub(super) fn unpack(&self) {
        let zip = std::io::Cursor::new(self.read("dist/edge-auth.zip"));
        let mut archive = zip::ZipArchive::new(zip).unwrap();
        archive.extract(self.unpacked()).unwrap();
    }

    pub(super) fn unpacked(&self) -> PathBuf {
        self.folder.path().join("unpacked")
    }

    /// The library with the configuration that is in the package.
    pub(super) fn authorizer(&self) -> Authorizer {
        let config: Config =
            serde_json::from_slice(&std::fs::read(self.unpacked().join("config.json")).unwrap())
                .unwrap();
        Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    pub(super) fn es256(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = self
            .key
            .sign(&SystemRandom::new(), input.as_bytes())
            .unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

pub(super) const SECRET: &[u8] = b"a secret of the tests, 32 bytes long or more";
pub(super) const SESSION_SECRET: &[u8] = b"another secret of the tests, as long as it must be";

/// A key for sessions, made for the run, in PEM.
pub(super) fn new_session_key() -> String {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let base64 = data_encoding::BASE64.encode(der.unwrap().as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

/// A file of a zip.
pub(super) fn content_of(zip: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut content = Vec::new();
    let mut file = archive.by_name(name).unwrap();
    std::io::Read::read_to_end(&mut file, &mut content).unwrap();
    content
}

pub(super) fn signing_input(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(claims))
}
