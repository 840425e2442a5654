"""psqlODBC by pyodbc: the catalog functions, types, parameters, escapes, transactions.

The argument is added to the connection string.
"""

import datetime
import decimal
import sys

import pyodbc

from steps import DATABASE, HOST, PASSWORD, PORT, USER, end, equal, step

pyodbc.pooling = False
place = (
    f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={PORT};Database={DATABASE};"
    f"Uid={USER};Pwd={PASSWORD};SSLmode=disable;{sys.argv[1]}"
)
connection = pyodbc.connect(place, timeout=20, autocommit=True)


def rows(sql, *values):
    return connection.cursor().execute(sql, *values).fetchall()


def columns(cursor, name):
    return [getattr(row, name) for row in cursor.fetchall()]


@step("tables")
def _():
    listed = columns(connection.cursor().tables(schema="sales", tableType="TABLE,VIEW"), "table_name")
    assert {"customer", "orders", "v_totals"} <= set(listed), listed
    assert "plain" in columns(connection.cursor().tables(), "table_name")


@step("columns")
def _():
    equal(columns(connection.cursor().columns(table="plain"), "column_name"), list("abcdefgh"))
    equal(len(connection.cursor().columns(table="orders", schema="sales").fetchall()), 16)


@step("keys")
def _():
    equal(columns(connection.cursor().primaryKeys("orders", schema="sales"), "column_name"), ["id"])
    keys = connection.cursor().foreignKeys(foreignTable="orders", foreignSchema="sales").fetchall()
    equal([(key.pktable_name, key.fkcolumn_name) for key in keys], [("customer", "customer_id")])


@step("statistics, special columns, procedures, types")
def _():
    connection.cursor().statistics("orders", schema="sales").fetchall()
    connection.cursor().rowIdColumns("orders", schema="sales").fetchall()
    connection.cursor().procedures(schema="sales").fetchall()
    assert len(connection.cursor().getTypeInfo().fetchall()) > 10


@step("a row of every plain type")
def _():
    row = tuple(rows("SELECT a, b, c, d, e, g, h FROM plain ORDER BY a LIMIT 1")[0])
    moment = datetime.datetime(2024, 1, 1, 0, 1)
    equal(row[:5], (1, "row 1", 1.5, datetime.date(2024, 1, 2), moment))
    equal((int(row[5]), row[6]), (1000000, decimal.Decimal("1.11")))


@step("all rows")
def _():
    equal(len(rows("SELECT * FROM plain")), 5000)


@step("parameters")
def _():
    sql = "SELECT b FROM plain WHERE a = ? AND d > ? AND b <> ?"
    equal([tuple(row) for row in rows(sql, 9, datetime.date(2024, 1, 1), "x")], [("row 9",)])
    sql = "SELECT count(*) FROM plain WHERE h > ? AND e > ?"
    equal(int(rows(sql, decimal.Decimal("1.2"), datetime.datetime(2024, 1, 1))[0][0]), 4999)


@step("a prepared statement, again and again")
def _():
    cursor = connection.cursor()
    found = [cursor.execute("SELECT b FROM plain WHERE a = ?", number).fetchone()[0] for number in range(1, 6)]
    equal(found, [f"row {number}" for number in range(1, 6)])


@step("ODBC's escapes")
def _():
    sql = (
        "SELECT {fn ucase(b)}, {d '2024-01-01'}, {ts '2024-01-01 00:00:00'}, {fn concat(b, 'x')}, "
        "{fn length(b)}, {fn year(d)} FROM plain WHERE a = 1"
    )
    (row,) = rows(sql)
    equal((row[0], row[1], row[3], row[4]), ("ROW 1", datetime.date(2024, 1, 1), "row 1x", 5))


@step("the description of a result")
def _():
    described = connection.cursor().execute("SELECT a, b, h, e FROM plain LIMIT 1").description
    equal([column[0] for column in described], ["a", "b", "h", "e"])
    equal((described[2][4], described[2][5]), (10, 2))


@step("transactions")
def _():
    other = pyodbc.connect(place, autocommit=False)
    other.cursor().execute("SELECT 1").fetchall()
    other.commit()
    other.cursor().execute("SELECT a FROM plain").fetchmany(10)
    other.rollback()
    other.close()


@step("an error says its SQLSTATE, and the next statement runs")
def _():
    try:
        rows("SELECT * FROM nope")
        raise AssertionError("no error")
    except pyodbc.Error as error:
        equal(error.args[0], "42P01")
    equal(int(rows("SELECT 5")[0][0]), 5)


@step("a failed statement in a transaction is rolled back alone")
def _():
    other = pyodbc.connect(place, autocommit=False)
    other.cursor().execute("SELECT 1").fetchall()
    try:
        other.cursor().execute("SELECT * FROM nope")
    except pyodbc.Error:
        pass
    equal(int(other.cursor().execute("SELECT 6").fetchone()[0]), 6)
    other.rollback()
    other.close()


@step("arrays, uuid, bytes")
def _():
    tags, meta = rows("SELECT tags, meta FROM sales.customer ORDER BY id LIMIT 1")[0]
    equal(tags, "{a,b}")
    raw, st = rows("SELECT raw, st FROM sales.orders ORDER BY id LIMIT 1")[0]
    equal((raw, st), (b"\xde\xad\xbe\xef", "paid"))


end()
