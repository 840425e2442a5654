#!/usr/bin/env python3
"""The 22 queries of TPC-H by weir and by its peers, in one run, each answer compared.

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install duckdb==1.5.5 duckdb-extension-postgres-scanner tpchgen-cli \
        pyarrow adbc-driver-flightsql adbc-driver-manager psycopg[binary]
    cargo build --release
    /tmp/peers/bin/python benches/peers/tpch.py --tables split      # or postgres, or parquet

--tables split:    orders, customer, nation and region in PostgreSQL, the others Parquet files
--tables postgres: all in one PostgreSQL, with primary keys and ANALYZE, and nothing else
--tables parquet:  all Parquet files

weir runs as `weir serve` with its default settings and answers over Flight SQL (--wire: over the
Postgres protocol as well); DuckDB runs in this process with two threads; PostgreSQL, as a peer of
--tables postgres, answers psycopg. PostgreSQL has its default settings. A run is one query by every
contender in turn; the best of --runs counts. The data is made once and kept in --cache. Absolute
times double on a busy machine: only the ratios within one run count.

Answers must be equal, row for row: text, dates, integers and NULL exactly, other numbers to within
one part in a million (engines round averages and quotients to different lengths).
"""

import argparse
import contextlib
import decimal
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from servers import (connect_duckdb, connect_flight, connect_postgres, connect_wire,
                     local_catalog, postgres, postgres_catalog, weir)

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]
IN_POSTGRES = {
    "split": ["orders", "customer", "nation", "region"],
    "postgres": TABLES,
    "parquet": [],
}
QUERIES = pathlib.Path(__file__).resolve().parent / "tpch"

# Ten tables of two sources, for the time that planning takes.
WIDE_JOIN = """SELECT count(*) FROM {lineitem} l, {orders} o, {customer} c, {nation} n, {region} r,
  {supplier} s, {nation} n2, {region} r2, {part} p, {partsupp} ps
WHERE l.l_orderkey = o.o_orderkey AND o.o_custkey = c.c_custkey AND c.c_nationkey = n.n_nationkey
  AND n.n_regionkey = r.r_regionkey AND l.l_suppkey = s.s_suppkey AND s.s_nationkey = n2.n_nationkey
  AND n2.n_regionkey = r2.r_regionkey AND l.l_partkey = p.p_partkey AND ps.ps_partkey = p.p_partkey
  AND ps.ps_suppkey = s.s_suppkey AND r.r_name = 'ASIA' AND r2.r_name = 'EUROPE'
  AND o.o_orderdate < DATE '1995-01-01' AND p.p_size = 15"""


def generate(arguments):
    """Files of one format; those that are there already stay."""
    folder = arguments.cache / f"tpch-{arguments.scale:g}" / "parquet"
    if not (folder / "lineitem.parquet").exists():
        tool = pathlib.Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run([tool, "parquet", "-s", str(arguments.scale), "--output-dir", str(folder)],
                       check=True, stdout=subprocess.DEVNULL)
    return folder


def load(port, arguments):
    with connect_postgres(port) as connection:
        if connection.execute("SELECT to_regclass('loaded')").fetchone()[0]:
            return
        connection.execute((QUERIES / "schema.sql").read_text())
        with tempfile.TemporaryDirectory() as folder:
            tool = pathlib.Path(sys.executable).parent / "tpchgen-cli"
            subprocess.run([tool, "csv", "-s", str(arguments.scale), "--output-dir", folder],
                           check=True, stdout=subprocess.DEVNULL)
            for table in TABLES:
                with (connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy,
                      open(pathlib.Path(folder) / f"{table}.csv", "rb") as rows):
                    while chunk := rows.read(1 << 20):
                        copy.write(chunk)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        connection.execute("CREATE TABLE loaded ()")


def query(number):
    return (QUERIES / f"q{number:02}.sql").read_text()


def named(sql, name):
    return sql.format(**{table: name(table) for table in TABLES})


