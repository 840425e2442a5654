"""polars with connectorx, and Arrow's PostgreSQL driver: both read by COPY in binary."""

import datetime

import adbc_driver_postgresql.dbapi
import connectorx
import polars

from steps import DSN, end, equal, step


@step("polars reads with connectorx")
def _():
    frame = polars.read_database_uri("SELECT a, b, c, d, e, f, g, h FROM plain ORDER BY a", DSN)
    equal(frame.shape, (5000, 8))
    equal(frame["b"][0], "row 1")
    equal(frame["d"][0], datetime.date(2024, 1, 2))
    equal(frame["e"][0], datetime.datetime(2024, 1, 1, 0, 1))


@step("connectorx by COPY, by a cursor, by text")
def _():
    for protocol in ("binary", "csv", "cursor", "simple"):
        frame = connectorx.read_sql(DSN, "SELECT a, b FROM plain", protocol=protocol, return_type="arrow")
        equal(frame.num_rows, 5000)


@step("connectorx in partitions")
def _():
    frame = connectorx.read_sql(
        DSN, "SELECT a, c FROM plain", partition_on="a", partition_num=3, return_type="arrow"
    )
    equal(frame.num_rows, 5000)
    equal(sorted(frame.column("a").to_pylist())[-1], 5000)


@step("polars reads with ADBC")
def _():
    frame = polars.read_database_uri("SELECT a, b, c, d FROM plain", DSN, engine="adbc")
    equal(frame.shape, (5000, 4))


with adbc_driver_postgresql.dbapi.connect(DSN) as connection:

    @step("ADBC reads Arrow")
    def _():
        with connection.cursor() as cursor:
            cursor.execute("SELECT a, b, c, d, e, f, g FROM plain ORDER BY a")
            table = cursor.fetch_arrow_table()
        equal(table.num_rows, 5000)
        equal([str(field.type) for field in table.schema][:3], ["int32", "string", "double"])

    @step("ADBC passes parameters")
    def _():
        with connection.cursor() as cursor:
            cursor.execute("SELECT b FROM plain WHERE a = $1", (9,))
            equal(cursor.fetchone(), ("row 9",))

    @step("ADBC describes tables")
    def _():
        schema = connection.adbc_get_table_schema("plain", db_schema_filter="public")
        equal(schema.names, ["a", "b", "c", "d", "e", "f", "g", "h"])

    @step("ADBC lists catalogs, schemas, tables")
    def _():
        objects = connection.adbc_get_objects(depth="tables", catalog_filter="shop").read_all().to_pylist()
        schemas = {schema["db_schema_name"]: schema for schema in objects[0]["catalog_db_schemas"]}
        tables = {table["table_name"] for table in schemas["sales"]["db_schema_tables"]}
        assert {"customer", "orders", "v_totals"} <= tables, tables

    @step("ADBC lists columns and constraints")
    def _():
        objects = connection.adbc_get_objects(
            depth="all", catalog_filter="shop", db_schema_filter="sales", table_name_filter="orders"
        )
        (catalog,) = [row for row in objects.read_all().to_pylist() if row["catalog_name"] == "shop"]
        (schema,) = catalog["catalog_db_schemas"]
        (table,) = schema["db_schema_tables"]
        equal(len(table["table_columns"]), 16)
        kinds = sorted(constraint["constraint_type"] for constraint in table["table_constraints"])
        assert "PRIMARY KEY" in kinds and "FOREIGN KEY" in kinds, kinds


end()
