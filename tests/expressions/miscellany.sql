-- Everything else: types, names, implicit casts, mistakes.
version() LIKE 'PostgreSQL 15%'
current_database() IS NOT NULL
current_schema()
current_user IS NOT NULL
session_user IS NOT NULL
user IS NOT NULL
current_setting('server_version_num')::int >= 150000
current_setting('TimeZone')
current_setting('nope')
current_setting('nope', true)
current_setting('application_name') IS NOT NULL
set_config('application_name', 'x', false)
gen_random_uuid() IS NOT NULL
length(gen_random_uuid()::text)
pg_typeof(gen_random_uuid())
gen_random_uuid() = gen_random_uuid()
pg_typeof(random())
random() = random()
random() < 1
pg_typeof(1::smallint)
pg_typeof(3000000000)
pg_typeof(1::real)
pg_typeof(1e3)
pg_typeof('2024-01-01'::date)
pg_typeof(INTERVAL '1 day')
pg_typeof(ARRAY['a'])
pg_typeof(1::numeric(5,2))
pg_typeof('a'::varchar)
pg_typeof(TIMESTAMP '2024-01-01' - TIMESTAMP '2023-01-01')
pg_typeof(DATE '2024-01-01' - DATE '2023-01-01')
pg_typeof(DATE '2024-01-01' + INTERVAL '1 day')
pg_typeof(7 / 2)
pg_typeof(7 / 2.0)
pg_typeof(extract(year FROM now()))
pg_typeof(date_part('year', now()))
pg_typeof(round(1.5))
pg_typeof(round(1.5::float8))
pg_typeof(length('a'))
pg_typeof('a' || 'b')
pg_typeof(sqrt(4))
pg_typeof(abs(-1))
pg_typeof(2 ^ 3)
pg_typeof(ceil(1))
pg_typeof(mod(1, 2))
pg_typeof(to_timestamp(0))
pg_typeof(count(*))
pg_typeof(sum(1))
pg_typeof(sum(1::bigint))
pg_typeof(avg(1))
pg_typeof(now() - now())
num_nulls(1, NULL, 2)
num_nonnulls(1, NULL, 2)
pg_sleep(0)
txid_current() > 0
pg_backend_pid() > 0
inet_server_port() > 0
pg_is_in_recovery()
hashtext('a')
obj_description(0)
col_description(0, 0)
pg_column_size(1)
pg_size_pretty(1048576::bigint)
lower('A') || upper('b')
nextval('x')
lastval()
pg_get_userbyid(0)
has_table_privilege('v', 'select')
to_regclass('v') IS NOT NULL
inet '127.0.0.1'
'127.0.0.1'::inet
point(1, 2)
int4range(1, 5)
to_tsvector('a')
xmlelement(name a)
money '1.50'
''::bytea
uuid_nil()
"char"('a')
cast(1 AS nope)
1::nope
'a'::regclass
'v'::regclass
nullif(1)
coalesce()
greatest()
length()
length('a', 'b')
upper(1)
lower(true)
substr(12345, 2)
length(123)
trim(5)
replace(1, 2, 3)
abs('a')
round('1.5')
sqrt('4')
floor('2.7')
left('abc', '2')
lpad('a', '3')
repeat('a', '3')
date_trunc('day', '2024-01-01'::date)
date_part('year', '2024-01-01')
date_trunc('year', DATE '2024-05-05')::date
extract(year FROM '2024-01-01')
extract(year FROM '2024-01-01'::date)
to_char('2024-01-01', 'YYYY')
'2024-01-01' + 1
'2024-01-01'::date + '1 day'::interval
'1 day' + DATE '2024-01-01'
concat_ws(',', 'a', 'b') || 'c'
not 1
1 and 2
case 1 when '1' then 2 end
case when 'true' then 1 end
count(*)
sum(1), avg(2), min(3), max('a')
count(1) + 1
(1)
((1 + 2) * 3)
"a"
a.b
1 2
1 +
(1
'unterminated
SELECT
SELECT 1 FROM
FROM v
SELECT * FROM
SELECT 1;
SELECT 1 WHERE true
SELECT 1 WHERE false
SELECT 1 WHERE NULL
SELECT 1 LIMIT 0
SELECT 1 AS a ORDER BY a
SELECT 1 ORDER BY 2
SELECT 1 GROUP BY 1
SELECT 1 HAVING true
SELECT 1 HAVING false
SELECT *
SELECT 1 AS "select"
SELECT 1 AS select
SELECT 1 value
SELECT 1 name, 2 type
SELECT 'a' COLLATE "C"
SELECT 'a' COLLATE "nope"
SELECT 1::int4 AS "A", 2 AS a
SELECT NULL AS n UNION SELECT 1
SELECT x.* FROM (SELECT 1 AS a, 2 AS b) x
SELECT x FROM (SELECT 1 AS a, 2 AS b) x
SELECT (x).a FROM (SELECT 1 AS a, 2 AS b) x
SELECT a FROM (SELECT 1 AS a) AS x(b)
SELECT b FROM (SELECT 1 AS a) AS x(b)
SELECT sum(a) FROM (SELECT 1 AS a UNION ALL SELECT 2) x
SELECT CASE WHEN count(*) > 0 THEN 'some' ELSE 'none' END FROM v
SELECT 1 IN (SELECT NULL)
SELECT NULL IN (SELECT 1 WHERE false)
SELECT 1 NOT IN (SELECT NULL::int)
SELECT EXISTS (SELECT 1 WHERE false)
SELECT NOT EXISTS (SELECT 1)
SELECT (SELECT 1 WHERE false)
SELECT (SELECT 1 UNION ALL SELECT 2)
SELECT (SELECT 1, 2)
SELECT ARRAY[(SELECT 1)]
SELECT a, b FROM (VALUES (1, 'x'), (2, 'y')) t(a, b) WHERE (a, b) = (1, 'x')
SELECT max(x) FROM (VALUES ('a'), ('b')) t(x)
SELECT * FROM (VALUES (1, 2)) t(a)
SELECT date '2024-01-01' AS d, time '10:00' AS t
SELECT interval '1 day' AS interval
SELECT current_date - current_date
SELECT extract(epoch FROM now()) > 0
SELECT true AND 'f'
SELECT 1 = ANY (VALUES (1), (2))
SELECT CAST('1' || '2' AS int)
SELECT substring('abc' FROM 1 FOR 1) = 'a'
SELECT position('b' in 'abc') > 0
SELECT trim(both from ' a ')
SELECT 'abc' LIKE 'a' || '%'
SELECT - 1::int
SELECT -1::smallint
SELECT -32768::smallint
SELECT 1::int + '1'
SELECT 5 / 2 * 2.0
SELECT 5 / (2 * 2.0)
SELECT 1.0 * 1
SELECT 2 * 1.50
SELECT 1 - 0.9
SELECT 100 * 0.07
SELECT 3.0 = 3
SELECT 1.10::text
SELECT (1.5)::text || 'x'
SELECT 1e2
SELECT 1e-2
SELECT 12345678901234567890
SELECT 0x1F
SELECT 1_000
SELECT 'a' IS NULL OR 'a' = ''
SELECT $1
SELECT /* comment */ 1 -- trailing
SELECT U&'d\0061t\+000061'
SELECT E'\\'
SELECT '\'
SELECT E'\''
SELECT '''' || ''''
