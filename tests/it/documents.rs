//! The documents, compared with the program and the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use campaigns_tests::{Binary, node};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The pages of `docs/` with a table that the program prints, and the name of the table.
const PRINTED: [(&str, &str); 4] = [
    ("docs/configuration.md", "flags"),
    ("docs/errors.md", "errors"),
    ("docs/subscriptions.md", "close-codes"),
    ("docs/metrics.md", "metrics"),
];
/// Flags of other programs.
const OF_OTHERS: [&str; 10] = [
    // the benchmarks
    "--against",
    // cargo
    "--no-default-features",
    "--release",
    "--test",
    "--workspace",
    // docker
    "--build",
    "--file",
    // npm
    "--ignore-scripts",
    // pg_restore
    "--disable-triggers",
    // examples/follow.mjs
    "--state",
];
/// Lines of prose and code may be this long; tables, links and queries cannot be broken.
const LINE: usize = 125;

/// A table that `campaigns reference` prints.
pub(crate) async fn printed(table: &str) -> String {
    let run = Binary::run(Path::new("/"), &["reference", table]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    run.out
}

/// The names of the flags in the tables under headings that satisfy this condition.
pub(crate) fn flags_of(tables: &str, is_meant: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut flags = Vec::new();
    for section in
        tables.split("### ").filter(|section| is_meant(section.lines().next().unwrap_or_default()))
    {
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `--"));
        flags.extend(rows.map(|row| row.split([' ', '`', '[']).next().unwrap()));
    }
    flags
}

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{file}"))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Each document, by its path in the repository.
fn documents() -> BTreeMap<String, String> {
    let mut files: Vec<String> = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benches/RESULTS.md",
        "benches/PROFILE.md",
        "examples/README.md",
    ]
    .map(str::to_owned)
    .into();
    for entry in std::fs::read_dir(format!("{ROOT}/docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            files.push(format!("docs/{name}"));
        }
    }
    assert!(files.len() > 12);
    files
        .into_iter()
        .map(|file| {
            let text = read(&file);
            (file, text)
        })
        .collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The anchor that a forge gives a heading.
fn anchor(heading: &str) -> String {
    let is_kept = |of: &char| of.is_alphanumeric() || matches!(of, ' ' | '-' | '_');
    let kept: String = heading.trim().to_lowercase().chars().filter(is_kept).collect();
    kept.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter_map(|line| {
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
    });
    headings.map(anchor).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            component => plain.push(component),
        }
    }
    plain
}

/// The words in backticks.
fn code(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_table_of_the_reference_is_what_the_program_prints() {
    for (page, table) in PRINTED {
        let text = read(page);
        let begin = format!("<!-- printed by: campaigns reference {table} -->\n\n");
        let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page}"));
        let (shown, _) =
            rest.split_once("\n<!-- end of print -->").unwrap_or_else(|| panic!("{page}"));
        assert!(
            shown == printed(table).await,
            "{page} is not what the program prints; run `just docs`"
        );
    }
}

#[test]
fn each_link_leads_somewhere() {
    let documents = documents();
    let mut links = 0;
    for (file, text) in &documents {
        for link in prose(text).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (path, wanted) =
                link.split_once('#').map_or((link, None), |(path, name)| (path, Some(name)));
            let target = match path {
                "" => PathBuf::from(file),
                path => plain(&Path::new(file).parent().unwrap().join(path)),
            };
            assert!(Path::new(ROOT).join(&target).exists(), "{file}: {link}");
            if let Some(wanted) = wanted {
                let text = &documents[target.to_str().unwrap()];
                assert!(anchors(text).contains(wanted), "{file}: {link}");
            }
            links += 1;
        }
    }
    assert!(links > 80, "{links}");
}

#[tokio::test]
async fn each_query_in_the_documents_fits_the_schema() {
    let mut queries = BTreeMap::new();
    for (file, text) in documents() {
        for (number, block) in text.split("```graphql\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap().to_owned();
            queries.insert(format!("{file}, block {}", number + 1), block);
        }
    }
    assert!(queries.len() > 12, "{queries:?}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queries.json");
    let schema = format!("{ROOT}/schema.graphql");
    let mut check = async || {
        std::fs::write(&file, serde_json::to_string(&queries).unwrap()).unwrap();
        let checked =
            node("queries.mjs", &[("QUERIES", file.to_str().unwrap()), ("SCHEMA", &schema)]).await;
        queries.insert(
            "a query with a fault".to_owned(),
            "{ campaigns { nodes { nmae } } }".to_owned(),
        );
        checked
    };
    let checked = check().await;
    assert_eq!((checked.code, checked.out.as_str()), (0, ""), "{}", checked.err);
    let checked = check().await;
    assert!(
        checked.code == 1 && checked.out.starts_with("a query with a fault: "),
        "{}",
        checked.out
    );
}

#[tokio::test]
async fn each_flag_in_the_documents_exists() {
    let tables = printed("flags").await;
    let known: BTreeSet<&str> =
        flags_of(&tables, |_| true).into_iter().chain(["help", "version"]).collect();
    let mut found = BTreeSet::new();
    for (file, text) in documents() {
        for (at, _) in text.match_indices("--") {
            let is_start =
                text[..at].ends_with(|of: char| of.is_whitespace() || of == '`' || of == '(');
            let name = text[at + 2..]
                .split(|of: char| !(of.is_ascii_lowercase() || of == '-'))
                .next()
                .unwrap();
            if !is_start || !name.starts_with(|of: char| of.is_ascii_lowercase()) {
                continue;
            }
            let is_of_others = OF_OTHERS.iter().any(|flag| flag.strip_prefix("--") == Some(name));
            assert!(known.contains(name) || is_of_others, "{file}: --{name}");
            found.insert(name.to_owned());
        }
    }
    assert!(found.len() > 60, "{found:?}");
}

#[test]
fn each_file_in_the_documents_exists() {
    let mut files = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/decisions.md"] {
        for name in code(&read(document)) {
            let is_media_type = ["text/", "application/"].iter().any(|kind| name.starts_with(kind));
            let is_file = name.contains('/')
                && !name.starts_with('/')
                && !name.contains([' ', ':', '{', '<']);
            if !is_file || is_media_type {
                continue;
            }
            // `graphql/rows.rs` is a file of the crate
            let (first, rest) = name.split_once('/').unwrap();
            let places = [format!("{ROOT}/{name}"), format!("{ROOT}/crates/{first}/src/{rest}")];
            assert!(places.iter().any(|place| Path::new(place).exists()), "{document}: {name}");
            files += 1;
        }
    }
    assert!(files > 80, "{files}");
}

#[test]
fn the_documents_that_are_read_first_are_short() {
    for (file, most) in [("README.md", 130), ("ARCHITECTURE.md", 120), ("CONTRIBUTING.md", 200)] {
        let text = read(file);
        let lines = text.lines().count();
        assert!(lines <= most, "{file} has {lines} lines");
        let long = text.lines().find(|line| {
            line.chars().count() > LINE && !line.starts_with('|') && !line.contains("](")
        });
        assert_eq!(long, None, "{file}");
    }
}
