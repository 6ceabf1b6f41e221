//! `gatepost thumbnail` on real folders, with dangling links and files that are not photos.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{assert_output, gatepost, photo};

fn thumbnail(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = gatepost()
        .arg("thumbnail")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (stdout, stderr) = crate::harness::text(&output);
    (output.status.code(), stdout, stderr)
}

fn json_lines(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_unreadable_file_is_a_line_and_the_run_continues() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    std::fs::create_dir_all(photos.join("below")).unwrap();
    std::fs::write(photos.join("a.jpg"), photo(320, 240)).unwrap();
    std::fs::write(photos.join("z.jpg"), photo(320, 240)).unwrap();
    symlink("nowhere", photos.join("dangling")).unwrap();
    symlink("..", photos.join("below/loop")).unwrap();
    symlink("itself", photos.join("itself")).unwrap();
    let pipe = photos.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _listener = UnixListener::bind(photos.join("socket")).unwrap();
    // A hole: it takes no space, and reading it would take all memory.
    let film = std::fs::File::create(photos.join("film.jpg")).unwrap();
    film.set_len(1 << 40).unwrap();
    std::fs::write(photos.join("evil\u{1b}[2J\n.jpg"), "no photo").unwrap();

    let (code, stdout, stderr) = thumbnail(
        folder.path(),
        &["photos", "--out", "out", "--format", "json"],
    );
    assert_eq!((code, stderr.as_str()), (Some(2), ""));
    let lines = json_lines(&stdout);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let detail = line["detail"].as_str().unwrap_or_default();
            (
                line["file"].as_str().unwrap(),
                line["status"].as_str().unwrap(),
                detail,
            )
        })
        .collect();
    let expected = [
        ("photos/a.jpg", "ready", ""),
        (
            "photos/below/loop",
            "unreadable",
            "it is a link to photos, which contains it",
        ),
        (
            "photos/dangling",
            "unreadable",
            "it is a link to nowhere, which does not exist",
        ),
        (
            "photos/evil\u{1b}[2J\n.jpg",
            "rejected",
            "unsupported type: no known image format",
        ),
        (
            "photos/film.jpg",
            "rejected",
            "1099511627776 bytes, at most 26214400 allowed",
        ),
        (
            "photos/itself",
            "unreadable",
            "Too many levels of symbolic links (os error 40)",
        ),
        (
            "photos/pipe",
            "unreadable",
            "it is a named pipe, not a file",
        ),
        ("photos/socket", "unreadable", "it is a socket, not a file"),
        ("photos/z.jpg", "ready", ""),
    ];
    assert_eq!(found, expected);

    // In the table, a name cannot give orders to the terminal, and what failed is repeated at the end.
    let (code, table, _) = thumbnail(folder.path(), &["photos", "--out", "out"]);
    assert_eq!(code, Some(2));
    assert_output("thumbnail_table", folder.path(), &table);

    // By name as well.
    let named = ["photos/pipe", "photos/dangling", "photos/a.jpg"];
    let (code, table, _) = thumbnail(folder.path(), &[&named[..], &["--out", "out"]].concat());
    assert_eq!(code, Some(2), "{table}");
    assert!(
        table.ends_with("\n3 files: 1 ready, 0 rejected, 2 unreadable\n"),
        "{table}"
    );
}

#[test]
fn renditions_are_not_rendered_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(320, 240)).unwrap();
    for _ in 0..2 {
        let (code, table, stderr) = thumbnail(folder.path(), &[".", "--out", "small"]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            table.ends_with("\n1 file: 1 ready, 0 rejected\n"),
            "{table}"
        );
    }
    let (code, _, stderr) = thumbnail(folder.path(), &[".", "--out", "."]);
    assert_eq!(code, Some(2));
    assert_eq!(
        stderr,
        "gatepost: --out is ., whose images are to be read; name another folder\n"
    );
}

#[test]
fn files_and_folders_become_thumbnails() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let images = folder.path().join("images");
    std::fs::create_dir_all(images.join("holiday")).unwrap();
    std::fs::write(images.join("holiday/beach.jpg"), photo(800, 600)).unwrap();
    std::fs::write(images.join("letter.jpg"), "Dear Sir or Madam").unwrap();
    let run = |arguments: &[&str]| {
        let output = gatepost()
            .arg("thumbnail")
            .arg(&images)
            .arg("--out")
            .arg(&out)
            .args(arguments)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), stdout)
    };

    let (code, table) = run(&[]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.ends_with("2 files: 1 ready, 1 rejected\n"), "{table}");
    let (code, lines) = run(&["--strict", "--format", "json"]);
    assert_eq!(code, Some(1));
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [ready, rejected] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["source"]["width"], 800);
    assert_eq!(ready["reason"], serde_json::Value::Null);
    assert!(ready["micros"].is_u64());
    for rendition in ready["renditions"].as_array().unwrap() {
        let path = rendition["path"].as_str().unwrap();
        assert!(path.starts_with("holiday/beach.jpg/"), "{path}");
        let bytes = std::fs::metadata(out.join(path)).unwrap().len();
        assert_eq!(rendition["bytes"], bytes);
    }
    assert_eq!(rejected["reason"]["code"], "unsupported_type");
    assert_eq!(
        rejected["detail"],
        "unsupported type: no known image format"
    );

    let missing = gatepost()
        .args(["thumbnail", "no-such.jpg", "--out", "x"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    let stderr = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(stderr, "gatepost: no-such.jpg does not exist\n");
}
