//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, presets};

use super::{clipped, text};

/// The longest text of a cell on a stream that is no terminal.
const CELL: usize = 300;
/// Narrower is no table any more.
const NARROWEST: u16 = 40;

/// A table without borders: a head and rows. Every cell is escaped.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// Begins a table with the names of its columns.
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if let Some(width) = width() {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(columns);
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn row<I>(&mut self, cells: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.0.add_row(cells.into_iter().map(|cell| clipped(cell.as_ref(), CELL)));
    }

    /// Returns the lines, without white space at their ends.
    pub(crate) fn render(&self) -> String {
        let lines: Vec<_> = self
            .0
            .lines()
            .map(|line| {
                // The preset pads the first column, too.
                let line = line.strip_prefix(' ').unwrap_or(&line);
                line.trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }
}

/// Returns the width of the terminal, when standard output is one.
fn width() -> Option<u16> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    (size.ws_col >= NARROWEST).then_some(size.ws_col)
}

/// Joins names and values as aligned lines, for what has one record only. Values are escaped.
pub(crate) fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let value = text::lines(value).replace('\n', &format!("\n{:width$}  ", ""));
            format!("{name:width$}  {value}").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_escaped() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["github", "ok"]);
        table.row(["aws:prod", "\u{1b}[31mred"]);
        assert_eq!(table.render(), "NAME      STATE\ngithub    ok\naws:prod  \\u{1b}[31mred");
    }

    #[test]
    fn fields_are_aligned() {
        let text = fields([("a", "1".to_owned()), ("long", "2\n3".to_owned())]);
        assert_eq!(text, "a     1\nlong  2\n      3");
    }
}
