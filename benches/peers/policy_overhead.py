#!/usr/bin/env python3
"""What a policy costs: weir with rules against weir where the user writes the same filter himself.

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install duckdb==1.5.5 duckdb-extension-postgres-scanner tpchgen-cli \
        pyarrow adbc-driver-flightsql adbc-driver-manager psycopg[binary]
    cargo build --release
    /tmp/peers/bin/python benches/peers/policy_overhead.py [--scale 1] [--runs 9]

Over one Parquet file, TPC-H lineitem, made once and kept in --cache. A run is one query of a user
and of the one he is compared with, in turns. What counts is the processor time that the server took
for all runs, which hardly depends on what else the machine does. Users:

    plain     is granted the tables, and nothing else is said
    filtered  has a row filter that every row passes
    masked    has masks on columns that the query does not read
    guarded   has both

The same weir then reads a policy of 1,000 rules more (roles, tables, tags), and plans a join of four
tables by EXPLAIN, which reads nothing: before and after, as the same user.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psycopg

from servers import PASSWORD, local_catalog, weir, weir_program

FILTER = "l_quantity >= 0"
QUERIES = {
    "scan and sum": "SELECT sum(l_extendedprice), count(*) FROM lake.lineitem{where}",
    "group": """SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), count(*)
        FROM lake.lineitem{where} GROUP BY l_returnflag, l_linestatus""",
    "selective": "SELECT count(*) FROM lake.lineitem WHERE {and}l_partkey < 1000",
    "join": """SELECT count(*), sum(l_extendedprice) FROM lake.lineitem JOIN lake.orders
        ON l_orderkey = o_orderkey WHERE {and}o_orderdate < DATE '1992-03-01'""",
}
# Each with whom it is compared, who writes the filter himself where there is one.
USERS = {
    "filtered": ("plain", True),
    "masked": ("plain", False),
    "guarded": ("plain", True),
}
FOUR_TABLES = """SELECT n_name, sum(l_extendedprice) FROM lake.lineitem, lake.orders, lake.customer, lake.nation
    WHERE l_orderkey = o_orderkey AND o_custkey = c_custkey AND c_nationkey = n_nationkey
      AND l_quantity >= 0 GROUP BY n_name"""
RULES = "p, role:bench, *, *, select, , allow\np, role:bench, *, *, explain_remote, , allow\n" + "".join(
    f"p, role:{user}, *, *, select, , allow\np, role:{user}, *, *, explain_remote, , allow\n"
    for user in ("plain", "filtered", "masked", "guarded"))
RULES += "".join(
    f"p, role:{user}, *, lake.public.lineitem, restrict, {FILTER}, allow\n"
    for user in ("filtered", "guarded"))
RULES += "".join(
    f"p, role:{user}, *, lake.public.lineitem.{column}, mask, {mask}, allow\n"
    for user in ("masked", "guarded") for column, mask in (("l_comment", "hmac"), ("l_shipinstruct", "null")))


def many_rules():
    """1,000 rules for other roles, tables and columns, and a part of them for the one who asks."""
    lines = []
    for number in range(400):
        lines.append(f"p, role:team_{number}, *, lake.public.table_{number}, select, , allow")
        lines.append(f"p, role:team_{number}, *, lake.public.orders, restrict, o_orderkey <> {number}, allow")
    for number in range(100):
        lines.append(f"g2, lake.public.customer.c_extra_{number}, tag:kind_{number}")
        lines.append(f"p, role:public, *, tag:kind_{number}, mask, null, allow")
    for number in range(100):
        lines.append(f"p, role:filtered, *, lake.public.nation.extra_{number}, select, , deny")
    return "\n".join(lines) + "\n"


def generate(arguments):
    folder = arguments.cache / f"tpch-{arguments.scale:g}" / "parquet"
    if not (folder / "lineitem.parquet").exists():
        tool = pathlib.Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run([tool, "parquet", "-s", str(arguments.scale), "--output-dir", str(folder)],
                       check=True, stdout=subprocess.DEVNULL)
    return folder


def connect(ports, user):
    return psycopg.connect(host="127.0.0.1", port=ports[0], user=user, dbname="weir",
                           password=PASSWORD, autocommit=True)


def processor(pid):
    """Seconds of all threads of a process, those that have ended too."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds(pid, connection, sql):
    start = processor(pid)
    rows = connection.execute(sql).fetchall()
    return processor(pid) - start, rows


