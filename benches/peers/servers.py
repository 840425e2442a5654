"""Starts what the measurements compare: PostgreSQL, weir and DuckDB, private ones on loopback."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

import adbc_driver_flightsql.dbapi as flightsql
import duckdb
import duckdb_extension_postgres_scanner
import psycopg
from adbc_driver_flightsql import DatabaseOptions

PASSWORD = "bench-password"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        sys.exit("no PostgreSQL server found: apt-get install postgresql")
    return found[-1]


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def postgres(data, settings=()):
    """A server over the folder `data`, which is made when it is not there. Gives its port."""
    port = free_port()
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(data, user.pw_uid, user.pw_gid)
        initdb = [str(programs() / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-N"]
        subprocess.run(as_postgres(initdb), check=True, stdout=subprocess.DEVNULL)
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1",
               "-c", f"unix_socket_directories={data}"]
    for setting in settings:
        options += ["-c", setting]
    server = subprocess.Popen(
        as_postgres([str(programs() / "postgres"), "-D", str(data), *options]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(psycopg.OperationalError):
                connect_postgres(port).close()
                break
            time.sleep(0.1)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def connect_postgres(port):
    return psycopg.connect(host="127.0.0.1", port=port, user="bench", dbname="postgres", autocommit=True)


def weir_program():
    found = os.environ.get("WEIR") or shutil.which(
        "weir", path=os.environ.get("CARGO_TARGET_DIR", str(REPOSITORY / "target")) + "/release")
    if not found:
        sys.exit("no release build of weir found: cargo build --release, or set WEIR")
    return found


@contextlib.contextmanager
def weir(folder, catalogs):
    """`weir serve` with its default settings; `catalogs` are files by name. Gives its process id and
    the ports of the Postgres, Flight SQL and HTTP doors."""
    config = folder / "config"
    (config / "catalogs").mkdir(parents=True)
    (config / "policy").mkdir()
    shutil.copy(REPOSITORY / "config/policy/model.conf", config / "policy/model.conf")
    (config / "policy/policy.csv").write_text(
        "p, role:bench, *, *, select, , allow\np, role:bench, *, *, explain_remote, , allow\n")
    ports = [free_port() for _ in range(3)]
    (config / "weir.toml").write_text(
        "".join(f'[{door}]\nlisten = "127.0.0.1:{port}"\n'
                for door, port in zip(("postgres", "flight", "http"), ports)))
    for name, text in catalogs.items():
        (config / f"catalogs/{name}.toml").write_text(text)
    options = ["--config", str(config / "weir.toml")]
    subprocess.run([weir_program(), "user", "add", "bench", "--role", "bench", "--tenant", "bench",
                    "--password-stdin", *options], input=PASSWORD + "\n", text=True, check=True,
                   stdout=subprocess.DEVNULL)
    with open(folder / "weir.log", "w") as log:
        server = subprocess.Popen([weir_program(), "serve", *options], stderr=log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", ports[0])).close()
                break
            time.sleep(0.1)
        yield server.pid, ports
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def postgres_catalog(port):
    return f'source = "postgres"\nurl = "postgres://bench@127.0.0.1:{port}/postgres"\n'


def local_catalog(root):
    return f'source = "local"\nroot = "{root}"\n'


def connect_flight(ports, **settings):
    """Settings of the session go as headers."""
    headers = {DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + name.replace("__", "."): value
               for name, value in settings.items()}
    return flightsql.connect(f"grpc://127.0.0.1:{ports[1]}", autocommit=True,
                             db_kwargs={"username": "bench", "password": PASSWORD, **headers})


def connect_wire(ports):
    return psycopg.connect(host="127.0.0.1", port=ports[0], user="bench", dbname="weir",
                           password=PASSWORD, autocommit=True)


def connect_duckdb(postgres_port=None, threads=2):
    """The PostgreSQL server, if there is one, is attached as `pg`."""
    connection = duckdb.connect(config={"threads": threads})
    if postgres_port:
        # The package carries the extension as a file.
        package = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent
        extension = next(package.glob("extensions/*/postgres_scanner.duckdb_extension"))
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"ATTACH 'host=127.0.0.1 port={postgres_port} user=bench dbname=postgres' "
                           "AS pg (TYPE postgres, READ_ONLY)")
    return connection
