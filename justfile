# The service in development mode: an embedded database with demo data.
run *arguments:
    cargo run -- {{arguments}}

# The pages, reloaded whenever web/ changes. They use a service on port 8123:
# `just run --listen 127.0.0.1:8123`.
web:
    cd web && npm ci --ignore-scripts && npm run dev

# All tests, on SQLite and on a PostgreSQL server that they start.
test *arguments:
    cargo test --workspace {{arguments}}

# The formatting and lints that CI checks.
lint:
    cargo fmt --all --check
    RUSTFLAGS="-D warnings" cargo clippy --workspace --all-targets

# The property tests (documents, cursors, rules, tokens, messages), with many more inputs than in
# `just test`.
fuzz cases="100000":
    PROPTEST_CASES={{cases}} cargo test --workspace -- of_anything any_json any_message any_text any_time

# Prints the schema into schema.graphql.
schema:
    cargo run --quiet -- schema > schema.graphql

# Updates the generated tables in docs/.
docs:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet --bin campaigns
    for page in $(grep -l '^<!-- printed by:' docs/*.md); do
        table=$(sed -n 's/^<!-- printed by: campaigns reference \(.*\) -->$/\1/p' "$page")
        printed=$(target/debug/campaigns reference "$table")
        before=$(sed '/^<!-- printed by:/q' "$page")
        after=$(sed -n '/^<!-- end of print -->/,$p' "$page")
        printf '%s\n' "$before" "" "$printed" "" "$after" >"$page"
    done

# A temporary PostgreSQL server on port 5433, migrated and with demo data, until Ctrl-C.
db port="5433":
    #!/usr/bin/env bash
    set -euo pipefail
    # Debian's directory of the server's programs, or the directory in PATH
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    bin=${newest:-$(dirname "$(command -v pg_ctl)")}
    directory=$(mktemp -d)
    as=()
    # the server does not run as root
    if [ "$(id -u)" = 0 ]; then chown postgres "$directory"; as=(runuser -u postgres --); fi
    cd "$directory"
    "${as[@]}" "$bin/initdb" -D data -U postgres -A trust -E UTF8 >/dev/null
    "${as[@]}" "$bin/postgres" -D data -p {{port}} -k "$directory" -c listen_addresses=127.0.0.1 >server.log 2>&1 &
    server=$!
    trap 'kill -INT $server; wait $server || true; rm -rf "$directory"' EXIT
    until "$bin/pg_isready" -q -h 127.0.0.1 -p {{port}}; do kill -0 $server; sleep 0.1; done
    url=postgres://postgres@127.0.0.1:{{port}}/postgres
    cd "{{justfile_directory()}}"
    cargo run --quiet -- migrate --database-url "$url"
    cargo run --quiet -- demo --database-url "$url"
    echo
    echo "DATABASE_URL=$url"
    echo "CAMPAIGNS_JWT_SECRET=any-secret-of-thirty-two-bytes-or-more cargo run -- serve --database-url $url"
    wait $server

# The benchmark program, in release mode: `just bench feed` runs one part of it, `just bench soak` attacks
# the service for ten minutes, `just bench overload` floods it, and `just bench faults` injects faults
# for an hour. `just bench versions --against PROGRAM` compares this version with another one.
bench *parts:
    cargo build --release --workspace --bins
    target/release/campaigns-benches {{parts}}

# A CPU profile: runs a part of the benchmark under perf, and shows the functions of the service's
# threads and their callees. Needs perf.
profile part="reading":
    RUSTFLAGS="-C force-frame-pointers=yes" cargo build --profile profiling --target-dir target/profiling --workspace --bins
    perf record -F 499 --call-graph fp -o target/perf.data target/profiling/profiling/campaigns-benches {{part}}
    perf report -i target/perf.data --comm tokio-rt-worker --children --percent-limit 1 --stdio -g none

# Takes the screenshots in docs/ in Chromium, of a service on new demo data.
shots:
    CAMPAIGNS_WEB=full cargo build --quiet --bin campaigns
    cd tests/node && npm ci --ignore-scripts --silent && SHOTS=../../docs node beside.mjs ../../target/debug/campaigns pages.mjs

# Measures the pages' longest task and memory while 10,000 events a second arrive, and while 100,000 of
# these events are scrolled. `SECONDS=60 LONGEST=100 just smooth` fails above 100 ms.
smooth:
    CAMPAIGNS_WEB=full cargo build --quiet --release --bin campaigns
    cd tests/node && npm ci --ignore-scripts --silent && YIELDING=1 node beside.mjs ../../target/release/campaigns smooth.mjs

# Lighthouse's scores of the overview. Fails if a category has less than 95.
lighthouse:
    CAMPAIGNS_WEB=full cargo build --quiet --release --bin campaigns
    cd tests/node && npm ci --ignore-scripts --silent && node beside.mjs ../../target/release/campaigns lighthouse.mjs

# Sends generated operations to a service on demo data, by schemathesis, and fails on a response with a
# server error. Needs Python.
schemathesis examples="100":
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --quiet --bin campaigns
    python3 -m venv target/schemathesis
    target/schemathesis/bin/pip install --quiet schemathesis
    directory=$(mktemp -d)
    trap 'kill $service; wait $service || true; rm -rf "$directory"' EXIT
    (cd "$directory" && exec "{{justfile_directory()}}/target/debug/campaigns" --listen 127.0.0.1:0 >out 2>log) &
    service=$!
    until grep -q GraphiQL "$directory/out"; do kill -0 $service; sleep 0.2; done
    address=$(sed -n 's/^listening on //p' "$directory/out")
    token=$(sed -n 's/^ *admin *//p' "$directory/out")
    SCHEMATHESIS_HOOKS=tests/schemathesis/hooks.py target/schemathesis/bin/schemathesis run "$address/graphql" \
        --header "Authorization: Bearer $token" --max-examples {{examples}} --continue-on-failure \
        --checks not_a_server_error,nothing_internal

# Checks the dependencies against deny.toml: known vulnerabilities, licenses, sources. Installs cargo-deny
# if it is missing.
audit:
    cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
    cargo deny check

# Tests that each alert fires when it should, and only then. Needs promtool, from Debian's package prometheus.
alerts:
    promtool test rules deploy/alerts.test.yaml

# Writes the components of the service and its pages to target/sbom.json, as CycloneDX. Needs Node.
sbom:
    npx --ignore-scripts --yes @cyclonedx/cdxgen --type rust --type js --no-install-deps \
        --exclude "tests/**" --exclude "**/node_modules/**" --output target/sbom.json .
