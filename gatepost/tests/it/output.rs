//! The output of results: into a closed pipe, and onto a full disk.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Gatepost, gatepost, photo, repository};

/// Every command that prints results and ends by itself, except `package`, which builds for minutes first.
fn commands(folder: &Path) -> Vec<Command> {
    let running = Gatepost::start(&folder.join("data"));
    running.kill();
    for name in ["a.jpg", "b.jpg"] {
        std::fs::create_dir_all(folder.join("photos")).unwrap();
        std::fs::write(folder.join("photos").join(name), photo(64, 48)).unwrap();
    }
    let command = |arguments: &[&str]| {
        let mut command = gatepost();
        command
            .args(arguments)
            .current_dir(folder)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    };
    let events = repository("test-events/viewer-requests");
    let events = events.to_str().unwrap();
    let config = repository("gatepost.toml");
    let config = config.to_str().unwrap();
    let thumbnail = ["thumbnail", "photos", "--out", "out", "--format"];
    vec![
        command(&["--help"]),
        command(&["--version"]),
        command(&["completions", "bash"]),
        command(&["man"]),
        command(&["sign", "get", "--help"]),
        command(&["token", "--sub", "alice", "--data-dir", "data"]),
        command(&["sign", "get", "--bucket", "b-1", "--key", "k"]),
        command(&["sign", "post", "--bucket", "b-1", "--key", "k"]),
        command(&["replay", events, "--config", config]),
        command(&["replay", events, "--config", config, "--format", "json"]),
        command(&[&thumbnail[..], &["table"]].concat()),
        command(&[&thumbnail[..], &["json"]].concat()),
    ]
}

/// Runs a command with this `stdout`; returns its exit code and stderr.
fn run(command: &mut Command, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    for mut command in commands(folder.path()) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, stderr) = run(&mut command, writer);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn a_full_disk_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for mut command in commands(folder.path()) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (code, stderr) = run(&mut command, full);
        assert_eq!(code, Some(1), "{command:?}: {stderr}");
        assert_eq!(
            stderr,
            "gatepost: the results cannot be written to stdout and are incomplete: No space left on device (os error 28)\n",
            "{command:?}"
        );
    }
}

#[test]
fn errors_have_an_exit_code_when_nobody_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["thumbnail", "missing", "--out", "out"][..], 2),
        (&["token", "--sub", ""], 1),
        (&["--nonsense"], 2),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = gatepost()
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut stdout = String::new();
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_to_string(&mut stdout).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            (status.code(), stdout.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
    }
}
