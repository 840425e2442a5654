#!/usr/bin/env python3
"""How much the time of a query tells about rows that a filter hides.

    python benches/peers/policy_timing.py [--rows 500000] [--runs 101]     # as policy_overhead.py

One table, in PostgreSQL with an index and as a Parquet file. The user sees one row of ten, and guesses
values: of a column that many hidden rows have, that one hidden row has, that nobody has. Prints the
median time of each guess, and of two guesses that nobody has, which shows the noise.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import pyarrow
import pyarrow.parquet

from servers import connect_postgres, connect_wire, local_catalog, postgres, postgres_catalog, weir

RULES = """p, role:bench, *, *, select, , allow
p, role:bench, *, *.public.orders, restrict, tenant = 0, allow
"""
GUESSES = {"many hidden rows": 7, "one hidden row": 8, "nobody": 9, "nobody again": 10}
QUERIES = {
    "{}, one statement": "SELECT count(*) FROM {}.public.orders WHERE code = {}",
    "{}, above a barrier": "SELECT count(*) FROM {}.public.orders WHERE 100 / (code + 1) = 100 / ({} + 1)",
}


def rows(count):
    """Visible rows have codes from 1,000 on; half of the hidden ones have 7, one has 8."""
    ids = range(count)
    codes = [1000 + i % 997 if i % 10 == 0 else (7 if i % 2 else 2000 + i % 997) for i in ids]
    codes[1] = 8
    return {"id": list(ids), "tenant": [i % 10 for i in ids], "code": codes,
            "note": [f"note of {i}" for i in ids]}


def load(port, table):
    with connect_postgres(port) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, tenant bigint, code bigint, note text)")
        with connection.cursor().copy("COPY orders FROM STDIN") as copy:
            for row in zip(*table.values()):
                copy.write_row(row)
        connection.execute("CREATE INDEX ON orders (code)")
        connection.execute("VACUUM ANALYZE orders")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=500_000)
    arguments.add_argument("--runs", type=int, default=101)
    arguments = arguments.parse_args()
    table = rows(arguments.rows)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        (folder / "lake").mkdir()
        pyarrow.parquet.write_table(pyarrow.table(table), folder / "lake/orders.parquet")
        with postgres(folder / "pg") as port:
            load(port, table)
            catalogs = {"pg": postgres_catalog(port), "lake": local_catalog(folder / "lake")}
            with weir(folder, catalogs) as (_, ports):
                policy = folder / "config/policy/policy.csv"
                policy.with_suffix(".new").write_text(RULES)
                policy.with_suffix(".new").rename(policy)
                time.sleep(3)
                with connect_wire(ports) as connection:
                    for catalog in catalogs:
                        for name, template in QUERIES.items():
                            measure(connection, name.format(catalog), template, catalog, arguments.runs)


def measure(connection, name, template, catalog, runs):
    times = {guess: [] for guess in GUESSES}
    for _ in range(runs):
        for guess, code in GUESSES.items():
            start = time.perf_counter()
            count = connection.execute(template.format(catalog, code)).fetchone()[0]
            times[guess].append(time.perf_counter() - start)
            assert count == 0, (name, guess, count)
    shown = (f"{guess} {statistics.median(found) * 1000:.2f} ms" for guess, found in times.items())
    print(f"{name:22} {', '.join(shown)}")


if __name__ == "__main__":
    main()
