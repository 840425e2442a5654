-- Constants, their types and names, and casts between them.
1
0
-1
2147483647
2147483648
-2147483648
-2147483649
9223372036854775807
9223372036854775808
-9223372036854775808
99999999999999999999999999999999999999
1.5
1.50
-0.0
0.10
.5
5.
1e3
1.5e-3
1e10
'a'
''
'it''s'
E'a\nb'
E'tab\there'
E'\u00e9'
E'\x41'
U&'\0041\00e9'
$$dollar$$
$q$it's$q$
'a' 'b'
NULL
true
false
TRUE AS yes
'a' AS "Quoted Name"
B'101'
X'1F'
'abc'::text
'abc'::varchar
'abc'::varchar(2)
'abc'::char(2)
'abc'::char
'abc'::bpchar
'abc'::name
'1'::int
'1'::integer
'1'::int4
'1'::int2
'1'::int8
'1'::smallint
'1'::bigint
'1.5'::numeric
'1.5'::decimal(5,2)
'1.55'::numeric(3,1)
'1.5'::float
'1.5'::float4
'1.5'::float8
'1.5'::real
'1.5'::double precision
'1.5'::float(10)
'1.5'::float(50)
't'::boolean
'yes'::boolean
'off'::boolean
'1'::boolean
'tru'::bool
'maybe'::bool
' t '::bool
'2024-01-01'::date
'2024-01-01 10:00'::timestamp
'2024-01-01 10:00+02'::timestamptz
'10:11:12'::time
'1 day'::interval
'\xdead'::bytea
'{"a":1}'::json
'{"b":1, "a" : 2}'::jsonb
'{"b":1, "a" : 2}'::json
'00000000-0000-0000-0000-000000000000'::uuid
'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid
'nonsense'::uuid
'{1,2}'::int[]
'{a,"b c",NULL}'::text[]
'{}'::int[]
DATE '2024-02-29'
TIMESTAMP '2024-02-29 12:34:56.789'
TIMESTAMP WITH TIME ZONE '2024-02-29 12:34:56+02'
TIME '12:34:56'
INTERVAL '1 year 2 months'
INTERVAL '1' DAY
INTERVAL '3' MONTH
INTERVAL '1 2' DAY TO HOUR
INTERVAL '1-2'
INTERVAL '1-2' YEAR TO MONTH
INTERVAL 'P1Y2M3DT4H5M6S'
INTERVAL '1 day ago'
INTERVAL '-1 day +2 hours'
INTERVAL '1.5 days'
INTERVAL '1.5 months'
INTERVAL '90 minutes'
INTERVAL '04:05:06.789'
INTERVAL '1 week'
INTERVAL '1 century 2 decades'
INTERVAL '@ 1 minute'
INTERVAL '1h 30m'
INTERVAL '100000 hours'
int '5'
numeric '1.5'
text 'a'
bool 't'
float8 '1.5'
'x'::int
''::int
' 5 '::int
'5.5'::int
'1e3'::int
'2147483648'::int
'32768'::smallint
'9223372036854775808'::bigint
'abc'::numeric
'1e400'::float8
'inf'::float8
'-Infinity'::float8
'NaN'::numeric
'nan'::float8
'2024-13-01'::date
'2024-02-30'::date
'x'::date
'25:00'::time
'2024-01-01'::timestamp
1::text
1.50::text
true::text
false::text
1::boolean
0::boolean
true::int
false::int
1::numeric
1::numeric(5,2)
1.005::numeric(5,2)
-1.005::numeric(5,2)
1.5::int
2.5::int
-2.5::int
0.5::numeric::int
2.5::float8::int
3.5::float8::int
-2.5::float8::int
-0.5::float8::int
1e10::int
1e20::bigint
'NaN'::float8::int
3e9::float8::int
40000::smallint
2147483648::int
1.5::float8
1.5::real
0.1::real::float8
16777217::real
1::bigint
1::real
123456789::real
123456789.123::float8::text
1e15::float8::text
1e16::float8::text
1e-5::float8::text
0.1::float8::numeric
1e20::float8::numeric
0.1::real::text
1.10::numeric::text
100::numeric::text
1234.5::numeric(10,3)::text
99999.5::numeric(5,0)
999.99::numeric(3,1)
CAST(1.5 AS integer)
CAST('2' AS bigint)
CAST(NULL AS int)
CAST(NULL AS text)
NULL::date
'a'::"char"
1::oid
'12'::text::int
DATE '2024-01-01'::text
DATE '2024-01-01'::timestamp
DATE '2024-01-01'::timestamptz
TIMESTAMP '2024-01-01 13:14:15'::date
TIMESTAMP '2024-01-01 13:14:15'::time
TIMESTAMP '2024-01-01 13:14:15'::timestamptz
TIMESTAMP '2024-01-01 13:14:15.123456'::text
TIMESTAMPTZ '2024-01-01 13:14:15+02'::text
TIMESTAMPTZ '2024-01-01 13:14:15+02'::date
TIMESTAMPTZ '2024-01-01 13:14:15+02'::timestamp
TIME '13:14:15'::text
TIME '13:14:15'::interval
INTERVAL '1 day 02:03:04'::text
INTERVAL '26:03:04'::time
'\x6162'::bytea::text
'abc'::bytea
ARRAY[1,2,3]::text
ARRAY[1,2,3]::text[]
ARRAY['1','2']::int[]
'[1,2]'::jsonb::text
TIMESTAMP(0) '2024-01-01 13:14:15.6'
'2024-01-01 13:14:15.6'::timestamp(0)
'2024-01-01 13:14:15.678'::timestamp(1)
1 AS one, 2 AS two
1, 2
'a', 'b'
1 AS a, 2 AS a
upper('a')
upper('a'), upper('b')
1 + 1
-(1)
CASE WHEN true THEN 1 END
CASE 1 WHEN 1 THEN 'a' ELSE 'b' END
coalesce(1, 2)
nullif(1, 2)
greatest(1, 2)
ARRAY[1]
(ARRAY[1])[1]
1::text::int
CAST('a' AS varchar(5))
DATE '2024-01-01'
EXTRACT(year FROM DATE '2024-01-01')
current_date = current_date
EXISTS (SELECT 1)
(SELECT 1)
(SELECT 1 AS foo)
(SELECT max(x) FROM (VALUES (1)) y(x))
NOT true
1 IS NULL
1 IN (1, 2)
'a' LIKE 'a'
ROW(1, 2)
ROW(1, 'a', NULL)
SELECT 1 AS x UNION ALL SELECT 2 ORDER BY 1
SELECT 1 UNION SELECT 1
SELECT 1 UNION ALL SELECT 1.5 ORDER BY 1
SELECT 'a' UNION ALL SELECT NULL
SELECT NULL UNION ALL SELECT 1
SELECT 1 UNION ALL SELECT 'a'
SELECT 1 UNION ALL SELECT '2'
SELECT DATE '2024-01-01' UNION ALL SELECT TIMESTAMP '2024-01-01 10:00' ORDER BY 1
VALUES (1, 'a'), (2, 'b')
VALUES (1), (1.5)
VALUES (1), (NULL)
SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS x
SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS x(i, s) ORDER BY i
SELECT column1 FROM (VALUES (1)) x
