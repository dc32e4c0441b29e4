//! The files of `deploy/`, compared with the program that they run.

use std::{collections::BTreeSet, path::Path};

use campaigns_tests::{Binary, Socket, TestApp, on_both_databases};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::process::Command;

use crate::watching::Watched;

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn yaml(text: &str) -> Json {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Each document of the manifest, by its kind.
pub(crate) fn manifest(kind: &str) -> Json {
    let all = read("deploy/kubernetes.yaml");
    let all = all.split("\n---\n").skip(1).map(yaml);
    all.into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("{kind}"))
}

/// Every text under this key, at any depth.
fn texts_at<'a>(json: &'a Json, key: &str, found: &mut Vec<&'a str>) {
    match json {
        Json::Object(object) => {
            for (name, value) in object {
                match value {
                    Json::String(text) if name == key => found.push(text),
                    value => texts_at(value, key, found),
                }
            }
        }
        Json::Array(values) => values.iter().for_each(|value| texts_at(value, key, found)),
        _ => {}
    }
}

/// The metrics that an expression names.
fn metrics_of(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|of: char| !(of.is_ascii_alphanumeric() || of == '_'));
    words.filter(|word| word.starts_with("campaigns_") || word.starts_with("process_"))
}

fn strings(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Asserts that the program accepts a command line.
async fn assert_taken(arguments: &[&str]) {
    let run = Binary::run(Path::new("/"), &[arguments, &["--help"]].concat()).await;
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
}

/// The environment variables that the program reads.
async fn variables() -> String {
    let mut help = String::new();
    for command in ["serve", "migrate"] {
        help.push_str(&Binary::run(Path::new("/"), &[command, "--help"]).await.out);
    }
    help
}

#[on_both_databases]
async fn each_metric_of_the_dashboard_and_of_the_alerts_exists(app: TestApp) {
    let acme = app.organization("acme").await;
    let watched = Watched::start(&app, &acme, &[]).await;
    watched.member.data("query Some { campaigns { totalCount } }", json!({})).await;
    let dashboard: Json = serde_json::from_str(&read("deploy/dashboard.json")).unwrap();
    let alerts = yaml(&read("deploy/alerts.yaml"));
    let mut expressions = Vec::new();
    texts_at(&dashboard, "expr", &mut expressions);
    let panels = expressions.len();
    texts_at(&dashboard["templating"], "query", &mut expressions);
    texts_at(&alerts, "expr", &mut expressions);
    assert!(panels > 30 && expressions.len() > panels + 15);
    let names: BTreeSet<&str> = expressions.iter().flat_map(|one| metrics_of(one)).collect();
    assert!(names.len() > 35, "{names:?}");
    let metrics = watched.metrics().await;
    for name in names {
        let is_there = metrics
            .lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        assert!(is_there, "{name}\n{metrics}");
    }
    // each metric has a description
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
    }
}

#[on_both_databases]
async fn the_paths_of_probes_and_scrapes_answer(app: TestApp) {
    let acme = app.organization("acme").await;
    let deployment = manifest("Deployment");
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "http");
        let path = get["path"].as_str().unwrap();
        let answer = acme.member.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let watched = Watched::start(&app, &acme, &[]).await;
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/path"], "/metrics");
    assert!(watched.metrics().await.contains("campaigns_build_info"));
    drop(Socket::of(&watched.member).await);
}

#[tokio::test]
async fn containers_run_this_version_with_flags_and_variables_that_exist() {
    let compose = yaml(&read("deploy/compose.yaml"));
    let (deployment, job) = (manifest("Deployment"), manifest("Job"));
    let image = concat!("registry.example/campaigns:", env!("CARGO_PKG_VERSION"));
    let variables = variables().await;
    for service in ["migrate", "service"] {
        let service = &compose["services"][service];
        assert_eq!(service["image"], image);
        assert_eq!(service["read_only"], true);
        assert_taken(&strings(&service["command"])).await;
        for name in service["environment"].as_object().unwrap().keys() {
            assert!(variables.contains(&format!("[env: {name}")), "{name}");
        }
    }
    let version = env!("CARGO_PKG_VERSION").replace('.', "-");
    assert_eq!(job["metadata"]["name"], format!("campaigns-migrate-{version}"));
    for workload in [&deployment, &job] {
        let pod = &workload["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["image"], image);
        assert_taken(&strings(&container["args"])).await;
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(
            container["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            })
        );
        assert!(container["resources"]["requests"]["memory"].is_string());
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
    let containerfile = read("deploy/Containerfile");
    let toolchain = read("rust-toolchain.toml");
    let rust = containerfile.split("library/rust:").nth(1).unwrap().split('-').next().unwrap();
    assert!(toolchain.contains(rust), "{rust}");
    for name in ["CAMPAIGNS_LISTEN", "CAMPAIGNS_METRICS_LISTEN"] {
        assert!(containerfile.contains(&format!("{name}=0.0.0.0:")), "{name}");
        assert!(variables.contains(&format!("[env: {name}")), "{name}");
    }
    assert!(containerfile.contains("\nUSER 65532"));
}

#[tokio::test]
async fn kubernetes_selects_labels_ports_and_settings_that_exist() {
    let deployment = manifest("Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
    let service = manifest("Service");
    assert_eq!(&service["spec"]["selector"], labels);
    assert_ne!(&manifest("Job")["spec"]["template"]["metadata"]["labels"], labels);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let port = |name: &str| {
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].clone()
    };
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");

    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("campaigns.toml");
    let map = manifest("ConfigMap");
    std::fs::write(&settings, map["data"]["campaigns.toml"].as_str().unwrap()).unwrap();
    let settings = ["config", "--config", settings.to_str().unwrap()];
    let shown = Binary::run(directory.path(), &settings).await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    for (name, port) in [("listen", port("http")), ("metrics-listen", port("metrics"))] {
        let line = format!("\n{name} = \"0.0.0.0:{port}\"  # file");
        assert!(format!("\n{}", shown.out).contains(&line), "{line}\n{}", shown.out);
    }
    // the arguments name the file in the mounted volume
    let mounted = &container["volumeMounts"][0]["mountPath"];
    assert_eq!(
        strings(&container["args"])[2],
        format!("{}/campaigns.toml", mounted.as_str().unwrap())
    );
}

#[tokio::test]
async fn the_unit_of_systemd_is_valid_and_hardened() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let unit = read("deploy/campaigns.service");
    let start =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/campaigns "));
    assert_taken(&start.unwrap().split(' ').collect::<Vec<_>>()).await;
    let settings = format!("{root}/deploy/campaigns.toml");
    let shown = Binary::run(Path::new("/"), &["config", "--config", &settings]).await;
    assert_eq!(shown.code, 0, "{}", shown.err);

    let analyze = async |arguments: &[&str]| {
        match Command::new("systemd-analyze").args(arguments).output().await {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            // a machine without systemd
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let installed = directory.path().join("campaigns.service");
    // a program that exists on every machine takes the place of the installed one
    let unit = unit.replace("ExecStart=/usr/local/bin/campaigns", "ExecStart=/bin/true");
    std::fs::write(&installed, unit).unwrap();
    let installed = installed.to_str().unwrap();
    analyze(&["verify", "--man=no", installed]).await;
    analyze(&["security", "--offline=true", "--threshold=20", "--no-pager", installed]).await;
}
