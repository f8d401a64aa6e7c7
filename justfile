# The steps of .ci/run by name. `just` lists them.

default:
    @just --list

# Formats everything.
fmt:
    cargo fmt --all

# Type-checks everything, tests and benches too.
check:
    cargo check --workspace --all-targets

# The lints that CI has.
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# Type-checks the engine without DataFusion and Kubernetes.
slim:
    cargo clippy -p foreshock --no-default-features -- -D warnings

# The tests of the pure crates: no server needed.
test-quick:
    cargo test -p foreshock-core -p foreshock-detectors

# All tests.
test:
    cargo test --workspace

# Everything that parses, SECONDS each, guided by coverage.
fuzz SECONDS="10":
    engine/fuzz/fuzz.sh all {{SECONDS}}

# Instructions of the detectors' kernels.
instructions:
    cargo bench --quiet -p foreshock-instructions

# A bench: core, forest, pipeline, traces or correlator.
bench NAME:
    cargo bench -p foreshock-benches --bench {{NAME}}

# The docs of the code.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The chart, the alert rules and the dashboard, on a real Prometheus.
helm:
    cargo build
    FORESHOCK_BIN=target/debug/foreshock helm/check.sh

# Licences, sources and duplicates of dependencies.
deny:
    cargo deny --log-level error check licenses bans sources

# Everything that must hold before a change lands.
ci:
    bash .ci/run
