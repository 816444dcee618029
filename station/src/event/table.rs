//! Plain tables and lists for people.

use std::fmt::Write as _;

/// Two spaces between columns, as wide as the widest cell, no lines: easy to read, easy to cut with other tools.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .chain([heading.chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let headings: Vec<String> = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    for row in std::iter::once(&headings).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string can't fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `name: value`, the values in one column; empty values are left out.
pub(super) fn list(entries: &[(&str, String)]) -> String {
    let width = entries
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0)
        + 1;
    entries.iter().filter(|(_, value)| !value.is_empty()).fold(
        String::new(),
        |mut text, (name, value)| {
            let _ = writeln!(text, "{:<width$} {}", format!("{name}:"), printable(value));
            text
        },
    )
}

/// Without control characters: what a unit or a file says must not steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|found| {
            if found.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                found
            }
        })
        .collect()
}

/// As [`printable`], but lines stay lines.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_steers_the_terminal() {
        let text = table(
            &["name", "state"],
            &[
                vec!["a".to_owned(), "open".to_owned()],
                vec!["long\u{1b}[2Jname".to_owned(), String::new()],
            ],
        );
        assert_eq!(
            text,
            "name          state\na             open\nlong\u{fffd}[2Jname\n"
        );
        assert_eq!(
            list(&[("id", "7".to_owned()), ("serial", String::new())]),
            "id:     7\n"
        );
    }
}
