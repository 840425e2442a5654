// node-postgres: types, parameters, named statements, cursors and streams over portals, errors, cancel.
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');

const place = {
  host: '127.0.0.1',
  port: Number(process.env.WEIR_PORT),
  user: process.env.WEIR_USER,
  password: process.env.WEIR_PASSWORD,
  database: process.env.WEIR_DATABASE,
};
let right = 0;
let all = 0;

async function step(name, run) {
  all += 1;
  try {
    await run();
    right += 1;
  } catch (error) {
    console.log(`WRONG ${name}\n${error.stack}`);
  }
}

async function refused(promise, code) {
  try {
    await promise;
  } catch (error) {
    assert.strictEqual(error.code, code, error.message);
    return;
  }
  throw new Error('no error');
}

async function main() {
  const client = new Client(place);
  await client.connect();
  const rows = async (...query) => (await client.query(...query)).rows;

  await step('a row of every plain type', async () => {
    const [row] = await rows('SELECT a, b, c, d, e, f, g, h FROM plain ORDER BY a LIMIT 1');
    assert.deepStrictEqual(
      [row.a, row.b, row.c, row.f, row.g, row.h], [1, 'row 1', 1.5, false, '1000000', '1.11']);
    assert.ok(row.d instanceof Date && row.e instanceof Date);
  });
  await step('parameters of many types', async () => {
    assert.deepStrictEqual(await rows('SELECT b FROM plain WHERE a = $1', [9]), [{ b: 'row 9' }]);
    const values = ['x', new Date('2024-01-01'), '1.5', new Date('2024-01-01'), true, 1.5];
    const sql = 'SELECT count(*) FROM plain WHERE b <> $1 AND d > $2 AND h > $3 AND e > $4 AND f = $5 AND c > $6';
    assert.strictEqual((await rows(sql, values)).length, 1);
    assert.deepStrictEqual(await rows('SELECT $1::text AS t', [null]), [{ t: null }]);
  });
  await step('an array as a parameter', async () => {
    const sql = 'SELECT count(*)::int AS n FROM plain WHERE a = ANY($1)';
    assert.deepStrictEqual(await rows(sql, [[1, 2, 3]]), [{ n: 3 }]);
    assert.deepStrictEqual(await rows(sql.replace('$1', '$1::int[]'), [[1, 2]]), [{ n: 2 }]);
  });
  await step('a named statement, again and again', async () => {
    for (const number of [1, 2, 3]) {
      const query = { name: 'by_a', text: 'SELECT b FROM plain WHERE a = $1', values: [number] };
      assert.deepStrictEqual(await rows(query), [{ b: `row ${number}` }]);
    }
  });
  await step('binary results', async () => {
    const query = { text: 'SELECT a, b FROM plain WHERE a = $1', values: [1], binary: true };
    assert.deepStrictEqual(await rows(query), [{ a: 1, b: 'row 1' }]);
  });
  await step('a cursor', async () => {
    const cursor = client.query(new Cursor('SELECT a, b FROM plain'));
    let count = 0;
    for (let page = await cursor.read(500); page.length; page = await cursor.read(500)) count += page.length;
    await cursor.close();
    assert.strictEqual(count, 5000);
  });
  await step('a cursor that is closed early', async () => {
    const cursor = client.query(new Cursor('SELECT a FROM plain'));
    assert.strictEqual((await cursor.read(10)).length, 10);
    await cursor.close();
    assert.deepStrictEqual(await rows('SELECT 2::int AS y'), [{ y: 2 }]);
  });
  await step('a stream', async () => {
    const stream = client.query(new QueryStream('SELECT a FROM plain WHERE a > $1', [0], { batchSize: 300 }));
    let count = 0;
    for await (const row of stream) count += row.a > 0 ? 1 : 0;
    assert.strictEqual(count, 5000);
  });
  await step('fields say their types', async () => {
    const { fields } = await client.query({ text: 'SELECT a, h FROM plain LIMIT 1', rowMode: 'array' });
    assert.deepStrictEqual(fields.map((field) => [field.name, field.dataTypeID]), [['a', 23], ['h', 1700]]);
  });
  await step('several statements in one message', async () => {
    const results = await client.query('SELECT 1::int AS a; SELECT 2::int AS b');
    assert.deepStrictEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
  });
  await step('a transaction', async () => {
    await client.query('BEGIN');
    assert.strictEqual((await rows('SELECT count(*) FROM plain'))[0].count, '5000');
    await client.query('ROLLBACK');
  });
  await step('errors say their SQLSTATE, and the next statement runs', async () => {
    await refused(client.query('SELECT * FROM nope'), '42P01');
    await refused(client.query('SELECT nope FROM plain WHERE a = $1', [1]), '42703');
    assert.deepStrictEqual(await rows('SELECT 3::int AS z'), [{ z: 3 }]);
  });
  await step('arrays, json, uuid, bytes', async () => {
    const [row] = await rows('SELECT tags, meta FROM sales.customer ORDER BY id LIMIT 1');
    assert.deepStrictEqual(row, { tags: ['a', 'b'], meta: { k: 1 } });
    const [other] = await rows('SELECT raw, st FROM sales.orders ORDER BY id LIMIT 1');
    assert.deepStrictEqual([other.raw.toString('hex'), other.st], ['deadbeef', 'paid']);
  });
  await step('a pool', async () => {
    const pool = new Pool({ ...place, max: 3 });
    const ask = (number) => pool.query('SELECT $1::int AS i', [number]);
    const results = await Promise.all([1, 2, 3, 4].map(ask));
    await pool.end();
    assert.deepStrictEqual(results.map((result) => result.rows[0].i), [1, 2, 3, 4]);
  });
  await step('statement_timeout', async () => {
    const other = new Client({ ...place, statement_timeout: 1000 });
    await other.connect();
    await refused(other.query('SELECT count(*) FROM plain a, plain b, plain c WHERE a.c + b.c * c.c > 3'), '57014');
    await other.end();
  });
  await client.end();
  console.log(`steps ${right} ${all}`);
}

main();
