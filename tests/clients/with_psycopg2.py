"""psycopg 2: types, parameters, errors, transactions, COPY, cancel; the extras that read the catalog."""

import datetime
import decimal
import io
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extras

from steps import DSN, end, equal, step

connection = psycopg2.connect(DSN)
connection.autocommit = True
cursor = connection.cursor()


def one(sql, values=None):
    cursor.execute(sql, values)
    return cursor.fetchone()


@step("a row of every plain type")
def _():
    row = one("SELECT a, b, c, d, e, f, g, h FROM plain ORDER BY a LIMIT 1")
    moment = datetime.datetime(2024, 1, 1, 0, 1)
    equal(row, (1, "row 1", 1.5, datetime.date(2024, 1, 2), moment, False, 1000000, decimal.Decimal("1.11")))


@step("arrays, json, uuid, bytes, intervals")
def _():
    tags, meta = one("SELECT tags, meta FROM sales.customer ORDER BY id LIMIT 1")
    equal((tags, meta), (["a", "b"], {"k": 1}))
    raw, iv, t, st = one("SELECT raw, iv, t, st FROM sales.orders ORDER BY id LIMIT 1")
    equal(bytes(raw), b"\xde\xad\xbe\xef")
    equal((iv, t, st), (datetime.timedelta(days=1, hours=2), datetime.time(10, 11, 12), "paid"))


@step("parameters of many types")
def _():
    equal(one("SELECT b FROM plain WHERE a = %s", (9,)), ("row 9",))
    values = ("x", datetime.date(2024, 1, 1), decimal.Decimal("1.5"), datetime.datetime(2024, 1, 1), True, 1.5)
    sql = "SELECT count(*) FROM plain WHERE b <> %s AND d > %s AND h > %s AND e > %s AND f = %s AND c > %s"
    equal(one(sql, values), (2494,))
    equal(one("SELECT %s::text", ("it's \\ here",)), ("it's \\ here",))


@step("lists as parameters")
def _():
    equal(one("SELECT count(*) FROM plain WHERE a = ANY(%s)", ([1, 2, 3],)), (3,))
    equal(one("SELECT count(*) FROM plain WHERE a IN %s", ((1, 2, 3),)), (3,))


@step("description has names and types")
def _():
    cursor.execute("SELECT a, b, h FROM plain LIMIT 0")
    described = [(column.name, column.type_code) for column in cursor.description]
    equal(described, [("a", 23), ("b", 25), ("h", 1700)])
    equal((cursor.description[2].precision, cursor.description[2].scale), (10, 2))


@step("all rows")
def _():
    cursor.execute("SELECT a, b FROM plain")
    equal(len(cursor.fetchall()), 5000)
    equal(cursor.rowcount, 5000)


@step("rows as dictionaries and named tuples")
def _():
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as other:
        other.execute("SELECT a, b FROM plain WHERE a = 1")
        equal(dict(other.fetchone()), {"a": 1, "b": "row 1"})
    with connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as other:
        other.execute("SELECT a, b FROM plain WHERE a = 2")
        equal(other.fetchone().b, "row 2")


@step("COPY out as text and as CSV")
def _():
    out = io.StringIO()
    cursor.copy_to(out, "plain", columns=("a", "b"))
    equal(len(out.getvalue().splitlines()), 5000)
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT a, b FROM plain WHERE a < 3 ORDER BY a) TO STDOUT WITH CSV HEADER", out)
    equal(out.getvalue(), "a,b\n1,row 1\n2,row 2\n")


@step("an error says its SQLSTATE, and the next statement runs")
def _():
    try:
        cursor.execute("SELECT * FROM nope")
    except psycopg2.errors.UndefinedTable as error:
        equal(error.pgcode, "42P01")
    else:
        raise AssertionError("no error")
    equal(one("SELECT 5::int"), (5,))


@step("a failed transaction waits for its end")
def _():
    with psycopg2.connect(DSN) as other, other.cursor() as inner:
        try:
            inner.execute("SELECT nope FROM plain")
        except psycopg2.errors.UndefinedColumn:
            pass
        try:
            inner.execute("SELECT 1")
            raise AssertionError("no error")
        except psycopg2.errors.InFailedSqlTransaction:
            pass
        other.rollback()
        inner.execute("SELECT 2::int")
        equal(inner.fetchone(), (2,))


@step("savepoints")
def _():
    with psycopg2.connect(DSN) as other, other.cursor() as inner:
        inner.execute("SAVEPOINT s")
        try:
            inner.execute("SELECT * FROM nope")
        except psycopg2.Error:
            inner.execute("ROLLBACK TO SAVEPOINT s")
        inner.execute("SELECT 3::int")
        equal(inner.fetchone(), (3,))


@step("isolation level and read only")
def _():
    with psycopg2.connect(DSN) as other, other.cursor() as inner:
        other.set_session(isolation_level="REPEATABLE READ", readonly=True)
        inner.execute("SELECT count(*) FROM plain")
        equal(inner.fetchone(), (5000,))


@step("parameters of the connection")
def _():
    equal(connection.get_parameter_status("server_encoding"), "UTF8")
    assert connection.server_version >= 150000, connection.server_version
    equal(one("SELECT pg_backend_pid()"), (connection.info.backend_pid,))
    equal(one("SELECT current_setting('server_version_num')::int / 10000"), (15,))


@step("settings inside a query")
def _():
    equal(one("SELECT set_config('app.user', 'ann', false)"), ("ann",))
    equal(one("SELECT current_setting('app.user')"), ("ann",))


@step("a statement is cancelled")
def _():
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    try:
        cursor.execute("SELECT count(*) FROM plain a, plain b, plain c WHERE a.c + b.c * c.c > 3")
        raise AssertionError("not cancelled")
    except psycopg2.errors.QueryCanceled:
        pass
    equal(one("SELECT 7::int"), (7,))


@step("writing is refused")
def _():
    try:
        cursor.execute("INSERT INTO plain (a) VALUES (1)")
        raise AssertionError("no error")
    except psycopg2.errors.ReadOnlySqlTransaction:
        pass


end()
