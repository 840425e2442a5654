"""DuckDB's PostgreSQL extension: attach, read tables by COPY, push filters, join with its own tables."""

import duckdb
import duckdb_extensions

from steps import DATABASE, HOST, PASSWORD, PORT, USER, end, equal, step

duckdb_extensions.import_extension("postgres_scanner")
database = duckdb.connect()


def rows(sql):
    return database.execute(sql).fetchall()


@step("attach")
def _():
    database.execute("LOAD postgres_scanner")
    place = f"host={HOST} port={PORT} user={USER} password={PASSWORD} dbname={DATABASE} sslmode=disable"
    database.execute(f"ATTACH '{place}' AS shop (TYPE postgres, READ_ONLY)")


@step("tables are listed")
def _():
    listed = {(schema, name) for _, schema, name, *_ in rows("SHOW ALL TABLES")}
    assert {("public", "plain"), ("sales", "orders"), ("sales", "v_totals")} <= listed, listed


@step("counts")
def _():
    equal(rows("SELECT count(*) FROM shop.public.plain"), [(5000,)])
    equal(rows("SELECT count(*) FROM shop.sales.customer"), [(100,)])


@step("values")
def _():
    (row,) = rows("SELECT a, b, c, f, g, h::text FROM shop.public.plain WHERE a = 7")
    equal(row, (7, "row 7", 10.5, False, 7000000, "7.77"))


@step("filters and a join with a table of its own")
def _():
    database.execute("CREATE TABLE picked AS SELECT unnest([1, 2, 3]) AS id")
    sql = """SELECT p.id, count(*) FROM picked p JOIN shop.sales.orders o ON o.customer_id = p.id
             WHERE o.qty > 0 GROUP BY p.id ORDER BY p.id"""
    equal(rows(sql), [(2, 50), (3, 50)])


@step("a view")
def _():
    equal(rows("SELECT count(*) FROM shop.sales.v_totals"), [(100,)])


@step("a query of PostgreSQL's own")
def _():
    equal(rows("SELECT * FROM postgres_query('shop', 'SELECT max(a) AS m FROM plain')"), [(5000,)])


end()
