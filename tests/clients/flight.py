"""Arrow Flight SQL as the clients of Python speak it: pyarrow and the ADBC driver.

    pip install pyarrow adbc-driver-flightsql adbc-driver-manager
    python flight.py HOST PORT USER PASSWORD [--tls-roots PEM] [--server-pid PID]

The user must see at least one table. Ends with 0 if every check holds, and names the one that does
not. With the server's process id, its memory is watched while a big result is read slowly.
"""

import argparse
import base64
import sys
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow
import pyarrow.flight

Options = adbc_driver_flightsql.DatabaseOptions


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--tls-roots")
    parser.add_argument("--server-pid", type=int)
    arguments = parser.parse_args()
    scheme = "grpc+tls" if arguments.tls_roots else "grpc"
    arguments.uri = f"{scheme}://{arguments.host}:{arguments.port}"
    arguments.roots = open(arguments.tls_roots, "rb").read() if arguments.tls_roots else None
    return arguments


def connect(arguments, password=None, headers=()):
    options = {
        "username": arguments.user,
        "password": arguments.password if password is None else password,
    }
    if arguments.roots:
        options[Options.TLS_ROOT_CERTS.value] = arguments.roots.decode()
    for name, value in headers:
        options[Options.RPC_CALL_HEADER_PREFIX.value + name] = value
    return adbc_driver_flightsql.dbapi.connect(arguments.uri, db_kwargs=options, autocommit=True)


def fails(work, *words):
    """Runs what must fail, and looks for the words in what it says."""
    try:
        work()
    except (adbc_driver_manager.Error, pyarrow.ArrowException) as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in {error}"
        return
    raise AssertionError(f"did not fail with {words}")


def logins(arguments):
    with connect(arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]

    def wrong():
        with connect(arguments, password="wrong") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    fails(wrong, "authentication failed", "28000")


