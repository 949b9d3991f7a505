//! URLs that are opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use moat_host::{SystemCommands, SystemTerminal};
use moat_provider_core::{ErrorKind, Result, Terminal};
use moat_provider_testkit::FakeEnvironment;
use tempfile::TempDir;

use crate::support::script;

const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

async fn open(bin: &TempDir, display: Option<&str>, url: &str) -> Result<()> {
    let path = bin.path().to_str().unwrap();
    let environment = FakeEnvironment::new().text("PATH", path).text("GH_TOKEN", "no");
    let environment = match display {
        Some(display) => environment.text("DISPLAY", display),
        None => environment,
    };
    SystemTerminal::new(SystemCommands::new(Arc::new(environment))).open_url(url).await
}

#[tokio::test]
async fn a_url_is_handed_to_the_desktop() {
    let bin = TempDir::new().unwrap();
    let seen = bin.path().join("seen");
    script(
        &bin.path().join(OPENER),
        &format!("echo \"$#\" \"$1\" \"$DISPLAY\" \"$GH_TOKEN\" > '{}'", seen.display()),
    );
    let url = "https://vendor.example/authorize?state=a&b='c'$(id)";
    open(&bin, Some(":7"), url).await.unwrap();
    assert_eq!(fs::read_to_string(seen).unwrap(), format!("1 {url} :7 \n"));
}

#[tokio::test]
async fn without_a_browser_the_caller_is_told() {
    let bin = TempDir::new().unwrap();
    let url = "https://vendor.example/";
    let unsupported = async |display| {
        let error = open(&bin, display, url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some());
        error.to_string()
    };
    let missing = format!("no browser can be opened: {OPENER} is not installed");
    assert_eq!(unsupported(Some(":7")).await, missing);
    symlink("/bin/false", bin.path().join(OPENER)).unwrap();
    assert_eq!(unsupported(Some(":7")).await, format!("no browser can be opened: {OPENER} failed"));
    if cfg!(not(target_os = "macos")) {
        assert_eq!(unsupported(None).await, "no browser can be opened: there is no display");
        assert_eq!(unsupported(Some("")).await, "no browser can be opened: there is no display");
    }
}

#[tokio::test]
async fn only_https_is_opened() {
    let bin = TempDir::new().unwrap();
    let seen = bin.path().join("seen");
    script(&bin.path().join(OPENER), &format!("touch '{}'", seen.display()));
    for url in
        ["http://vendor.example/", "file:///etc/passwd", "--help", "", "https:///x", "javascript:1"]
    {
        let error = open(&bin, Some(":7"), url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    }
    assert!(!seen.exists());
}
