//! `e2e`: prepares programs that are not ours under `target/e2e`, and runs the tests with them.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{command, stream};
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

/// What is needed, with its versions.
const LIST: &str = "e2e/tools.txt";

/// Which packages of npm's belong to these versions, with their hashes.
const LOCK: &str = "e2e/package-lock.json";

/// A client that is built here, on a kit that stays out of the workspace's lock file.
pub(crate) const CLIENT: &str = "e2e/aws-sdk-rust";

/// A client that is built here, on the kit that is a package of the system's.
const GO_CLIENT: &str = "e2e/aws-sdk-go";

/// The features of `test-all`, so that nothing is built twice.
const SELECTION: &str = "--workspace --all-features";

/// The tests that need such programs: the target, and where in it they are.
const TESTS: [(&str, &str); 3] = [("wild", ""), ("it", "sandbox::"), ("e2e", "")];

/// Installs what is missing and runs every test that needs it.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let root = workspace.root();
    let list = fs::read_to_string(root.join(LIST)).map_err(|error| failed(LIST, &error))?;
    let tools = Tools::parse(&list)?;
    let missing = tools.missing();
    if !missing.is_empty() {
        let packages = missing.join(" ");
        return Err(Failure::new(format!(
            "programs are missing: apt-get install --no-install-recommends {packages}"
        )));
    }
    let target = root.join("target/e2e");
    fs::create_dir_all(&target).map_err(|error| failed("target/e2e", &error))?;
    python(&target, &tools)?;
    npm(root, &target, &tools)?;
    let mut client = workspace.cargo_in(&root.join(CLIENT), "build --locked");
    client.arg("--target-dir").arg(target.join("rust"));
    stream("e2e", client)?;
    stream("e2e", go_client(root, &target))?;
    // The first process of each sandbox, which stands beside the command.
    stream("e2e", workspace.cargo(&format!("build {SELECTION} --bins --example sandbox")))?;
    stream("e2e", static_bridge(workspace))?;
    let tested = TESTS.iter().map(|(target, place)| {
        let test = format!("test {SELECTION} --no-fail-fast --test {target} -- --ignored {place}");
        stream("e2e", workspace.cargo(&test))
    });
    Failure::of_all(tested.collect::<Vec<_>>())?;
    Ok(Outcome::Done)
}

/// Builds the client in Go from sources where Debian has them, without modules or a network.
fn go_client(root: &Path, target: &Path) -> Command {
    let mut build = command("go", &root.join(GO_CLIENT));
    build.args(["build", "-trimpath", "-o"]).arg(target.join("client-aws-go"));
    build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("CGO_ENABLED", "0");
    build.env("GOCACHE", target.join("go-cache")).env("GOTOOLCHAIN", "local");
    build
}

/// Builds the bridge once more, so that it runs in images of any system.
fn static_bridge(workspace: &Workspace) -> Command {
    let mut build = workspace.cargo("build --package moat-bridge --target-dir target/static");
    build.env("RUSTFLAGS", "-C target-feature=+crt-static");
    build
}

/// The list, read.
#[derive(Debug, Default, PartialEq)]
struct Tools {
    /// Programs of the system, or paths of files, each with its package.
    programs: Vec<(String, String)>,
    /// Requirements of Python's.
    python: Vec<String>,
    /// Packages of npm's, each with its version.
    npm: Vec<(String, String)>,
}

impl Tools {
    fn parse(text: &str) -> Result<Self, Failure> {
        let mut tools = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match *line.split_whitespace().collect::<Vec<_>>() {
                ["debian", program, package] => {
                    tools.programs.push((program.to_owned(), package.to_owned()));
                }
                ["python", requirement] if requirement.contains("==") => {
                    tools.python.push(requirement.to_owned());
                }
                ["npm", name, version] => tools.npm.push((name.to_owned(), version.to_owned())),
                _ => return Err(Failure::new(format!("{LIST}: `{line}` is not understood"))),
            }
        }
        Ok(tools)
    }

    /// Returns the packages of programs that are not here.
    fn missing(&self) -> Vec<&str> {
        let absent = |program: &str| !directories().any(|path| path.join(program).is_file());
        let missing = self.programs.iter().filter(|(program, _)| absent(program));
        missing.map(|(_, package)| package.as_str()).collect()
    }
}