def plain(value):
    """A value that compares the same whoever gave it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return float(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()[:10]
    return str(value)


def bag(rows):
    """Rows in an order that does not hang on how numbers were rounded."""
    rows = [tuple(plain(value) for value in row) for row in rows]
    return sorted(rows, key=lambda row: [(str(type(v)), f"{v:.3e}" if isinstance(v, float) else str(v))
                                         for v in row])


def equal(left, right):
    def same(a, b):
        if isinstance(a, float) and isinstance(b, float):
            return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
        return a == b
    left, right = bag(left), bag(right)
    return len(left) == len(right) and all(
        len(a) == len(b) and all(map(same, a, b)) for a, b in zip(left, right))



def arrow_rows(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def flight(ports, name, **settings):
    connection = connect_flight(ports, **settings)

    def run(sql):
        with connection.cursor() as cursor:
            cursor.execute(named(sql, name))
            return arrow_rows(cursor.fetch_arrow_table())
    return run


def wire(ports, name):
    connection = connect_wire(ports)
    return lambda sql: connection.execute(named(sql, name), prepare=False).fetchall()


def postgres_itself(port, timeout):
    connection = connect_postgres(port)
    connection.execute(f"SET statement_timeout = '{timeout}s'")
    return lambda sql: connection.execute(named(sql, lambda table: table)).fetchall()


def duckdb(port, files, in_postgres):
    connection = connect_duckdb(port)
    for table in TABLES:
        if table not in in_postgres:
            connection.execute(f"CREATE VIEW {table} AS FROM '{files / table}.parquet'")

    def name(table):
        return f"pg.public.{table}" if table in in_postgres else table
    return lambda sql: arrow_rows(connection.execute(named(sql, name)).to_arrow_table())


def measure(contenders, runs, numbers):
    """Seconds by query and contender; `None`: no answer."""
    best, wrong = {}, []
    for number in numbers:
        sql, answers = query(number), {}
        for turn in range(runs):
            for name, ask in contenders.items():
                if turn > 0 and best[number][name] is None:
                    continue
                start = time.perf_counter()
                try:
                    answers[name] = ask(sql)
                except Exception as error:
                    print(f"Q{number}: {name}: {str(error).splitlines()[0]}", file=sys.stderr)
                    best.setdefault(number, {})[name] = None
                    continue
                seconds = time.perf_counter() - start
                before = best.setdefault(number, {}).get(name, math.inf)
                best[number][name] = min(before, seconds)
        oracle = next(name for name in ["PostgreSQL", "DuckDB"] if name in answers)
        for name, answer in answers.items():
            if not equal(answer, answers[oracle]):
                wrong.append(f"Q{number}: {name} and {oracle} differ")
                print(wrong[-1], answer[:3], answers[oracle][:3], sep="\n  ", file=sys.stderr)
        show_line(f"Q{number}", best[number], contenders)
    return best, wrong


def show_line(label, seconds, contenders):
    weir_seconds = seconds["weir"]
    cells = []
    for name in contenders:
        value = seconds[name]
        ratio = f" {weir_seconds / value:6.2f}" if name != "weir" and value and weir_seconds else " " * 7
        cells.append(f"{value:9.3f}" if value is not None else f"{'-':>9}")
        cells[-1] += ratio if name != "weir" else ""
    print(f"{label:6}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def planning(ports, name, times=60):
    """Milliseconds until the engine has chosen its operators, by EXPLAIN over the Postgres wire."""
    with connect_wire(ports) as connection:
        sql = "EXPLAIN " + named(WIDE_JOIN, name)
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            connection.execute(sql, prepare=False).fetchall()
            taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", choices=IN_POSTGRES, default="split")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", type=lambda text: [int(q) for q in text.split(",")],
                        default=list(range(1, 23)), help="such as 1,6,14")
    parser.add_argument("--modes", type=lambda text: text.split(","), default=[],
                        help="further columns of weir: off, always")
    parser.add_argument("--wire", action="store_true", help="weir over the Postgres protocol too")
    parser.add_argument("--timeout", type=int, default=60, help="seconds for PostgreSQL itself")
    parser.add_argument("--cache", type=pathlib.Path,
                        default=pathlib.Path.home() / ".cache/weir/bench")
    arguments = parser.parse_args()
    files, in_postgres = generate(arguments), IN_POSTGRES[arguments.tables]

    def name(table):
        return f"pg.public.{table}" if table in in_postgres else f"lake.public.{table}"

    with contextlib.ExitStack() as stack:
        catalogs, port = {}, None
        if in_postgres:
            # The user `postgres`, as whom the server runs when this is root, can't enter root's home.
            folder = arguments.cache if os.getuid() else pathlib.Path(tempfile.gettempdir()) / "weir-bench"
            port = stack.enter_context(postgres(folder / f"postgres-{arguments.scale:g}"))
            load(port, arguments)
            catalogs["pg"] = postgres_catalog(port)
        if len(in_postgres) < len(TABLES):
            catalogs["lake"] = local_catalog(files)
        temporary = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pid, ports = stack.enter_context(weir(temporary, catalogs))
        contenders = {"weir": flight(ports, name)}
        for mode in arguments.modes:
            contenders[f"weir {mode}"] = flight(ports, name, weir__pushdown=mode)
        if arguments.wire:
            contenders["weir wire"] = wire(ports, name)
        contenders["DuckDB"] = duckdb(port, files, in_postgres)
        if arguments.tables == "postgres":
            contenders["PostgreSQL"] = postgres_itself(port, arguments.timeout)

        print(f"TPC-H SF{arguments.scale:g}, tables: {arguments.tables}; seconds, and weir's as a "
              f"multiple of each other's; best of {arguments.runs}; process {pid}")
        print(f"{'':6}" + "".join(f"{contender:>18}" for contender in contenders))
        best, wrong = measure(contenders, arguments.runs, arguments.queries)
        for other in list(contenders)[1:]:
            both = [n for n in best if best[n][other] and best[n]["weir"]]
            ours, theirs = (sum(best[n][who] for n in both) for who in ("weir", other))
            worst = max(both, key=lambda n: best[n]["weir"] / best[n][other], default=None)
            if worst:
                print(f"total of {len(both)} queries: weir {ours:.2f} s, {other} {theirs:.2f} s, ratio "
                      f"{ours / theirs:.2f}; worst Q{worst} "
                      f"{best[worst]['weir'] / best[worst][other]:.2f}")
        print(f"planning a join of ten tables: {planning(ports, name):.1f} ms (median)")
        if wrong:
            sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
