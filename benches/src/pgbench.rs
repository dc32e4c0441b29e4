//! The performance of the database alone, measured by pgbench.

use std::path::PathBuf;

use anyhow::Context;

use crate::load::Load;

/// Runs statements one after the other, repeatedly, by a number of clients for five seconds. The median
/// of the result is an average.
pub(crate) async fn run(url: &str, statements: &[String], clients: usize) -> anyhow::Result<Load> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), statements.join(";\n") + ";\n")?;
    let threads = clients.min(2).to_string();
    let output = tokio::process::Command::new(program())
        .args(["-n", "-M", "prepared", "-T", "5", "-j", &threads, "-c", &clients.to_string(), "-f"])
        .arg(script.path())
        .arg(url)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next()?.parse().ok())
    };
    let (per_second, median) = figure("tps = ")
        .zip(figure("latency average = "))
        .with_context(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    // pgbench reports only the average
    Ok(Load { per_second, median, p99: f64::NAN })
}

/// The newest installed pgbench of Debian, or pgbench from PATH. Debian's wrapper in PATH does not accept a
/// URL.
fn program() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin/pgbench"));
    programs.filter(|program| program.exists()).max().unwrap_or_else(|| "pgbench".into())
}
