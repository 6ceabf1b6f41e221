//! `cargo xtask rehearse`: the stack of `infra/` from its first apply to its last destroy, on MiniStack in place of
//! AWS. `infra/rehearsal/rehearse.py` defines the steps.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::{command, photos, terraform, tools};

const WORK: &str = "target/rehearsal";
const SCRIPT: &str = "infra/rehearsal/rehearse.py";
const OVERRIDE: &str = "infra/rehearsal";
/// The folders of the stack, and their places in its copy. Later files replace earlier ones.
const FOLDERS: [(&str, &str); 4] = [
    ("infra", ""),
    ("infra/modules/gatepost", "modules/gatepost"),
    (OVERRIDE, ""),
    ("infra/rehearsal/module", "modules/gatepost"),
];
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// Runs the rehearsal.
pub(crate) fn run() -> anyhow::Result<()> {
    tools::terraform()?;
    tools::python_packages()?;
    tools::phone_photos()?;
    tools::gatepost()?;
    let stack = copy_stack()?;
    terraform::init(&stack)?;
    let aws = MiniStack::start()?;
    command::run(
        terraform::without_variables(&mut Command::new(tools::python()))
            .arg(SCRIPT)
            .args(["--endpoint", &aws.endpoint])
            .args(["--functions-port", &aws.functions_port.to_string()])
            .args(["--gatepost", tools::GATEPOST])
            .arg("--stack")
            .arg(&stack)
            .args(["--photo", photos::REHEARSED])
            // For the provider, which gets no other account.
            .env("AWS_ENDPOINT_URL", &aws.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_CLI_CONFIG_FILE")
            .env_remove("AWS_PROFILE"),
    )
}

/// Copies the stack to its own folder, with MiniStack's overrides.
fn copy_stack() -> anyhow::Result<PathBuf> {
    let stack = std::env::current_dir()?.join(WORK);
    match std::fs::remove_dir_all(&stack) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => std::fs::create_dir_all(&stack)?,
    }
    for (folder, place) in FOLDERS {
        std::fs::create_dir_all(stack.join(place))?;
        for entry in std::fs::read_dir(folder)? {
            let file = entry?.path();
            let extension = file.extension().and_then(|extension| extension.to_str());
            let is_part = match extension {
                Some("tf" | "js" | "sh" | "hcl") => true,
                // Those in infra/ belong to a real deployment, like its state settings.
                Some("tfvars") => folder == OVERRIDE,
                _ => false,
            };
            let name = file.file_name().filter(|name| *name != "backend.tf");
            if let Some(name) = name.filter(|_| is_part && file.is_file()) {
                std::fs::copy(&file, stack.join(place).join(name))?;
            }
        }
    }
    Ok(stack)
}

struct MiniStack {
    child: Child,
    endpoint: String,
    /// The port where its functions find AWS: the script listens there, as a relay.
    functions_port: u16,
}

impl MiniStack {
    fn start() -> anyhow::Result<Self> {
        let (port, functions_port) = (free_port()?, free_port()?);
        let endpoint = format!("http://127.0.0.1:{port}");
        let log = std::fs::File::create(Path::new(WORK).join("ministack.log"))?;
        let binary = std::env::current_dir()?
            .join(tools::VENV)
            .join("bin/ministack");
        let child = Command::new(&binary)
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                (
                    "AWS_ENDPOINT_URL",
                    &format!("http://127.0.0.1:{functions_port}"),
                ),
            ])
            .env("GATEWAY_PORT", port.to_string())
            .current_dir(WORK)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be run", binary.display()))?;
        let stack = Self {
            child,
            endpoint,
            functions_port,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > START_TIMEOUT {
                bail!("MiniStack does not listen; see {WORK}/ministack.log");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(stack)
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
