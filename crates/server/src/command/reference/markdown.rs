//! Markdown.

/// A table with these columns.
pub(super) fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut text = format!("| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(N));
    for row in rows {
        let cells = row.map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// A text of `--help` in Markdown: flags and addresses are code.
pub(super) fn markdown(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let end = word.trim_end_matches(['.', ',', ';', ':']).len();
        let (word, rest) = word.split_at(end);
        let address = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
        match address {
            Some(address) => format!("`{address}`{rest}"),
            None if word.starts_with("--") => format!("`{word}`{rest}"),
            None => format!("{word}{rest}"),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
