//! The dependencies of one crate, as `cargo tree --prefix depth` writes them.

use std::collections::BTreeSet;

/// A tree of dependencies. A crate that is in it twice has its own dependencies only once.
#[derive(Debug)]
pub(super) struct Tree(Vec<Node>);

#[derive(Debug)]
struct Node {
    depth: usize,
    name: String,
    version: String,
}

impl Tree {
    /// Returns the names from the root down to the first crate that `is_wanted`.
    pub(super) fn path_to(&self, is_wanted: impl Fn(&str) -> bool) -> Option<Vec<&str>> {
        let mut path: Vec<&str> = Vec::new();
        for node in &self.0 {
            path.truncate(node.depth);
            path.push(&node.name);
            if is_wanted(&node.name) {
                return Some(path);
            }
        }
        None
    }

    /// Returns every crate below the root once, with its version.
    pub(super) fn crates_below(&self) -> BTreeSet<String> {
        let below = self.0.iter().filter(|node| node.depth > 0);
        below.map(|node| format!("{} {}", node.name, node.version)).collect()
    }
}

/// Parses the output of `cargo tree --prefix depth --format {p}`.
///
/// # Errors
///
/// The first line that is not a depth, a name and a version.
pub(super) fn parse(text: &str) -> Result<Tree, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let nodes = lines.map(|line| parse_line(line).ok_or_else(|| line.to_owned()));
    nodes.collect::<Result<_, _>>().map(Tree)
}

/// Parses `2serde v1.0.228 (*)`; what follows the version does not matter here.
fn parse_line(line: &str) -> Option<Node> {
    let (depth, rest) = line.split_at(line.find(|c: char| !c.is_ascii_digit())?);
    let mut words = rest.split(' ');
    let (name, version) = (words.next()?, words.next()?);
    if name.is_empty() || !version.starts_with('v') {
        return None;
    }
    let depth = depth.parse().ok()?;
    Some(Node { depth, name: name.to_owned(), version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
0root v0.1.0 (/ws/root)
1a v1.0.0
2b v1.0.0
3c v1.0.0 (proc-macro)
1d v1.0.0
2b v1.0.0 (*)
2c v2.0.0
";

    #[test]
    fn a_path_leads_from_the_root() {
        let tree = parse(TEXT).unwrap();
        assert_eq!(tree.path_to(|name| name == "c").unwrap(), ["root", "a", "b", "c"]);
        assert_eq!(tree.path_to(|name| name == "d").unwrap(), ["root", "d"]);
        assert_eq!(tree.path_to(|name| name == "e"), None);
    }

    #[test]
    fn each_version_of_a_crate_counts_once() {
        let crates = parse(TEXT).unwrap().crates_below();
        assert!(crates.iter().eq(["a v1.0.0", "b v1.0.0", "c v1.0.0", "c v2.0.0", "d v1.0.0"]));
    }

    #[test]
    fn other_text_is_refused() {
        for line in ["", "a v1.0.0", "1", "1 v1.0.0", "1a", "1a 1.0.0", "[dev-dependencies]"] {
            let text = format!("0root v0.1.0\n{line}.\n");
            assert_eq!(parse(&text).unwrap_err(), format!("{line}."));
        }
    }
}
