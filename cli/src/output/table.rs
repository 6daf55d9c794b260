use super::{Style, printable};

/// Rows under headings, for people.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    when_empty: &'static str,
}

impl Table {
    /// A table; `when_empty` is said instead of printing one without rows.
    pub(crate) fn new<const N: usize>(headings: [&'static str; N], when_empty: &'static str) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), when_empty }
    }

    /// The same with one row more.
    #[must_use]
    pub(crate) fn row<const N: usize>(mut self, cells: [String; N]) -> Self {
        self.rows.push(cells.iter().map(|cell| printable(cell).replace('\n', " ")).collect());
        self
    }

    /// What to say when there are no rows.
    pub(crate) const fn when_empty(&self) -> &'static str {
        self.when_empty
    }

    /// The table as text, columns two blanks apart, no blanks at line ends.
    pub(crate) fn render(&self, style: Style) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(self.headings.get(column).map(|heading| heading.len())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![style.bold(&line(self.headings.clone()))];
        lines.extend(self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let table = Table::new(["NAME", "MODE"], "none").row(["a".into(), "rw".into()]).row(["long-name".into(), "ro\nx".into()]);
        let text = table.render(Style::for_stream(true, true));
        assert_eq!(text, "NAME       MODE\na          rw\nlong-name  ro x");
    }
}
