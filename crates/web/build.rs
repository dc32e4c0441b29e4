//! Builds the pages of `web/` into `OUT_DIR/pages` if Node is installed. Otherwise, the folder is empty,
//! and the service uses the plain page.
//!
//! `CAMPAIGNS_WEB=plain` skips the build. `CAMPAIGNS_WEB=full` fails if the pages cannot be built.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The sources of the pages in `web/`, and the schema that they use.
const SOURCES: [&str; 10] = [
    "src",
    "public",
    "views.json",
    "index.html",
    "graphiql.html",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "codegen.ts",
    "../schema.graphql",
];

fn main() {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let web = own.join("../../web");
    let pages = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("pages");
    println!("cargo::rerun-if-env-changed=CAMPAIGNS_WEB");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }

    clear(&pages).expect("cargo's folder can be written to");
    let wanted = env::var("CAMPAIGNS_WEB").unwrap_or_default();
    let is_built = match wanted.as_str() {
        "plain" => false,
        _ => match build(&web, &pages) {
            Ok(()) => true,
            Err(why) if wanted == "full" => panic!("the pages cannot be built: {why}"),
            Err(why) => {
                println!("cargo::warning=the plain page is embedded because {why}");
                clear(&pages).expect("cargo's folder can be written to");
                false
            }
        },
    };
    println!("cargo::rustc-env=CAMPAIGNS_WEB_IS_BUILT={is_built}");
}

fn clear(pages: &Path) -> io::Result<()> {
    if pages.exists() {
        fs::remove_dir_all(pages)?;
    }
    fs::create_dir_all(pages)
}

fn build(web: &Path, pages: &Path) -> Result<(), String> {
    require_node()?;
    let said = |error: io::Error| error.to_string();
    // concurrent builds of two targets share node_modules
    let lock = fs::File::create(web.join(".build-lock")).map_err(said)?;
    lock.lock().map_err(said)?;

    let locked = fs::read(web.join("package-lock.json")).map_err(said)?;
    let installed = web.join("node_modules/.installed-lock.json");
    if fs::read(&installed).ok().as_ref() != Some(&locked) {
        npm(
            web,
            pages,
            &[
                "ci",
                // downloaded packages must not run code
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefer-offline",
                "--fetch-retries=1",
            ],
        )?;
        fs::write(&installed, &locked).map_err(said)?;
    }
    npm(web, pages, &["run", "build"])
}

/// Checks that Node 20 or later is installed, which builds the pages.
fn require_node() -> Result<(), String> {
    let version = Command::new("node").arg("--version").output();
    let version = version.map_err(|_| "Node is not installed".to_owned())?.stdout;
    let version = String::from_utf8_lossy(&version);
    let major = version.trim().trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(20..) => Ok(()),
        _ => Err(format!("Node {} is older than 20", version.trim())),
    }
}

fn npm(web: &Path, pages: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(web)
        .env("CAMPAIGNS_WEB_OUT", pages)
        .output()
        .map_err(|error| format!("npm cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    // cargo prints the whole output with -vv
    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    let complaint = String::from_utf8_lossy(&output.stderr);
    let line = complaint.lines().find(|line| line.contains("error")).unwrap_or("see its output");
    Err(format!("npm {} failed: {line}", arguments.join(" ")))
}
