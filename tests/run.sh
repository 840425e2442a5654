#!/bin/sh
# Installs what the tests need where it is missing, and runs them all.
#
#     tests/run.sh                 every test of the workspace
#     tests/run.sh policy          those whose names hold "policy"
#
# On Debian and Ubuntu missing packages are installed with apt-get (as root, or by sudo); elsewhere the
# script says what is missing. The packages for Python and Node.js go to folders of their own below
# ~/.cache/weir.
set -eu
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/weir
jdbc=/usr/share/java/postgresql.jar
python_packages="pyarrow==26.0.1 adbc-driver-flightsql==1.13.0 adbc-driver-manager==1.13.0
adbc-driver-postgresql==1.13.0 psycopg[binary]==3.3.9 psycopg2-binary==2.9.13 asyncpg==0.32.0
SQLAlchemy==2.1.9 pandas==3.1.1 polars==2.1.0 connectorx==0.4.6 pyodbc==5.5.0
duckdb==1.5.5 duckdb-extensions==1.5.5 duckdb-extension-postgres-scanner==1.5.5"
node_packages="pg@8.23.1 pg-cursor@2.22.0 pg-query-stream@4.17.0"

say() { printf 'tests: %s\n' "$*"; }
fail() { printf 'tests: %s\n' "$*" >&2; exit 1; }

postgres_programs() {
    for folder in ${PG_BIN:+"$PG_BIN"} $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
        $(printf '%s' "$PATH" | tr ':' ' '); do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            printf '%s' "$folder"
            return
        fi
    done
}

# Debian's packages that are missing.
packages=
need() { packages="$packages $*"; }
command -v cc >/dev/null || need build-essential
command -v git >/dev/null || need git
[ -n "$(postgres_programs)" ] || need postgresql postgresql-contrib
command -v psql >/dev/null || need postgresql-client
command -v setpriv >/dev/null || need util-linux
command -v java >/dev/null && command -v javac >/dev/null || need default-jdk-headless
[ -f "$jdbc" ] || need libpostgresql-jdbc-java
odbcinst -q -d -n 'PostgreSQL Unicode' >/dev/null 2>&1 || need odbc-postgresql odbcinst unixodbc
command -v node >/dev/null || need nodejs
command -v npm >/dev/null || need npm
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3 python3-venv

if [ -n "$packages" ]; then
    command -v apt-get >/dev/null || fail "install what Debian calls:$packages"
    root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "as root: apt-get install$packages"
        root=sudo
    fi
    say "installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    $root apt-get update -qq
    # shellcheck disable=SC2086 # a list
    $root apt-get install -qq -y --no-install-recommends $packages >/dev/null
fi
command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.95 or later with rustup"
say "PostgreSQL: $(postgres_programs)"

# The stamp holds the list, so that a new version installs anew.
venv=$cache/venv
if [ "$(cat "$venv/weir-packages" 2>/dev/null)" != "$python_packages" ]; then
    say "installing Python packages into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    # shellcheck disable=SC2086 # a list
    "$venv/bin/pip" install --quiet --disable-pip-version-check $python_packages
    printf '%s' "$python_packages" > "$venv/weir-packages"
fi
say "Python: $("$venv/bin/python" --version)"

node=$cache/node
if [ "$(cat "$node/weir-packages" 2>/dev/null)" != "$node_packages" ]; then
    say "installing Node.js packages into $node"
    rm -rf "$node"
    mkdir -p "$node"
    # shellcheck disable=SC2086 # a list
    npm install --prefix "$node" --silent --no-audit --no-fund --no-save $node_packages
    printf '%s' "$node_packages" > "$node/weir-packages"
fi
say "Node.js: $(node --version)"

WEIR_TEST_PYTHON=$venv/bin/python
WEIR_TEST_JDBC=$jdbc
WEIR_TEST_NODE_MODULES=$node/node_modules
PG_BIN=$(postgres_programs)
export WEIR_TEST_PYTHON WEIR_TEST_JDBC WEIR_TEST_NODE_MODULES PG_BIN

say "cargo test --workspace"
cargo test --workspace -- "$@"
say "all passed"
