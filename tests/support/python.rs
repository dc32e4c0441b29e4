//! Programs in Python.

use std::path::{Path, PathBuf};

use tokio::{process::Command, sync::OnceCell};

use crate::Finished;

/// The folder of the programs.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

/// Runs a program of `tests/python` with its packages installed, below `target/`.
pub async fn python(program: &str, environment: &[(&str, &str)]) -> Finished {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    let python = INSTALLED.get_or_init(install).await;
    let mut command = Command::new(python);
    command.arg(program).current_dir(PROGRAMS).envs(environment.iter().copied());
    command.output().await.expect("Python runs").into()
}

/// Installs the packages of `requirements.txt` if they are missing, and returns the interpreter.
async fn install() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    std::fs::create_dir_all(&target).unwrap();
    // two test programs can share the folder
    let lock = std::fs::File::create(target.join("python.lock")).unwrap();
    lock.lock().unwrap();
    let requirements = Path::new(PROGRAMS).join("requirements.txt");
    let wanted = std::fs::read(&requirements).unwrap();
    let environment = target.join("python");
    let installed = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if std::fs::read(&installed).ok().as_ref() == Some(&wanted) {
        return python;
    }
    // Debian's interpreter, whose error names the package if venv is missing
    let debian = Path::new("/usr/bin/python3");
    let base = if debian.exists() { debian } else { Path::new("python3") };
    run(
        Command::new(base).args(["-m", "venv", "--clear"]).arg(&environment),
        "apt-get install python3-venv",
    )
    .await;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--no-deps",
        "-r",
    ]);
    run(pip.arg(&requirements), "the packages are downloaded from PyPI").await;
    std::fs::write(&installed, wanted).unwrap();
    python
}

async fn run(command: &mut Command, needs: &str) {
    let output = command.output().await;
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; {needs}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({needs}): {err}");
}
