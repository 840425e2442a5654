"""ADBC over Arrow Flight SQL: login, Arrow results, metadata, errors."""

import os

import adbc_driver_flightsql.dbapi
import pyarrow

options = {"username": os.environ["WEIR_USER"], "password": os.environ["WEIR_PASSWORD"]}
with adbc_driver_flightsql.dbapi.connect(os.environ["WEIR_FLIGHT"], db_kwargs=options) as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, name, credit FROM sales.public.customers ORDER BY id")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 5, table
        assert table.column("name").to_pylist()[0] == "Ada", table
        assert pyarrow.types.is_decimal(table.schema.field("credit").type), table.schema
        cursor.execute("SELECT count(*) AS n FROM sales.public.numbers")
        assert cursor.fetchone() == (2000000,)
        for sql in ("SELECT * FROM sales.public.nosuch", "DELETE FROM sales.public.customers"):
            try:
                cursor.execute(sql)
                cursor.fetchall()
            except adbc_driver_flightsql.dbapi.Error as error:
                assert "internal" not in str(error), error
            else:
                raise SystemExit(f"no error: {sql}")
    objects = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    catalogs = {catalog["catalog_name"] for catalog in objects}
    assert {"sales", "lake"} <= catalogs, catalogs
print("ok")
