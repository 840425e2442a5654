-- What the expressions are asked over: the table of the Tableau formulas, and values at the edges.
CREATE DATABASE expressions;
\connect expressions

CREATE TABLE plain (
    a int, b text, c double precision, d date, e timestamp, f boolean, g bigint, h numeric(10, 2)
);
INSERT INTO plain
SELECT i, 'row ' || i, i * 1.5, date '2024-01-01' + i % 365, timestamp '2024-01-01' + (i || ' min')::interval,
    i % 2 = 0, i::bigint * 1000000, i * 1.11
FROM generate_series(1, 500) i;

CREATE TABLE v (
    id int PRIMARY KEY,
    i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric(12, 3),
    b boolean, t text, vc varchar(20), d date, ts timestamp, tz timestamptz, tm time, iv interval,
    by bytea, j jsonb, ai int[], at text[]
);
INSERT INTO v VALUES
    (1, 1, 1, 1, 1, 1, 1, true, 'a', 'a', '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+00', '12:34:56.789', '1 day', '\x01', '{"a": 1, "b": "x"}', '{1,2,3}', '{a,b,c}'),
    (2, -1, -7, -7, -2.5, -2.5, -2.5, false, 'Hello World', 'Hello', '1969-12-31', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '00:00:00', '-1 mon -2 days -03:04:05.6', '\xdeadbeef', '[1, "two", null, {"k": [true]}]', '{3,NULL,1}', '{x,NULL,""}'),
    (3, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308, 999999999.999, true, 'äöüß É ñ', 'éa', '9999-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '23:59:59.999999', '100 years 11 mons', '\x00ff', '"text"', '{}', '{}'),
    (4, -32768, -2147483648, -9223372036854775808, 1e-37, 5e-324, -999999999.999, false, '', '', '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '06:07:08', '-00:00:00.000001', '\x', '{"n": 1.50, "e": {}}', '{5}', '{"with space","quote\"d",NULL}'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 0, 0, 0, 0, 0, 0, true, '  padded  ', '  x', '2000-01-01', '2000-01-01 00:00:00', '2000-01-01 00:00:00+00', '12:00:00', '1 year 2 mons 3 days 04:05:06.789', '\x5c27', 'null', '{7,7,8}', '{a,a}'),
    (7, 42, 100, 10000000000, 0.1, 0.1, 0.125, false, '2024-03-05', '42', '2023-12-31', '2023-12-31 00:00:01', '2023-12-31 23:00:01+00', '18:30:15.5', '36:30:00', '\x414243', '{"a": {"b": [10, 20]}}', '{-1,0,1}', '{one,two}'),
    (8, 7, 12345, 123456789012, 'NaN', 'NaN', 1234.5, true, 'a_b%c\d', 'A', '2024-12-30', '2024-12-30 10:20:30', '2024-12-30 10:20:30+00', '10:20:30', '0', '\x00', 'true', '{2,2,2}', '{"{}",","}'),
    (9, -3, -3, -3, 'Infinity', 'Infinity', -0.001, NULL, 'FOO,bar;baz', 'foo', '2021-01-03', '2021-01-03 05:06:07.008', '2021-01-03 05:06:07.008+00', '05:06:07.008', '2 mons', '\x7f80', '[]', '{NULL}', '{NULL}');
ANALYZE;
