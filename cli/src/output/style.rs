/// Whether and how text is coloured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// Colours on a terminal, unless `--no-color` or the variable `NO_COLOR` (no-color.org) say otherwise.
    pub(crate) fn for_stream(no_color: bool, is_terminal: bool) -> Self {
        let forbidden = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: is_terminal && !forbidden && !dumb }
    }

    /// No colours.
    pub(crate) const fn plain() -> Self {
        Self { coloured: false }
    }

    /// Whether there are colours.
    pub(crate) const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// For what went wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For what went well.
    #[cfg(feature = "node")]
    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what to do.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For what matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
