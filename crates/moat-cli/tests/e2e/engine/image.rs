//! An image that is made here, of programs that this machine has.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::program::{Program, found};

/// Names under which busybox is there.
const APPLETS: [&str; 16] = [
    "cat", "df", "env", "find", "grep", "head", "id", "ls", "sh", "sleep", "stat", "stty", "touch",
    "tr", "tty", "wget",
];

/// Writes an archive of the root of a container that has busybox and these programs.
pub(crate) async fn archive(store: &Path, programs: &[&str]) -> PathBuf {
    let root = store.join("image");
    fs::create_dir_all(&root).unwrap();
    for program in programs {
        copy(&found(program).unwrap(), &root, &format!("usr/bin/{program}")).await;
    }
    if programs.contains(&"git") {
        let https = Path::new("/usr/lib/git-core/git-remote-https");
        copy(https, &root, "usr/bin/git-remote-https").await;
    }
    copy(&found("busybox").unwrap(), &root, "bin/busybox").await;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    for directory in ["dev", "etc", "home", "proc", "run", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let archive = store.join("image.tar");
    let tar = Program::new("tar").args(["-C".as_ref(), root.as_path(), "-cf".as_ref()]);
    tar.arg(&archive).arg(".").run().await.text();
    archive
}

/// Copies a program and the libraries that it is linked to.
async fn copy(program: &Path, root: &Path, to: &str) {
    let place = |path: &Path| -> PathBuf {
        let place = root.join(path.strip_prefix("/").unwrap_or(path));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    };
    fs::copy(program, place(Path::new(to))).unwrap();
    let linked = Program::new("ldd").arg(program).run().await;
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        fs::copy(library, place(Path::new(library))).unwrap();
    }
}
