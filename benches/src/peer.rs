//! PostGraphile 5 with its Amber preset, installed by npm, on the same database.

use std::{net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use serde_json::Value as Json;
use tokio::process::{Child, Command};

use crate::{
    load::{self, Load},
    service::memory_of,
};

/// The npm packages, with a version of Node that PostGraphile supports.
const PACKAGES: [&str; 2] = ["postgraphile@5", "node@22"];

const CONFIGURATION: &str = r#"
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";
export default {
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: process.env.PEER_DATABASE, schemas: ["public"] })],
  grafserv: { host: "127.0.0.1", port: Number(process.env.PEER_PORT), watch: false, graphiql: false },
};
"#;

/// A running PostGraphile.
pub(crate) struct Peer {
    address: String,
    process: Child,
}

impl Peer {
    /// Installs it if it is missing, and starts it.
    pub(crate) async fn start(database: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.parent().and_then(|folder| folder.parent()).context("a folder")?;
        let folder = target.join("postgraphile");
        install(&folder).await?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let modules = folder.join("node_modules");
        let process = Command::new(modules.join(".bin/node"))
            .arg(modules.join("postgraphile/dist/cli-run.js"))
            .current_dir(&folder)
            .env("NODE_ENV", "production")
            .env("PEER_DATABASE", database)
            .env("PEER_PORT", port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let peer = Self { address: format!("http://127.0.0.1:{port}"), process };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(peer);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("PostGraphile does not listen")
    }

    /// Sends a query by a number of clients for some time.
    pub(crate) async fn load(
        &self,
        query: &str,
        variables: &Json,
        clients: usize,
        time: Duration,
    ) -> anyhow::Result<Load> {
        let requests = vec![load::request(&self.address, "none", query, variables)];
        load::of(&self.address, requests.clone(), clients, time / 5).await?;
        load::of(&self.address, requests, clients, time).await
    }

    /// Its resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<usize> {
        memory_of(&self.process)
    }
}

async fn install(folder: &PathBuf) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("package.json"), r#"{ "private": true, "type": "module" }"#)?;
    std::fs::write(folder.join("graphile.config.mjs"), CONFIGURATION)?;
    if folder.join("node_modules/postgraphile/dist/cli-run.js").exists() {
        return Ok(());
    }
    println!("  installing PostGraphile");
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--silent"])
        .args(PACKAGES)
        .current_dir(folder)
        .status();
    ensure!(installed.await.context("npm")?.success(), "npm cannot install PostGraphile");
    Ok(())
}
