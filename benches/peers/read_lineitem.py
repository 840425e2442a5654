#!/usr/bin/env python3
"""Reads TPC-H lineitem whole out of PostgreSQL, by weir and by its peers, in one run.

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install duckdb==1.5.5 duckdb-extension-postgres-scanner tpchgen-cli \
        pyarrow adbc-driver-flightsql adbc-driver-manager psycopg[binary]
    cargo build --release
    /tmp/peers/bin/python benches/peers/read_lineitem.py [--scale 1] [--runs 3]

Starts a private PostgreSQL and a private weir on loopback and stops both. Absolute times double on a
busy machine: only the ratios within one run count. Also prints the server's peak memory while a
whole result streams through each door.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from servers import (PASSWORD, connect_duckdb, connect_flight, connect_postgres, connect_wire,
                     postgres, postgres_catalog, weir)

TABLE = """CREATE TABLE lineitem (
  l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
  l_linenumber integer NOT NULL, l_quantity numeric(15,2) NOT NULL,
  l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
  l_tax numeric(15,2) NOT NULL, l_returnflag text NOT NULL, l_linestatus text NOT NULL,
  l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
  l_shipinstruct text NOT NULL, l_shipmode text NOT NULL, l_comment text NOT NULL)"""


def load(port, folder, scale):
    generate = pathlib.Path(sys.executable).parent / "tpchgen-cli"
    # The command line has changed between versions of tpchgen-cli: one of the two fits.
    for arguments in (["csv", "-s", str(scale), "--tables", "lineitem", "--output-dir", str(folder)],
                      ["-s", str(scale), "--tables", "lineitem", "--format", "csv", "--output-dir", str(folder)]):
        if subprocess.run([generate, *arguments], capture_output=True, check=False).returncode == 0:
            break
    else:
        sys.exit("tpchgen-cli could not write lineitem")
    with connect_postgres(port) as connection:
        connection.execute(TABLE)
        with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv, HEADER)") as copy:
            with open(next(folder.glob("**/lineitem*.csv")), "rb") as rows:
                while chunk := rows.read(1 << 20):
                    copy.write(chunk)
        connection.execute("VACUUM ANALYZE lineitem")
        return connection.execute("SELECT count(*) FROM lineitem").fetchone()[0]


class Peak:
    """The highest resident memory of a process while the block runs, in MB above its start."""

    def __init__(self, pid):
        self.pid, self.stop = pid, threading.Event()

    def resident(self):
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def __enter__(self):
        self.start = self.highest = self.resident()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.stop.wait(0.02):
            self.highest = max(self.highest, self.resident())

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def by_flight(ports):
    with connect_flight(ports) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM pg.public.lineitem")
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def by_psql(port, sql, user, database, password=None):
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    result = subprocess.run(
        ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", database,
         "-c", sql], env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"psql failed: {result.stderr}")


def by_duckdb(port):
    reader = connect_duckdb(port).execute("SELECT * FROM pg.public.lineitem").fetch_record_batch(100_000)
    return sum(batch.num_rows for batch in reader)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scale", type=float, default=1)
    arguments.add_argument("--runs", type=int, default=3)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        settings = ["fsync=off", "shared_buffers=256MB", "max_wal_size=8GB"]
        with postgres(folder / "pg", settings) as port:
            rows = load(port, folder, arguments.scale)
            with weir(folder, {"pg": postgres_catalog(port)}) as (pid, ports):
                copy = "\\copy (SELECT * FROM {}lineitem) TO '/dev/null' (FORMAT binary)"
                contenders = {
                    "weir, Flight SQL into Arrow": lambda: by_flight(ports),
                    "weir, psql \\copy binary": lambda: by_psql(
                        ports[0], copy.format("pg."), "bench", "weir", PASSWORD),
                    "PostgreSQL, psql \\copy binary": lambda: by_psql(
                        port, copy.format(""), "bench", "postgres"),
                    "DuckDB, postgres extension": lambda: by_duckdb(port),
                }
                best = dict.fromkeys(contenders, float("inf"))
                for _ in range(arguments.runs):
                    for name, read in contenders.items():
                        start = time.perf_counter()
                        read()
                        best[name] = min(best[name], time.perf_counter() - start)
                base = best["PostgreSQL, psql \\copy binary"]
                print(f"lineitem: {rows} rows, 16 columns, best of {arguments.runs}")
                for name, seconds in best.items():
                    print(f"  {name:32} {seconds:7.2f} s {rows / seconds / 1e6:6.2f} M rows/s "
                          f"{seconds / base:5.2f} x psql")
                print("peak memory of weir above its start, one whole result:")
                select = "SELECT * FROM pg.lineitem"
                for name, read in {
                    "Flight SQL": lambda: by_flight(ports),
                    "Postgres wire, COPY": lambda: by_psql(
                        ports[0], copy.format("pg."), "bench", "weir", PASSWORD),
                    "Postgres wire, one Execute": lambda: by_extended(ports, select),
                }.items():
                    with Peak(pid) as peak:
                        read()
                    print(f"  {name:32} {peak.highest - peak.start:7.1f} MB "
                          f"(of {peak.highest:.0f} MB)")


def by_extended(ports, sql):
    """The extended protocol with binary results and no row limit; rows are counted and dropped."""
    with connect_wire(ports) as connection:
        cursor = connection.cursor(binary=True)
        return sum(1 for _ in cursor.stream(sql))


if __name__ == "__main__":
    main()