def values(arguments):
    with connect(arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a, 'é' AS b, NULL AS c, 1.50 AS d, DATE '2024-02-29' AS e")
        table = cursor.fetch_arrow_table()
        assert table.column_names == ["a", "b", "c", "d", "e"], table.schema
        row = [str(value) for value in table.to_pylist()[0].values()]
        assert row == ["1", "é", "None", "1.50", "2024-02-29"], row
        cursor.execute("SELECT 1 AS a WHERE false")
        table = cursor.fetch_arrow_table()
        assert (table.num_rows, table.column_names) == (0, ["a"])


def parameters(arguments):
    with connect(arguments) as connection, connection.cursor() as cursor:
        query = "SELECT value FROM generate_series(1, 10) WHERE value > $1 AND 'x' = $2"
        for values, expected in [((7, "x"), [8, 9, 10]), ((9, "x"), [10]), ((1, "' OR 1=1"), [])]:
            cursor.execute(query, values)
            assert [row[0] for row in cursor.fetchall()] == expected, values
        cursor.execute(query, (None, "x"))
        assert cursor.fetchall() == []
        fails(lambda: cursor.execute(query, (1,)), "1 values were bound")
    with connect(arguments) as connection, connection.cursor() as cursor:
        fails(lambda: cursor.execute(query), "0 values were bound")


def metadata(arguments):
    with connect(arguments) as connection:
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "weir", info
        assert connection.adbc_get_table_types() == [
            "FOREIGN TABLE",
            "MATERIALIZED VIEW",
            "TABLE",
            "VIEW",
        ]
        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        tables = [
            (catalog["catalog_name"], schema["db_schema_name"], table)
            for catalog in objects
            for schema in catalog["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        ]
        assert tables, "the user sees no table"
        for catalog, schema, table in tables:
            name = table["table_name"]
            columns = [column["column_name"] for column in table["table_columns"]]
            found = connection.adbc_get_table_schema(
                name, catalog_filter=catalog, db_schema_filter=schema
            )
            assert found.names == columns, (name, found.names, columns)
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT * FROM "{catalog}"."{schema}"."{name}" LIMIT 2')
                rows = cursor.fetch_arrow_table()
                assert rows.column_names == columns, (name, rows.column_names, columns)
        catalog = tables[0][0]
        filtered = connection.adbc_get_objects(depth="catalogs", catalog_filter=catalog)
        assert [row["catalog_name"] for row in filtered.read_all().to_pylist()] == [catalog]


def errors(arguments):
    with connect(arguments) as connection, connection.cursor() as cursor:
        for statement, words in [
            ("SELEC 1", ["42601"]),
            ("SELECT * FROM no_such_table", ["42P01", "no_such_table"]),
            ("SELECT nothing FROM (SELECT 1 AS a) t", ["42703"]),
            ("CREATE TABLE t (a int)", ["25006"]),
            ("DELETE FROM t", ["25006"]),
            ("SELECT 1; SELECT 2", ["42601", "multiple"]),
            ("SET search_path = x", ["0A000", "header"]),
        ]:
            fails(lambda statement=statement: cursor.execute(statement), *words)
        cursor.execute("SELECT 1 / (500000 - value) AS a FROM generate_series(1, 1000000)")
        fails(cursor.fetch_arrow_table, "22012")
        cursor.execute("SELECT 2")
        assert cursor.fetchall() == [(2,)]
    headers = [("statement_timeout", "1")]
    with connect(arguments, headers=headers) as connection, connection.cursor() as cursor:

        def slow():
            cursor.execute("SELECT count(*) FROM generate_series(1, 4000000000)")
            cursor.fetchall()

        fails(slow, "57014")


BIG = """
SELECT a, b, repeat('x', 200) AS pad
FROM (SELECT value AS a FROM generate_series(1, 100000)) x
CROSS JOIN (SELECT value AS b FROM generate_series(1, 100000)) y
"""


def resident_megabytes(pid):
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


def big_results(arguments):
    """A result that nobody reads takes no memory; one that is left ends its query."""
    with connect(arguments) as connection:
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute(BIG)
                reader = cursor.fetch_record_batch()
                rows, peak = 0, []
                while rows < 500_000:
                    rows += reader.read_next_batch().num_rows
                if arguments.server_pid:
                    for _ in range(5):
                        peak.append(resident_megabytes(arguments.server_pid))
                        time.sleep(0.4)
                    assert max(peak) - min(peak) < 64, f"memory grows while nobody reads: {peak}"
                cursor.adbc_cancel()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(value) FROM generate_series(1, 3000000)")
            assert cursor.fetchall() == [(3_000_000, 4_500_001_500_000)]
            cursor.execute("SELECT value FROM generate_series(1, 3000000)")
            total = sum(batch.num_rows for batch in cursor.fetch_record_batch())
            assert total == 3_000_000, total


def pyarrow_client(arguments):
    client = pyarrow.flight.FlightClient(arguments.uri, tls_root_certs=arguments.roots)
    fails(lambda: list(client.list_actions()), "authentication failed")
    fails(lambda: client.authenticate_basic_token(arguments.user, "wrong"), "authentication failed")
    token = client.authenticate_basic_token(arguments.user, arguments.password)
    options = pyarrow.flight.FlightCallOptions(headers=[token])
    names = {action.type for action in client.list_actions(options)}
    assert names == {"CreatePreparedStatement", "ClosePreparedStatement"}, names

    plain = base64.b64encode(f"{arguments.user}:{arguments.password}".encode())
    basic = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + plain)])
    for options in (options, basic):
        descriptor = pyarrow.flight.FlightDescriptor.for_command(statement_query("SELECT 1 AS a"))
        info = client.get_flight_info(descriptor, options)
        table = client.do_get(info.endpoints[0].ticket, options).read_all()
        assert table.to_pydict() == {"a": [1]} and table.schema.equals(info.schema)
        ticket = bytearray(info.endpoints[0].ticket.ticket)
        ticket[-1] ^= 1
        forged = pyarrow.flight.Ticket(bytes(ticket))
        fails(lambda: client.do_get(forged, options).read_all(), "invalid ticket")


def statement_query(sql):
    """`CommandStatementQuery` inside `google.protobuf.Any`; pyarrow has no Flight SQL."""

    def field(number, data):
        assert len(data) < 128
        return bytes([number << 3 | 2, len(data)]) + data

    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return field(1, name) + field(2, field(1, sql.encode()))


def main():
    arguments = parse_arguments()
    checks = [logins, values, parameters, metadata, errors, pyarrow_client, big_results]
    failed = 0
    for check in checks:
        try:
            check(arguments)
            print(f"ok {check.__name__}")
        except Exception as error:
            failed += 1
            print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
