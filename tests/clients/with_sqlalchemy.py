"""SQLAlchemy and pandas: the inspector, reflection, queries; over the driver that is named."""

import datetime
import decimal
import sys

import pandas
import sqlalchemy
from sqlalchemy import func, select

from steps import DATABASE, HOST, PASSWORD, PORT, USER, end, equal, step

url = sqlalchemy.URL.create(f"postgresql+{sys.argv[1]}", USER, PASSWORD, HOST, int(PORT), DATABASE)
engine = sqlalchemy.create_engine(url)
inspector = sqlalchemy.inspect(engine)


@step("the server's version")
def _():
    with engine.connect() as connection:
        assert connection.dialect.server_version_info >= (15,), connection.dialect.server_version_info


@step("schemas")
def _():
    equal(sorted(inspector.get_schema_names()), ["hr", "information_schema", "public", "sales"])


@step("tables and views")
def _():
    equal(inspector.get_table_names(), ["plain"])
    equal(sorted(inspector.get_table_names(schema="sales")), ["customer", "orders"])
    equal(inspector.get_view_names(schema="sales"), ["v_totals"])
    equal(inspector.get_materialized_view_names(schema="sales"), ["mv_daily"])
    assert inspector.has_table("orders", schema="sales") and not inspector.has_table("nope")


@step("columns with their types")
def _():
    columns = {column["name"]: column for column in inspector.get_columns("plain")}
    equal(list(columns), ["a", "b", "c", "d", "e", "f", "g", "h"])
    equal(str(columns["h"]["type"]), "NUMERIC(10, 2)")
    equal(str(columns["e"]["type"]), "TIMESTAMP")
    columns = {column["name"]: column for column in inspector.get_columns("customer", schema="sales")}
    equal(str(columns["name"]["type"]), "VARCHAR(80)")
    assert not columns["id"]["nullable"]
    equal(columns["name"]["comment"], "Full name")


@step("primary keys")
def _():
    key = inspector.get_pk_constraint("orders", schema="sales")
    equal((key["constrained_columns"], key["name"]), (["id"], "orders_pkey"))
    equal(inspector.get_pk_constraint("plain")["constrained_columns"], [])


@step("foreign keys")
def _():
    (key,) = inspector.get_foreign_keys("orders", schema="sales")
    equal(key["constrained_columns"], ["customer_id"])
    equal((key["referred_schema"], key["referred_table"], key["referred_columns"]), ("sales", "customer", ["id"]))


@step("unique constraints and indexes")
def _():
    indexes = {index["name"] for index in inspector.get_indexes("orders", schema="sales")}
    assert "orders_uid_uq" in indexes or inspector.get_unique_constraints("orders", schema="sales"), indexes


@step("comments and checks")
def _():
    equal(inspector.get_table_comment("orders", schema="sales"), {"text": "Orders placed"})
    inspector.get_check_constraints("orders", schema="sales")


@step("many tables at once")
def _():
    columns = inspector.get_multi_columns(schema="sales")
    assert len(columns[("sales", "orders")]) == 16, columns.keys()
    inspector.get_multi_pk_constraint(schema="sales")
    inspector.get_multi_foreign_keys(schema="sales")
    inspector.get_multi_indexes(schema="sales")


@step("sequences, enums, options")
def _():
    inspector.get_sequence_names(schema="hr")
    inspector.get_enums(schema="sales")
    inspector.get_table_options("orders", schema="sales")


@step("reflection, and a query over it")
def _():
    metadata = sqlalchemy.MetaData()
    metadata.reflect(engine, schema="sales")
    orders, customer = metadata.tables["sales.orders"], metadata.tables["sales.customer"]
    query = (
        select(customer.c.name, func.sum(orders.c.amount).label("total"))
        .join(customer, orders.c.customer_id == customer.c.id)
        .where(orders.c.qty > 10, customer.c.id.between(9, 13))
        .group_by(customer.c.name)
        .order_by(customer.c.name)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    equal(rows, [("cust 12", decimal.Decimal("153812.50")), ("cust 13", decimal.Decimal("153875.00"))])


@step("a row of every plain type")
def _():
    metadata = sqlalchemy.MetaData()
    plain = sqlalchemy.Table("plain", metadata, autoload_with=engine)
    with engine.connect() as connection:
        row = connection.execute(select(plain).where(plain.c.a == 1)).one()
    moment = datetime.datetime(2024, 1, 1, 0, 1)
    wanted = (1, "row 1", 1.5, datetime.date(2024, 1, 2), moment, False, 1000000, decimal.Decimal("1.11"))
    equal(tuple(row), wanted)


@step("lists, limits, casts")
def _():
    plain = sqlalchemy.table("plain", sqlalchemy.column("a"), sqlalchemy.column("b"))
    with engine.connect() as connection:
        equal(len(connection.execute(select(plain).where(plain.c.a.in_([1, 2, 3]))).all()), 3)
        equal(len(connection.execute(select(plain).order_by(plain.c.a).limit(7).offset(2)).all()), 7)
        text = connection.execute(select(sqlalchemy.cast(plain.c.a, sqlalchemy.Text)).limit(1)).scalar()
        assert isinstance(text, str), text


@step("autocommit and isolation")
def _():
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        equal(connection.execute(sqlalchemy.text("SELECT count(*) FROM plain")).scalar(), 5000)


@step("pandas reads a query, in pieces too")
def _():
    frame = pandas.read_sql("SELECT * FROM plain ORDER BY a", engine)
    equal((len(frame), frame["b"][0]), (5000, "row 1"))
    equal(sum(len(piece) for piece in pandas.read_sql("SELECT a FROM plain", engine, chunksize=1000)), 5000)


@step("pandas reads a table")
def _():
    frame = pandas.read_sql_table("plain", engine)
    equal(len(frame), 5000)
    equal(str(frame["e"].dtype)[:8], "datetime")


@step("pandas passes parameters")
def _():
    query = sqlalchemy.text("SELECT a FROM plain WHERE a < :bound")
    equal(len(pandas.read_sql(query, engine, params={"bound": 10})), 9)


end()
