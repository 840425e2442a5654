"""psycopg 3: text and binary, parameters, server-side cursor by pages, COPY, errors, cancel."""

import datetime
import decimal
import os
import threading

import psycopg

dsn = os.environ["WEIR_DSN"]

with psycopg.connect(dsn, autocommit=True) as connection:
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            cursor.execute("SELECT id, name, credit, since FROM sales.customers WHERE id = %s", (1,))
            row = cursor.fetchone()
            assert row == (1, "Ada", decimal.Decimal("1000.50"), datetime.date(1969, 7, 20)), row
            cursor.execute("SELECT id, placed FROM sales.orders WHERE region = %s ORDER BY id", ("EU",))
            rows = cursor.fetchall()
            assert rows[0] == (10, datetime.datetime(2024, 1, 1, 10)), rows
            assert len(rows) == 3, rows
            cursor.execute("SELECT id FROM sales.customers WHERE name = %s", ("it's \\ nobody",))
            assert cursor.fetchall() == []
            cursor.execute("SELECT count(*) FROM sales.orders WHERE amount > %s", (decimal.Decimal("20.5"),))
            assert cursor.fetchone() == (4,)
            cursor.execute("SELECT id FROM sales.orders WHERE placed > %s ORDER BY id", (datetime.datetime(2024, 2, 1),))
            assert [row[0] for row in cursor.fetchall()] == [12, 13]

    with connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT id, name FROM sales.customers ORDER BY id) TO STDOUT") as copy:
            rows = list(copy.rows())
        assert rows[0] == ("1", "Ada") and len(rows) == 5, rows
        try:
            cursor.execute("SELECT * FROM sales.nosuch")
            raise SystemExit("no error")
        except psycopg.errors.UndefinedTable as error:
            assert "sales.nosuch" in str(error)
        try:
            cursor.execute("DELETE FROM sales.customers")
            raise SystemExit("no error")
        except psycopg.errors.ReadOnlySqlTransaction:
            pass
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        try:
            cursor.execute("SELECT count(nap) FROM sales.naps")
            raise SystemExit("not cancelled")
        except psycopg.errors.QueryCanceled:
            pass
        for _ in range(20):
            # psycopg prepares a statement that it meets often.
            cursor.execute("SELECT count(*) FROM sales.customers WHERE id < %s", (4,))
            assert cursor.fetchone() == (3,)
        for batch, row in enumerate(cursor.stream("SELECT id FROM sales.numbers LIMIT 5000")):
            pass
        assert batch == 4999, batch

with psycopg.connect(dsn) as connection:
    with connection.transaction():
        assert connection.execute("SELECT 1").fetchone() == (1,)
print("ok")
