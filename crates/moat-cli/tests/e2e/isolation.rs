//! What a sandbox cannot do: find the token, reach others, get around the proxy.

use crate::machine::{GITHUB, Machine, NONE};
use crate::program::Program;

/// Prints all that a process in the sandbox can read, as far as that is not the system's own.
const EVERYTHING: &str = r#"
    env
    cat /proc/keys /proc/key-users /proc/self/mountinfo 2>/dev/null
    for process in /proc/[0-9]*; do
        cat $process/environ $process/cmdline $process/status $process/maps 2>/dev/null
        ls -l $process/fd 2>/dev/null
    done
    find / -xdev \( -path /usr -o -path /proc -o -path /sys \) -prune -o -type f -print 2>/dev/null |
        while read -r file; do echo "== $file"; cat "$file" 2>/dev/null; done
    # The tests' own tools are many and large, and may be below any of these.
    find /home /run /tmp /etc /var -path '*/target/e2e' -prune -o -type f -print 2>/dev/null |
        while read -r file; do echo "== $file"; cat "$file" 2>/dev/null; done
    curl -sS -i https://api.github.com/user https://api.github.com/echo
    gh api user; gh auth status --show-token
    git config --list --show-origin
    printf 'protocol=https\nhost=github.com\n' | git credential fill
"#;

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn the_token_is_nowhere_in_the_sandbox() {
    let machine = Machine::granted().await;
    let all = machine.sh(GITHUB, EVERYTHING).await;
    assert!(all.says("== /run/moat/ca-bundle.pem") && all.says("octocat"), "{all}");
    assert!(all.says("you sent Bearer ghp_") && all.says("*****"), "{all}");
    assert!(all.stdout.len() > 100_000, "much was read");
    assert!(machine.authenticated() > 2, "the token was used meanwhile");
    // Neither in the memory of the processes that it may look into.
    let memory = machine.run(GITHUB, &["python3", "-c", MEMORY]).await;
    assert!(memory.says("bytes of memory"), "{memory}");
}

/// Searches the memory of every process of the sandbox for anything like a token, and prints it.
const MEMORY: &str = r#"
import glob, re, sys
total = 0
for maps in glob.glob("/proc/[0-9]*/maps"):
    try:
        lines, memory = open(maps).readlines(), open(maps[:-4] + "mem", "rb")
    except OSError:
        continue
    for line in lines:
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if "r" not in line.split()[1] or last - first > 1 << 28:
            continue
        try:
            memory.seek(first)
            text = memory.read(last - first)
        except (OSError, ValueError, OverflowError):
            continue
        total += len(text)
        for found in re.findall(rb"ghp_[A-Za-z0-9]{20,}", text):
            print("found", found.decode())
