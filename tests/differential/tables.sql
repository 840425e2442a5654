-- The tables of the differential tests: small, full of the values at which engines disagree, under
-- collations that order and compare otherwise than by bytes. Everything is made by counting, so that
-- it is the same each time.
CREATE DATABASE machine;
\connect machine

CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Zen');

-- Every type, every edge. Columns that are named here to be "tame" can be added and multiplied
-- without an overflow and without rounding.
CREATE TABLE m_edge (
    id integer PRIMARY KEY,
    k integer, -- tame
    i2 smallint,
    i4 integer,
    i8 bigint,
    n numeric(20, 4),
    nt numeric(10, 2), -- tame
    x numeric(38, 10),
    f double precision,
    g double precision, -- tame
    r real,
    t text COLLATE "C",
    ti text COLLATE "en-x-icu",
    tc text COLLATE no_case,
    ch char(6),
    v varchar(12),
    e mood,
    u uuid,
    b boolean,
    d date,
    dd date, -- tame
    ts timestamp,
    tm timestamp, -- tame
    tz timestamptz
);

CREATE FUNCTION pick(list text[], place bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN list[1 + place % array_length(list, 1)];
CREATE FUNCTION words() RETURNS text[] LANGUAGE sql IMMUTABLE RETURN ARRAY[
    'a', 'A', NULL, '', 'b', 'B', ' ', 'a ', ' a', 'é', 'É', 'e', '_', '%', 'ab', 'AB', 'aB', 'ß', 'SS',
    'it''s', '\', 'a\b', '😀', 'Zoë', 'zoe', 'ZOE', '10', '9', 'null', 'NULL', E'a\nb', 'a%b', '[a]'];

INSERT INTO m_edge SELECT
    g,
    pick('{0,1,2,3,NULL,5,6,7,8,9,1}', g * 3)::integer,
    pick('{0,1,-1,32767,-32768,NULL,7}', g * 5)::smallint,
    pick('{0,1,-1,2147483647,-2147483648,NULL,7,8,2147483646}', g * 5)::integer,
    pick('{0,1,-1,9223372036854775807,-9223372036854775808,NULL,4294967296,7,9007199254740993}', g * 7)::bigint,
    pick('{0,0.0001,-0.0001,9999999999999999.9999,-9999999999999999.9999,NULL,1.5,-1.5,10,7}', g * 7)::numeric,
    pick('{0,0.01,-0.01,12.50,-12.50,NULL,1.5,99.99,10,7}', g * 3)::numeric,
    pick('{0,9999999999999999999999999999.9999999999,-9999999999999999999999999999.9999999999,NULL,0.0000000001,1.5,7}', g * 5)::numeric,
    pick('{0,-0,NaN,Infinity,-Infinity,NULL,1e308,-1e308,5e-324,0.1,1.5,-1.5,7,NaN}', g * 5)::double precision,
    pick('{0,0.5,-0.5,1.25,NULL,2,-3.75,10,7}', g * 5)::double precision,
    pick('{0,-0,NaN,Infinity,-Infinity,NULL,0.1,1.5,-1.5,3.4028235e38,1e-45,16777216}', g * 5)::real,
    pick(words(), g * 4),
    pick(words(), g * 5 + 1),
    pick(words(), g * 7 + 2),
    left(pick(words(), g * 8 + 3), 6),
    left(pick(words(), g * 10 + 4), 12),
    pick('{sad,ok,happy,Zen,NULL}', g * 3)::mood,
    pick('{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff,123e4567-e89b-12d3-a456-426614174000,NULL,80000000-0000-0000-0000-000000000000}', g * 3)::uuid,
    pick('{true,false,NULL}', g * 2)::boolean,
    pick('{1970-01-01,0001-01-01,9999-12-31,1969-12-31,2024-02-29,2262-04-12,NULL,1582-10-15,2000-01-01,1677-09-20}', g * 7)::date,
    pick('{1970-01-01,1969-12-31,2024-02-29,NULL,2024-01-31,2023-12-31,2000-02-29,2024-03-01}', g * 3)::date,
    pick('{1970-01-01 00:00:00,0001-01-01 00:00:00,9999-12-31 23:59:59.999999,1969-12-31 23:59:59.999999,2024-02-29 12:00:00,2262-04-12 00:00:00,NULL,1582-10-15 00:00:00,2000-01-01 00:00:00.000001}', g * 7)::timestamp,
    pick('{1970-01-01 00:00:00,1969-12-31 23:59:59.5,2024-02-29 12:30:15.25,NULL,2024-01-31 00:00:00,2000-02-29 06:00:00}', g * 5)::timestamp,
    pick('{1970-01-01 00:00:00+00,0001-01-01 00:00:00+00,9999-12-31 23:59:59.999999+00,1969-12-31 23:59:59.999999+00,2024-02-29 12:00:00+05:30,2262-04-12 00:00:00+00,NULL,2000-01-01 00:00:00+00}', g * 3)::timestamptz
FROM generate_series(1, 48) AS g;

-- No key; each row is there twice, and some three times.
CREATE TABLE m_twin (
    k integer, -- tame
    i4 integer,
    n numeric(20, 4),
    w numeric,
    f double precision,
    g double precision, -- tame
    ti text COLLATE "en-x-icu",
    tc text COLLATE no_case,
    d date,
    dd date, -- tame
    b boolean
);
INSERT INTO m_twin SELECT
    pick('{0,1,2,NULL,3,5,8}', g % 13 * 3)::integer,
    pick('{0,1,-1,2147483647,-2147483648,NULL,7,8}', g % 13 * 5)::integer,
    pick('{0,0.0001,9999999999999999.9999,NULL,1.5,-1.5,10}', g % 13 * 2)::numeric,
    pick('{0,0.00000000000000000001,123456789012345678901234567890.5,NULL,-1.50,2}', g % 13 * 5)::numeric,
    pick('{0,-0,NaN,Infinity,-Infinity,NULL,0.1,1.5}', g % 13 * 3)::double precision,
    pick('{0,0.5,NULL,1.25,-3.75}', g % 13 * 2)::double precision,
    pick(words(), g % 13 * 5),
    pick(words(), g % 13 * 4 + 1),
    pick('{1970-01-01,9999-12-31,NULL,2024-02-29,0001-01-01}', g % 13 * 3)::date,
    pick('{1970-01-01,2024-01-31,NULL,2024-02-29}', g % 13 * 3)::date,
    pick('{true,false,NULL}', g % 13)::boolean
FROM generate_series(1, 30) AS g;

-- Names that differ by case alone.
CREATE TABLE m_dim (
    id integer PRIMARY KEY,
    tc text COLLATE no_case NOT NULL,
    ti varchar(20) COLLATE "en-x-icu",
    ch char(4) NOT NULL,
    e mood,
    u uuid UNIQUE,
    k integer -- tame
);
INSERT INTO m_dim VALUES
    (0, 'a', 'a', 'a', 'sad', '00000000-0000-0000-0000-000000000000', 0),
    (1, 'A', 'A', 'A', 'ok', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1),
    (2, 'b', '_', 'a b', 'happy', '123e4567-e89b-12d3-a456-426614174000', NULL),
    (3, 'é', 'É', 'é', 'Zen', '80000000-0000-0000-0000-000000000000', 2),
    (4, 'É', 'é', '', NULL, '0a0a0a0a-0000-0000-0000-000000000000', 2),
    (5, '', NULL, 'B', 'ok', NULL, 3),
    (6, ' a', ' a', ' a', 'sad', NULL, 9),
    (7, 'ZOE', 'Zoë', 'ab', 'happy', '7fffffff-ffff-ffff-ffff-ffffffffffff', 100);

-- Enough rows that statistics matter.
CREATE TABLE m_big (
    id bigint PRIMARY KEY,
    k integer NOT NULL, -- tame
    n numeric(12, 2), -- tame
    g double precision, -- tame
    ti text COLLATE "en-x-icu",
    dd date, -- tame
    b boolean
);
INSERT INTO m_big SELECT
    g,
    g % 50,
    CASE WHEN g % 11 = 0 THEN NULL ELSE (g % 997) * 0.25 END,
    CASE WHEN g % 13 = 0 THEN NULL ELSE (g % 512) * 0.125 END,
    pick(words(), g % 89),
    CASE WHEN g % 17 = 0 THEN NULL ELSE DATE '2020-01-01' + (g % 400)::integer END,
    CASE WHEN g % 7 = 0 THEN NULL ELSE g % 2 = 0 END
FROM generate_series(1, 3000) AS g;
CREATE INDEX ON m_big (k);

CREATE TABLE m_none (
    id integer PRIMARY KEY,
    k integer,
    n numeric(10, 2),
    g double precision,
    ti text COLLATE "en-x-icu",
    dd date,
    b boolean
);

CREATE TABLE m_one (id integer PRIMARY KEY, k integer, n numeric(10, 2), g double precision, ti text COLLATE "en-x-icu", dd date, b boolean);
INSERT INTO m_one VALUES (1, 1, 1.50, 0.5, 'a', '2024-02-29', NULL);

ANALYZE;
