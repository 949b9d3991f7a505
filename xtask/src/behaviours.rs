//! `behaviours`: every test that the page of the proxy's behaviours names exists, and every test
//! that was written for the page is named there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

const PAGE: &str = "docs/src/proxy-behaviours.md";
const PROXY: &str = "crates/moat-proxy";
/// Files whose tests were written for the page.
const PREFIXES: [&str; 2] = ["behaviour_", "hole_"];

/// Checks the page against the tree.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let page = read(&workspace.root().join(PAGE))?;
    let named = references(&page);
    let mut files = BTreeMap::new();
    for (file, _) in &named {
        let path = workspace.root().join(file);
        files.insert(file.clone(), if path.is_file() { tests(&read(&path)?) } else { Vec::new() });
    }
    for file in written_for_the_page(workspace)? {
        let found = tests(&read(&workspace.root().join(&file))?);
        files.insert(file, found);
    }
    println!("== behaviours: {} tests named", named.len());
    if named.is_empty() {
        return Err(Failure::new(format!("{PAGE} names no test")));
    }
    Failure::of_findings(&compare(&named, &files))?;
    Ok(Outcome::Done)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

/// Lists the files whose tests the page must name.
fn written_for_the_page(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let folder = format!("{PROXY}/tests/it");
    let unreadable = |error| Failure::new(format!("{folder} cannot be read: {error}"));
    let mut files = Vec::new();
    for entry in fs::read_dir(workspace.root().join(&folder)).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort();
    Ok(files)
}

/// Collects what stands in backticks as `file::function`, the file as a path of the workspace.
fn references(page: &str) -> BTreeSet<(String, String)> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let in_backticks = page.split('`').skip(1).step_by(2);
    in_backticks
        .filter_map(|text| text.split_once("::"))
        .filter(|(_, function)| is_name(function))
        .map(|(file, function)| {
            let file = match file {
                path if path.starts_with("crates/") => path.to_owned(),
                path if path.starts_with("src/") => format!("{PROXY}/{path}"),
                module => format!("{PROXY}/tests/it/{module}.rs"),
            };
            (file, function.to_owned())
        })
        .collect()
}

/// Lists the functions of a file that an attribute makes tests.
fn tests(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = function(line)
            && std::mem::take(&mut is_test)
        {
            found.push(name.to_owned());
        }
    }
    found
}

fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split_once('(').map(|(name, _)| name)
}

fn compare(
    named: &BTreeSet<(String, String)>,
    files: &BTreeMap<String, Vec<String>>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, function) in named {
        if !files.get(file).is_some_and(|tests| tests.contains(function)) {
            findings.push(format!("{PAGE}: there is no test `{function}` in {file}"));
        }
    }
    for (file, tests) in files {
        let name = file.rsplit('/').next().unwrap_or(file);
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for test in tests.iter().filter(|test| !named.contains(&(file.clone(), (*test).clone()))) {
            findings.push(format!("{PAGE} does not name `{test}` of {file}"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_paths_of_the_workspace() {
        let page = "| 1 | `a_b::c` | `src/x.rs::d` `crates/y/z.rs::e`\n`Type::New` `a::B` a::c";
        let files: Vec<_> = references(page).into_iter().collect();
        let expected = [
            ("crates/moat-proxy/src/x.rs", "d"),
            ("crates/moat-proxy/tests/it/a_b.rs", "c"),
            ("crates/y/z.rs", "e"),
        ];
        assert_eq!(files, expected.map(|(file, name)| (file.to_owned(), name.to_owned())));
    }

    #[test]
    fn only_tests_are_tests() {
        let source = "#[test]\nfn one() {}\nfn two() {}\n    #[tokio::test(flavor = \"x\")]\n    \
                      async fn three() {}\n#[test]\n#[should_panic]\nfn four() {}\n";
        assert_eq!(tests(source), ["one", "three", "four"]);
    }

    #[test]
    fn what_is_missing_on_either_side_is_told() {
        let file = "crates/moat-proxy/tests/it/hole_x.rs".to_owned();
        let other = "crates/moat-proxy/tests/it/x.rs".to_owned();
        let named = BTreeSet::from([(file.clone(), "gone".to_owned())]);
        let files = BTreeMap::from([(file, vec!["new".to_owned()]), (other, vec!["y".to_owned()])]);
        let findings = compare(&named, &files);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("no test `gone`") && findings[1].contains("name `new`"));
    }
}