print(total, "bytes of memory")
"#;

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn there_is_no_way_around_the_proxy() {
    let machine = Machine::granted().await;
    let port = machine.vendor.address().port();
    let direct = format!(
        "curl --noproxy '*' -sS -k --max-time 5 https://127.0.0.1:{port}/user; echo $?
         curl --noproxy '*' -sS --max-time 5 http://192.0.2.1/; echo $?
         curl --noproxy '*' -sS --max-time 5 https://api.github.com/; echo $?
         ls /sys/class/net 2>/dev/null; cat /proc/net/route | wc -l"
    );
    let before = machine.vendor.seen().len();
    let around = machine.sh(GITHUB, &direct).await;
    let codes: Vec<_> = around.stdout.split(|&b| b == b'\n').map(String::from_utf8_lossy).collect();
    assert_eq!(&codes[..3], ["7", "7", "6"], "{around}");
    assert_eq!(machine.vendor.seen().len(), before);
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_socket_and_a_key_of_the_host_are_out_of_reach() {
    let machine = Machine::granted().await;
    let socket = machine.path("host.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let connect =
        format!("import socket; socket.socket(socket.AF_UNIX).connect('{}')", socket.display());
    let refused = machine.run(GITHUB, &["python3", "-c", &connect]).await;
    assert!(refused.says("No such file or directory"), "{refused}");
    let home = machine.moat_home();
    let list = format!(
        "ls -a {} {} /root 2>&1; id -u; cat /proc/self/status | grep CapEff",
        home.display(),
        machine.path("").display()
    );
    let seen = machine.sh(GITHUB, &list).await;
    assert!(!seen.says("credentials") && !seen.says("upstream.pem"), "{seen}");
    assert!(seen.says("CapEff:\t0000000000000000"), "{seen}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn another_user_finds_neither_token_nor_socket() {
    let machine = Machine::granted().await;
    let mut run = machine
        .moat()
        .args(["run", "--grant", "github", "--", "sh", "-c", "echo here; read line"])
        .spawn(std::process::Stdio::piped());
    let mut said = [0; 4];
    tokio::io::AsyncReadExt::read_exact(run.stdout.as_mut().unwrap(), &mut said).await.unwrap();
    // What others' processes show is not this run's alone: it is searched for the token only.
    let processes = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true";
    let processes = other_user(&["sh", "-c", processes]).run().await;
    machine.checked(&processes);
    assert!(processes.says("echo here; read line"), "{processes}");
    let runs = machine.moat_home().join("runs").into_os_string().into_string().unwrap();
    let sockets = Program::new("find").args([&runs, "-name", "*.sock"]).run().await.text();
    assert!(!sockets.is_empty(), "the run has a socket");
    for path in [runs.as_str()].into_iter().chain(sockets.lines()) {
        assert_eq!(Program::new("stat").arg(path).run().await.code, Some(0), "{path}");
        let refused = other_user(&["stat", path]).run().await;
        assert!(refused.code != Some(0) && refused.says("Permission denied"), "{refused}");
    }
    drop(run.stdin.take());
    assert!(run.wait().await.unwrap().success() || run.wait().await.unwrap().code() == Some(1));
}

/// A program that is run by a user who owns nothing.
fn other_user(words: &[&str]) -> Program {
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    Program::new("setpriv").args(nobody).args(words)
}

/// In a network namespace that has nothing but loopback: whatever the proxy does, no packet leaves.
#[tokio::test]
#[ignore = "needs bubblewrap and the right to make namespaces; run cargo xtask e2e"]
async fn metadata_and_private_addresses_are_refused() {
    let machine = Machine::granted().await;
    for (url, reason) in [
        ("http://169.254.169.254/latest/meta-data/", "metadata-address"),
        ("http://[fd00:ec2::254]/", "metadata-address"),
        ("http://10.0.0.1/", "private-address"),
        ("http://192.168.1.1/", "private-address"),
        ("http://127.0.0.1:22/", "local-address"),
        ("http://localhost:22/", "local-address"),
        ("http://[::ffff:169.254.169.254]/", "metadata-address"),
    ] {
        let script = format!(
            "ip link set lo up 2>/dev/null; exec {} run -- curl -gsS -i --noproxy '' --max-time 20 '{url}'",
            env!("CARGO_BIN_EXE_moat")
        );
        let inside = Program::new("unshare")
            .args(["--net", "sh", "-c", &script])
            .directory(&machine.workspace())
            .env("HOME", machine.path(""))
            .env("MOAT_HOME", machine.moat_home())
            .env("MOAT_KEY", "file");
        let refused = inside.run().await;
        assert!(refused.says("403") && refused.says(reason), "{url}: {refused}");
    }
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn exit_codes_and_signals_pass_through() {
    let machine = Machine::granted().await;
    for (script, code) in [("exit 7", 7), ("kill -TERM $$", 143), ("exit 0", 0)] {
        assert_eq!(machine.sh(NONE, script).await.code, Some(code), "{script}");
    }
    let missing = machine.run(NONE, &["no-such-program"]).await;
    assert_eq!(missing.code, Some(127), "{missing}");
}

#[tokio::test]
#[ignore = "needs bubblewrap; run cargo xtask e2e"]
async fn a_run_is_stopped_from_another_terminal() {
    let machine = Machine::granted().await;
    let words = ["run", "--grant", "github", "--", "sh", "-c", "echo here; exec sleep 600"];
    let mut run = machine.moat().args(words).spawn(std::process::Stdio::null());
    let mut said = [0; 4];
    tokio::io::AsyncReadExt::read_exact(run.stdout.as_mut().unwrap(), &mut said).await.unwrap();
    let runs = machine.moat().args(["runs", "--json"]).run().await.text();
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(runs["runs"][0]["state"], "running", "{runs}");
    let id = runs["runs"][0]["id"].as_str().unwrap().to_owned();
    let stopped = machine.moat().args(["stop", &id[..8]]).run().await;
    assert_eq!(stopped.text(), format!("Stopped {id}."));
    assert_eq!(run.wait().await.unwrap().code(), Some(143));
    let again = machine.moat().args(["stop", &id]).run().await;
    assert_eq!(again.text(), format!("{id} has ended before: stopped."));
}

#[tokio::test]
#[ignore = "needs curl; run cargo xtask e2e"]
async fn a_sandbox_of_the_persons_own_uses_what_proxy_exports() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let machine = Machine::granted().await;
    let mut serving = machine
        .moat()
        .args(["proxy", "--grant", "github", "--dotenv"])
        .spawn(std::process::Stdio::null());
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let mut told = BufReader::new(serving.stderr.take().unwrap()).lines();
    while !told.next_line().await.unwrap().unwrap().starts_with("Serving run-") {}
    let ask = |proxy: String| {
        let curl = Program::new("curl").args(["-sS", "-w", "%{http_code}", "-o", "/dev/null"]);
        curl.arg("https://api.github.com/user").env("HTTPS_PROXY", proxy)
    };
    let (mut proxy, mut bundle) = (String::new(), String::new());
    while let Ok(Some(line)) = lines.next_line().await {
        assert_eq!(machine.github.token.find_in_str(&line), None);
        // What is no comment is a variable, and these need no quotes.
        match line.split_once('=') {
            Some(("HTTPS_PROXY", value)) => proxy = value.to_owned(),
            Some(("SSL_CERT_FILE", value)) => bundle = value.to_owned(),
            other => assert!(other.is_some() || line.starts_with('#'), "{line}"),
        }
        if !proxy.is_empty() && !bundle.is_empty() {
            break;
        }
    }
    let answered = ask(proxy.clone()).env("CURL_CA_BUNDLE", &bundle).run().await;
    assert_eq!(answered.text(), "200");
    let port = proxy.rsplit(':').next().unwrap();
    let stranger = ask(format!("http://moat:guessed@127.0.0.1:{port}"));
    let stranger = stranger.env("CURL_CA_BUNDLE", &bundle).run().await;
    assert!(stranger.code != Some(0) && stranger.says("407"), "{stranger}");
    let pid = serving.id().unwrap().to_string();
    Program::new("kill").args(["-TERM", &pid]).run().await.text();
    assert!(serving.wait().await.unwrap().success());
    let runs = machine.moat().args(["runs"]).run().await;
    assert!(runs.text().contains("stopped (0)"), "{runs}");
}
