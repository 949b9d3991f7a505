//! Instruction files: `CLAUDE.md`, `AGENTS.md` and their like.

/// Joins what the run tells the agent and what the person always tells it.
///
/// The person's own text comes last, because later instructions prevail, and is not changed. `None`
/// when there is nothing to tell.
#[must_use]
pub fn merge<'a>(run: impl IntoIterator<Item = &'a str>, own: Option<&str>) -> Option<String> {
    let run = run.into_iter().map(str::trim_end).filter(|part| !part.trim().is_empty());
    let mut text = run.collect::<Vec<_>>().join("\n\n");
    let own = own.filter(|own| !own.trim().is_empty());
    match own {
        Some(own) if text.is_empty() => Some(own.to_owned()),
        Some(own) => {
            text.push_str("\n\n");
            text.push_str(own);
            Some(text)
        }
        None if text.is_empty() => None,
        None => {
            text.push('\n');
            Some(text)
        }
    }
}
