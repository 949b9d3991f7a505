//! Consent to what a workspace asks for.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Moat;

#[test]
fn what_a_workspace_asks_for_is_shown_and_refused_where_nobody_answers() {
    let moat = Moat::new();
    let path = moat.workspace().join("moat.toml");
    moat.run(&["trust"]).failed(2, &["there is no moat.toml"]);
    fs::write(&path, "grants = [\"github\"]\nmounts = [\"/a\u{202e}b:/c\"]\n").unwrap();
    let refused = moat.run(&["trust"]).failed(
        1,
        &[
            "nobody is there to agree",
            "  - use your credential github\n",
            "  - read /a\\u{202e}b of this machine, as /c\n",
            "moat trust --yes --workspace ",
        ],
    );
    assert!(!refused.stderr.contains('\u{202e}'));
    assert!(!moat.home().exists());
    let trusted = moat.run(&["trust", "--yes", "--json"]).succeeded().json();
    assert_eq!(trusted["trusted"][0], "use your credential github");
    moat.run(&["trust"]).succeeded();
    fs::write(&path, "grants = [\"github\", \"aws\"]").unwrap();
    let refused = moat.run(&["trust"]).failed(1, &["  - use your credential aws\n"]);
    assert!(!refused.stderr.contains("credential github"), "{}", refused.stderr);
}

#[test]
fn a_mount_is_asked_for_as_what_it_leads_to() {
    let moat = Moat::new();
    let workspace = moat.workspace();
    let (data, private) = (workspace.join("data"), moat.path("private"));
    fs::create_dir(&data).unwrap();
    fs::create_dir(&private).unwrap();
    fs::write(workspace.join("moat.toml"), "mounts = [\"data:/data\"]").unwrap();
    let ask = |path: &std::path::Path| {
        format!("  - read {} of this machine, as /data\n", path.canonicalize().unwrap().display())
    };
    moat.run(&["trust"]).failed(1, &[&ask(&data)]);
    moat.run(&["trust", "--yes"]).succeeded();
    fs::remove_dir(&data).unwrap();
    symlink(&private, &data).unwrap();
    moat.run(&["trust"]).failed(1, &[&ask(&private)]);
    moat.run(&["run", "--", "true"]).failed(125, &[&ask(&private)]);
}

#[test]
fn the_name_of_a_workspace_writes_no_lines_of_the_question() {
    let moat = Moat::new();
    let workspace = moat.path("x asks to:\n  - do nothing\n");
    fs::create_dir(&workspace).unwrap();
    fs::write(workspace.join("moat.toml"), "grants = [\"github\"]").unwrap();
    let refused = moat.run(&["trust", "--workspace", workspace.to_str().unwrap()]);
    let refused = refused.failed(1, &["\n  - use your credential github\n"]);
    let question = refused.stderr.split("\n\n").next().unwrap();
    assert!(!question.contains("\n  - do nothing"), "{question}");
}

#[test]
fn without_a_sandbox_what_chooses_programs_is_asked_for() {
    let moat = Moat::new();
    let bin = moat.workspace().join("bin");
    fs::create_dir(&bin).unwrap();
    let (ran, program) = (moat.path("ran"), bin.join("printenv"));
    fs::write(&program, format!("#!/bin/sh\n: > {}\n", ran.display())).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = format!("[env]\nPATH = \"{}\"\n[mcp.x]\ncommand = \"x\"", bin.display());
    fs::write(moat.workspace().join("moat.toml"), config).unwrap();
    let run = ["run", "--sandbox", "none", "--", "printenv", "HOME"];
    let asked = format!("  - set PATH={}, without a sandbox\n", bin.display());
    let server = "  - start x as the MCP server x, without a sandbox\n";
    moat.run(&run).failed(125, &[&asked, server, "moat run --trust-config"]);
    assert!(!ran.exists());
    moat.run(&["trust"]).succeeded();
    moat.run(&run).failed(125, &[&asked]);
    let run = ["run", "--trust-config", "--sandbox", "none", "--", "printenv", "HOME"];
    moat.run(&run).succeeded();
    assert!(ran.exists());
}

#[test]
fn a_workspace_that_asks_for_nothing_needs_no_consent() {
    let moat = Moat::new();
    fs::write(moat.workspace().join("moat.toml"), "policy = \"strict\"").unwrap();
    moat.run(&["trust"]).succeeded();
    assert!(!moat.home().exists());
}

#[test]
fn a_file_that_makes_no_sense_is_named_with_its_place() {
    let moat = Moat::new();
    let path = moat.workspace().join("moat.toml");
    fs::write(&path, "\n grant = []").unwrap();
    moat.run(&["trust"])
        .failed(2, &["error: moat.toml:2:2: there is no key grant", "\n    write grants\n"]);
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    moat.run(&["trust"]).failed(2, &["is a link, which is not followed"]);
    moat.run(&["trust", "--workspace", "/nonexistent"])
        .failed(2, &["is no directory to work in", "--workspace DIR"]);
}
