//! Containers of Podman in the place of the sandbox: an image made here, and no daemon.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::machine::{GITHUB, Machine, NONE};
use crate::program::{Output, Program, found};

/// Where `cargo xtask e2e` puts a bridge that runs in every image.
const BRIDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/static/debug/moat-bridge");
const IMAGE: &str = "localhost/moat-e2e";

/// Programs of this machine that the image has.
const PROGRAMS: [&str; 3] = ["curl", "gh", "git"];
/// Names under which busybox is there.
const APPLETS: [&str; 9] = ["cat", "env", "find", "grep", "ls", "sh", "sleep", "tr", "wget"];

/// A machine whose person has Podman and an image, with storage of their own.
struct Engine(Machine);

impl Engine {
    async fn new() -> Self {
        let machine = Machine::granted().await;
        let store = machine.path("podman");
        let root = store.join("image");
        fs::create_dir_all(&root).unwrap();
        for program in PROGRAMS {
            copy(&found(program).unwrap(), &root, &format!("usr/bin/{program}")).await;
        }
        let https = Path::new("/usr/lib/git-core/git-remote-https");
        copy(https, &root, "usr/bin/git-remote-https").await;
        copy(&found("busybox").unwrap(), &root, "bin/busybox").await;
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        for directory in ["dev", "etc", "home", "proc", "run", "sys", "tmp", "var/tmp"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        // crun knows no machine whose control groups are of both versions.
        let engine = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n\
                      events_logger = \"file\"\n";
        fs::write(store.join("containers.conf"), engine).unwrap();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            store.display()
        );
        fs::write(store.join("storage.conf"), storage).unwrap();
        let engine = Self(machine);
        let archive = store.join("image.tar");
        let tar = Program::new("tar").args(["-C".as_ref(), root.as_path(), "-cf".as_ref()]);
        tar.arg(&archive).arg(".").run().await.text();
        engine.configured(Program::new("podman")).arg("import").arg(archive).arg(IMAGE).run().await;
        engine
    }

    /// Gives a program the configuration of Podman.
    fn configured(&self, program: Program) -> Program {
        let store = self.0.path("podman");
        program
            .env("HOME", &store)
            .env("CONTAINERS_CONF", store.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", store.join("storage.conf"))
    }

    async fn sh(&self, flags: &[&str], script: &str) -> Output {
        let words = [&["run", "--sandbox", "podman"], flags, &["--", "sh", "-c", script]].concat();
        let moat =
            self.configured(self.0.moat()).env("MOAT_IMAGE", IMAGE).env("MOAT_BRIDGE", BRIDGE);
        let output = moat.args(words).run().await;
        self.0.checked(&output);
        output
    }
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

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn clients_are_logged_in_and_find_no_token() {
    let engine = Engine::new().await;
    let clients = "set -e
        curl -sS https://api.github.com/echo
        gh api user --jq .login
        git clone -q https://github.com/o/public.git /tmp/public
        env; cat $HOME/.gitconfig; find /run /home /tmp -type f ! -name moat-bridge | while read f; do cat \"$f\"; done
        for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; done
        exit 7";
    let before = engine.0.authenticated();
    let seen = engine.sh(GITHUB, clients).await;
    assert_eq!(seen.code, Some(7), "{seen}");
    assert!(seen.says("octocat") && seen.says("you sent Bearer ghp_****"), "{seen}");
    assert!(engine.0.authenticated() >= before + 2, "{seen}");
    let refused = engine.sh(NONE, "curl -sS -w '%{http_code}' https://api.github.com/user").await;
    assert!(refused.text().ends_with("401"), "{refused}");
}

#[tokio::test]
#[ignore = "needs Podman; run cargo xtask e2e"]
async fn the_run_s_socket_is_the_only_way_out() {
    let engine = Engine::new().await;
    let port = engine.0.vendor.address().port();
    let direct = format!(
        "curl -sS --noproxy '*' -m 5 -k https://127.0.0.1:{port}/ || echo no vendor; \
         curl -sS -m 5 http://169.254.169.254/ -w '%{{http_code}}' -o /dev/null; \
         grep -c : /proc/net/dev; touch /usr/bin/x || echo read-only"
    );
    let tried = engine.sh(GITHUB, &direct).await;
    // Its loopback is the only interface.
    assert!(tried.text().contains("no vendor\n4031"), "{tried}");
    let stopped = engine.sh(GITHUB, "kill -TERM $$").await;
    assert_eq!(stopped.code, Some(143), "{stopped}");
    // Nothing is left of the containers.
    let left =
        engine.configured(Program::new("podman")).args(["ps", "--all", "--quiet"]).run().await;
    assert_eq!(left.text(), "");
}
