"""asyncpg: prepared statements in binary, pages of a portal, types by introspection, errors."""

import asyncio
import datetime
import decimal
import os

import asyncpg


async def main():
    connection = await asyncpg.connect(os.environ["WEIR_DSN"])
    row = await connection.fetchrow("SELECT id, name, credit, since FROM sales.customers WHERE id = $1", 1)
    assert tuple(row) == (1, "Ada", decimal.Decimal("1000.50"), datetime.date(1969, 7, 20)), row
    rows = await connection.fetch("SELECT id, ts, tz, f, ok, u FROM sales.edges ORDER BY id")
    assert len(rows) == 12 and rows[0]["ts"] is None
    assert rows[4]["ts"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), rows[4]
    assert rows[4]["f"] != rows[4]["f"], rows[4]
    async with connection.transaction():
        count = 0
        async for row in connection.cursor("SELECT id, label FROM sales.numbers LIMIT 10000", prefetch=500):
            count += 1
        assert count == 10000, count
    assert await connection.fetchval("SELECT count(*) FROM sales.customers WHERE id < $1", 4) == 3
    try:
        await connection.fetch("SELECT * FROM sales.nosuch")
        raise SystemExit("no error")
    except asyncpg.UndefinedTableError:
        pass
    try:
        await connection.fetchval("SELECT count(nap) FROM sales.naps", timeout=0.5)
        raise SystemExit("not cancelled")
    except (asyncio.TimeoutError, asyncpg.QueryCanceledError):
        pass
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


asyncio.run(main())
print("ok")