/// Returns where programs are: some are only on the path of the administrator.
#[expect(clippy::disallowed_methods, reason = "a build tool looks for programs; it has no ports")]
fn directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = env::split_paths(&path).collect();
    path.into_iter().chain(["/usr/sbin".into(), "/sbin".into()])
}

/// Makes a virtual environment with exactly these packages.
fn python(target: &Path, tools: &Tools) -> Result<(), Failure> {
    let wanted = tools.python.join("\n") + "\n";
    let requirements = target.join("requirements.txt");
    if fs::read_to_string(&requirements).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    let mut create = command("python3", target);
    create.args(["-m", "venv", "--clear", "python"]);
    stream("e2e", create)?;
    // It gets its name last, so that an installation that broke off is begun again.
    let begun = target.join("requirements.new");
    fs::write(&begun, &wanted).map_err(|error| failed("requirements.new", &error))?;
    let mut install = command(target.join("python/bin/python"), target);
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]);
    install.args(["--requirement", "requirements.new"]);
    stream("e2e", install)?;
    fs::rename(begun, requirements).map_err(|error| failed("requirements.txt", &error))
}

/// Installs the packages of npm's; npm itself checks that the lock file is about these versions.
fn npm(root: &Path, target: &Path, tools: &Tools) -> Result<(), Failure> {
    let list: Vec<_> =
        tools.npm.iter().map(|(name, version)| format!("    \"{name}\": \"{version}\"")).collect();
    let wanted = format!("{{\n  \"dependencies\": {{\n{}\n  }}\n}}\n", list.join(",\n"));
    let directory = target.join("npm");
    let done = directory.join("done.json");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    let write = || {
        fs::create_dir_all(&directory)?;
        fs::copy(root.join(LOCK), directory.join("package-lock.json"))?;
        fs::write(directory.join("package.json"), &wanted)
    };
    write().map_err(|error| failed("target/e2e/npm", &error))?;
    let mut install = command("npm", &directory);
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    stream("e2e", install)?;
    fs::write(done, &wanted).map_err(|error| failed("target/e2e/npm", &error))
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let text = "# note\n\ndebian go golang-go\npython a==1\npython b_c==2.0\nnpm ws 8.1.0\n";
        let tools = Tools::parse(text).unwrap();
        assert_eq!(tools.programs, [("go".to_owned(), "golang-go".to_owned())]);
        assert_eq!(tools.python, ["a==1", "b_c==2.0"]);
        assert_eq!(tools.npm, [("ws".to_owned(), "8.1.0".to_owned())]);
    }

    #[test]
    fn what_has_no_version_is_no_tool() {
        for line in ["python a", "npm ws", "debian go", "ruby x 1"] {
            assert!(Tools::parse(line).unwrap_err().details().contains(line));
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_missing() {
        let here = "debian cargo none\ndebian /etc/passwd none\n";
        let nowhere = "debian no-such-program some\ndebian /etc/cargo other\n";
        let tools = Tools::parse(&format!("{here}{nowhere}")).unwrap();
        assert_eq!(tools.missing(), ["some", "other"]);
    }

    #[test]
    fn the_list_of_this_workspace_and_its_lock_file_agree() {
        let root = Workspace::locate().root().to_owned();
        let tools = Tools::parse(&fs::read_to_string(root.join(LIST)).unwrap()).unwrap();
        let lock = fs::read_to_string(root.join(LOCK)).unwrap();
        assert!(!tools.npm.is_empty() && !lock.contains("\"resolved\""));
        for (name, version) in tools.npm {
            assert!(lock.contains(&format!("\"{name}\": \"{version}\"")), "{name}");
        }
    }
}
