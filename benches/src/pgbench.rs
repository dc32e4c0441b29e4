//! What the database does by itself, as pgbench has it do it.

use std::path::PathBuf;

use anyhow::Context;

use crate::load::Load;

/// Clients that run these statements, one after the other, again and again for five seconds.
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
    // an average, since it reports nothing else
    Ok(Load { per_second, median, p99: f64::NAN })
}

/// Debian's own, where it is: what is in the path there takes the address of a server for a name.
fn program() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin/pgbench"));
    programs.filter(|program| program.exists()).max().unwrap_or_else(|| "pgbench".into())
}