def measure(pid, connections, template, runs):
    """Of each user the seconds of the one that it is compared with, and its own, for one query."""
    own = template.format(**{"where": "", "and": ""})
    written = template.format(**{"where": f" WHERE {FILTER}", "and": f"{FILTER} AND "})
    times = {user: [] for user in USERS}
    for run in range(runs + 1):
        for user, (base, writes) in USERS.items():
            contenders = [(base, written if writes else own), (user, own)]
            measured = {}
            # Whoever comes second finds warmer caches.
            for name, sql in contenders if run % 2 else reversed(contenders):
                measured[name] = seconds(pid, connections[name], sql)
            if sorted(measured[base][1]) != sorted(measured[user][1]):
                sys.exit(f"{user} and {base} differ: {measured}")
            # The first run fills caches.
            if run:
                times[user].append((measured[base][0], measured[user][0]))
    return {user: tuple(sum(column) / runs for column in zip(*times[user])) for user in USERS}


def planning(pid, ports, user, runs):
    """Milliseconds of one EXPLAIN, whose plan is made anew each time."""
    with connect(ports, user) as connection:
        for run in range(runs + runs // 10):
            if run == runs // 10:
                start = processor(pid)
            connection.execute("EXPLAIN " + FOUR_TABLES).fetchall()
        return (processor(pid) - start) / runs * 1000


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scale", type=float, default=1)
    arguments.add_argument("--runs", type=int, default=9)
    arguments.add_argument("--plans", type=int, default=300)
    arguments.add_argument("--cache", type=pathlib.Path,
                           default=pathlib.Path.home() / ".cache/weir/bench")
    arguments = arguments.parse_args()
    data = generate(arguments)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = pathlib.Path(temporary)
        pid, ports = stack.enter_context(weir(folder, {"lake": local_catalog(data)}))
        options = ["--config", str(folder / "config/weir.toml")]
        for user in ("plain", *USERS):
            subprocess.run([weir_program(), "user", "add", user, "--role", user, "--tenant", "bench",
                            "--password-stdin", *options], input=PASSWORD + "\n", text=True,
                           check=True, stdout=subprocess.DEVNULL)
        policy = folder / "config/policy/policy.csv"
        replace(policy, RULES)
        connections = {user: stack.enter_context(connect(ports, user)) for user in ("plain", *USERS)}
        rows = seconds(pid, connections["plain"], "SELECT count(*) FROM lake.lineitem")[1][0][0]
        print(f"lineitem: {rows} rows in one Parquet file, processor time, mean of {arguments.runs} runs")
        for name, template in QUERIES.items():
            for user, (base, own) in measure(pid, connections, template, arguments.runs).items():
                print(f"  {name:13} {user:9} {own * 1000:8.1f} ms, plain {base * 1000:8.1f} ms, "
                      f"{(own / base - 1) * 100:+5.1f} %")
        print(f"planning of a join of four tables (EXPLAIN, processor time, mean of {arguments.plans})")
        few = {user: planning(pid, ports, user, arguments.plans) for user in ("plain", "filtered")}
        replace(policy, RULES + many_rules())
        many = {user: planning(pid, ports, user, arguments.plans) for user in few}
        for user in few:
            print(f"  {user:9} {few[user]:6.2f} ms, with 1,000 rules more {many[user]:6.2f} ms, "
                  f"{many[user] - few[user]:+5.2f} ms")


def replace(policy, text):
    """Puts a policy in place, and waits until it is in force."""
    new = policy.with_suffix(".new")
    new.write_text(text)
    new.rename(policy)
    time.sleep(3)


if __name__ == "__main__":
    main()
