-- Operators, their precedence, and conditional expressions.
1 + 2
1 - 2
2 * 3
7 / 2
-7 / 2
7 / -2
7 % 3
-7 % 3
7 % -3
7.5 % 2
7.0 / 2
7 / 2.0
1.0 / 3
10.0 / 4
2.50 * 2.0
1.5 + 2.25
1.10 - 0.1
0.1 + 0.2
0.1::float8 + 0.2::float8
0.1::float8 + 0.2
1 / 3.0
1000000.0 / 3
1 / 0
1.0 / 0
1::float8 / 0
0 / 1
5 % 0
5.5 % 0
1::real / 3
1::real * 1.1
1::real + 1::float8
1 + 1::real
1::smallint + 1::smallint
1::smallint + 1
1::smallint * 2::bigint
2::bigint * 3
2147483647 + 1
2147483647::bigint + 1
-2147483648 - 1
2147483647 * 2
9223372036854775807 + 1
9223372036854775807 * 2
32767::smallint + 1::smallint
-(-32768::smallint)
-(-2147483648)
- (-9223372036854775808)
@ -5
@ -5.5
|/ 25
|/ 2
||/ 27
|/ -1
5 !
2 ^ 3
2 ^ 0.5
2 ^ -1
-2 ^ 2
2 ^ 3 ^ 2
2.0 ^ 3
2.5 ^ 2
10 ^ 10
0 ^ 0
0 ^ -1
2::float8 ^ 3
1.5::float8 ^ 2
(-8) ^ (1.0/3)
10 ^ 400
91 & 15
32 | 3
17 # 5
~1
1 << 4
8 >> 2
-8 >> 1
1 << 31
1 << 32
1::bigint << 40
5::smallint & 3::smallint
5 & 3::bigint
2 + 3 * 4
(2 + 3) * 4
10 - 5 - 2
100 / 10 / 2
2 * 3 % 4
7 - -2
+5
- 5 + 3
1 + NULL
NULL / 0
NULL * 1.5
NULL + NULL
'1' + 1
1 + '2'
'1.5' + 1
'1.5'::numeric + 1
1.5 + '2'
1 + true
'a' + 'b'
1 = 1
1 = 1.0
1 = 1.5
1 <> 2
1 != 2
1 < 2
1 > 2
1 <= 1
1 >= 2
1.5::float8 = 1.5
0.1::float8 = 0.1
0.1::real = 0.1
0.1::real = 0.1::float8
'a' = 'a'
'a' < 'b'
'a' < 'B'
'a' = 'A'
'Z' < 'a'
'' < 'a'
'abc' > 'ab'
'10' < '9'
'é' > 'z'
1 = '1'
1 < '10'
'2' > 10
true = 't'
true > false
true = false
NULL = NULL
NULL <> 1
NULL IS NULL
1 IS NOT NULL
NULL IS DISTINCT FROM NULL
1 IS DISTINCT FROM NULL
1 IS NOT DISTINCT FROM 1
'a' IS DISTINCT FROM 'b'
true IS TRUE
NULL::bool IS TRUE
NULL::bool IS NOT TRUE
false IS FALSE
NULL::bool IS UNKNOWN
true IS NOT UNKNOWN
true AND NULL
false AND NULL
true OR NULL
false OR NULL
NOT NULL::bool
NOT true OR true
NOT (true AND false)
true AND false OR true
false OR true AND false
1 < 2 AND 2 < 3
1 = 1 = true
1 + 1 = 2
1 BETWEEN 0 AND 2
1 NOT BETWEEN 0 AND 2
3 BETWEEN 5 AND 1
3 BETWEEN SYMMETRIC 5 AND 1
3 NOT BETWEEN SYMMETRIC 5 AND 1
NULL BETWEEN 1 AND 2
1 BETWEEN NULL AND 2
1 BETWEEN 2 AND NULL
'b' BETWEEN 'a' AND 'c'
1.5 BETWEEN 1 AND 2
DATE '2024-01-15' BETWEEN '2024-01-01' AND '2024-01-31'
1 IN (1, 2, 3)
4 IN (1, 2, 3)
4 NOT IN (1, 2, 3)
1 IN (1, NULL)
2 IN (1, NULL)
2 NOT IN (1, NULL)
NULL IN (1, 2)
1 IN (1.5, 1.0)
'a' IN ('a', 'b')
1 = ANY (ARRAY[1,2])
3 = ANY (ARRAY[1,2])
3 = ANY (ARRAY[1,NULL])
1 = ANY ('{1,2}'::int[])
1 = ANY ('{1,2}')
'a' = ANY ('{a,b}')
1 = SOME (ARRAY[1,2])
3 <> ALL (ARRAY[1,2])
1 <> ALL (ARRAY[1,2])
3 > ALL (ARRAY[1,2])
1 > ANY (ARRAY[1,2])
2 > ANY (ARRAY[1,2])
2 >= ALL (ARRAY[1,2])
3 <> ALL (ARRAY[1,NULL])
3 = ALL (ARRAY[3,3])
3 = ALL ('{}'::int[])
3 = ANY ('{}'::int[])
NULL = ANY (ARRAY[1])
'abc' LIKE ANY (ARRAY['a%','b%'])
'abc' LIKE ALL (ARRAY['a%','%c'])
'abc' ILIKE ANY (ARRAY['A%'])
1 IN (SELECT 1)
2 NOT IN (SELECT 1)
1 = ANY (SELECT 1)
2 > ALL (SELECT 1)
(1, 2) = (1, 2)
(1, 2) <> (1, 3)
(1, 2) < (1, 3)
(1, 2) < (1, 2)
(1, 2) <= (1, 2)
(2, 1) > (1, 5)
(1, NULL) = (1, 2)
(1, NULL) = (2, 2)
(1, NULL) < (2, 1)
(1, NULL) < (1, 1)
(1, 2, 3) >= (1, 2, 3)
ROW(1, 2) = ROW(1, 2)
(1, 2) IN ((1, 2), (3, 4))
(1, 2) IS NULL
(NULL, NULL) IS NULL
(1, 2) IS DISTINCT FROM (1, 3)
(1, 'a') = (1, 'a')
(1, 2) = (1, 2, 3)
'a' || 'b'
'a' || NULL
NULL || 'a'
'a' || 1
1 || 'a'
'a' || 1.5
'a' || 1.50::numeric
'a' || true
'a' || DATE '2024-01-01'
'a' || TIMESTAMP '2024-01-01 10:00'
'a' || 1.5::float8
'a' || INTERVAL '1 day'
1 || 2
'a' || 'b' || 'c'
'a' || 1 + 2
'a'::char(3) || 'b'
'a'::varchar || 'b'::varchar
ARRAY[1] || 2
ARRAY[1] || ARRAY[2]
1 || ARRAY[2]
'\x01'::bytea || '\x02'::bytea
'abc' || '' = 'abc'
CASE WHEN 1 = 1 THEN 'a' END
CASE WHEN NULL THEN 1 ELSE 2 END
CASE WHEN false THEN 1 END
CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END
CASE NULL WHEN NULL THEN 1 ELSE 2 END
CASE WHEN true THEN 1 ELSE 1.5 END
CASE WHEN false THEN 1 ELSE 1.5 END
CASE WHEN true THEN 1 ELSE 2::bigint END
CASE WHEN true THEN 1 ELSE NULL END
CASE WHEN true THEN NULL ELSE 1 END
CASE WHEN true THEN 'a' ELSE NULL END
CASE WHEN true THEN 1.5 ELSE 1::float8 END
CASE WHEN true THEN DATE '2024-01-01' ELSE TIMESTAMP '2024-01-01' END
CASE WHEN true THEN 1 ELSE 'a' END
CASE WHEN true THEN '1' ELSE 2 END
CASE WHEN true THEN NULL END
CASE WHEN 1/1 = 1 THEN 1 ELSE 1/0 END
coalesce(NULL, 1)
coalesce(1, 1/0)
coalesce(NULL, NULL)
coalesce(NULL, 'a')
coalesce(1, 1.5)
coalesce(NULL::int, 1.5)
coalesce('1', 2)
coalesce(1::bigint, 2)
coalesce(1::smallint, 2)
coalesce(NULL, DATE '2024-01-01', '2023-01-01')
nullif(1, 1)
nullif(1, 2)
nullif('a', 'a')
nullif(1, 1.0)
nullif(NULL, 1)
nullif(1.5, 1)
nullif('', '')
nullif('a', NULL)
greatest(1, 2, 3)
greatest(1, NULL, 3)
greatest(NULL, NULL)
greatest(1, 2.5)
greatest('a', 'b')
greatest('a', 'B')
greatest(DATE '2024-01-01', DATE '2023-01-01')
greatest(1::float8, 'NaN')
greatest(1, 2::bigint)
least(1, 2, 3)
least(1, NULL)
least(1.5, 1)
least('b', 'a', NULL)
least(1::float8, 'NaN')
(1 = 1)::int
(1 = 1)::text
1::bool AND true
INTERVAL '1 month' = INTERVAL '30 days'
INTERVAL '1 day' > INTERVAL '23 hours'
INTERVAL '1 month' > INTERVAL '29 days'
INTERVAL '1 day' = '24:00:00'
(DATE '2024-01-01', DATE '2024-02-01') OVERLAPS (DATE '2024-01-15', DATE '2024-03-01')
(DATE '2024-01-01', DATE '2024-02-01') OVERLAPS (DATE '2024-02-01', DATE '2024-03-01')
(DATE '2024-01-01', INTERVAL '1 month') OVERLAPS (DATE '2024-01-15', INTERVAL '1 day')
(TIMESTAMP '2024-01-01 10:00', TIMESTAMP '2024-01-01 11:00') OVERLAPS (TIMESTAMP '2024-01-01 10:30', TIMESTAMP '2024-01-01 10:45')
'NaN'::float8 = 'NaN'::float8
'NaN'::float8 > 'Infinity'::float8
'-0'::float8 = 0
'Infinity'::float8 - 'Infinity'::float8
'Infinity'::float8 * 0
'NaN'::float8 / 0
1 <> ALL ('{}')
2 = ANY (NULL)
1 IS DISTINCT FROM 2 AND false
NOT 1 IS DISTINCT FROM 1 OR false
5 BETWEEN 1 AND 10 AND true
NOT 5 BETWEEN 1 AND 10
1 + 2 BETWEEN 2 AND 4
- 2 * 3
2 - - 2
NOT NOT true
'a' || 'b' = 'ab'
1 < 2 = true
3 * 2 ^ 2
- 3 % 2
1 << 2 + 1
5 & 3 = 1
'x' || 1 * 2
true::text || 'x'
1 ISNULL
1 NOTNULL
over v: i4 + 1
over v: n + 2
over v: n + 1.5
over v: n + n
over v: i2 + 1
over v: f8 + 1
over v: i4 - 1
over v: n - 2
over v: n - 1.5
over v: n - n
over v: i2 - 1
over v: f8 - 1
over v: i4 * 1
over v: n * 2
over v: n * 1.5
over v: n * 2.5
over v: i2 * 1
over v: f8 * 0.5
over v: i4 / 2
over v: i4 / 3.0
over v: n / 3
over v: f8 / 3
over v: f4 / 3
over v: n % 2
over v: i4 % 5
over v: i8 % 1000
over v: - n
over v: - f8
over v: abs(n)
over v: i4::bigint + i8 / 10
over v: i4::numeric
over v: i4::float8
over v: i8::float8
over v: i8::numeric
over v: i2::text
over v: i4::text
over v: i8::text
over v: n::text
over v: f4::text
over v: f8::text
over v: b::text
over v: d::text
over v: ts::text
over v: tz::text
over v: tm::text
over v: iv::text
over v: by::text
over v: ai::text
over v: at::text
over v: j::text
over v: b::int
over v: f4::float8
over v: CASE WHEN f8 < 1e9 AND f8 > -1e9 THEN f8::int END
over v: CASE WHEN f4 < 1e9 AND f4 > -1e9 THEN f4::int END
over v: n::int
over v: n::bigint
over v: n::float8
over v: n::real
over v: n::numeric(12,1)
over v: n::numeric(14,4)
over v: i4 = n
over v: i4 < f8
over v: n = f8
over v: f4 = f8
over v: i4 IS DISTINCT FROM i2
over v: i8 = i4
over v: i4 BETWEEN -10 AND 100
over v: i4 IN (1, 100, NULL)
over v: i4 NOT IN (1, 100)
over v: t = vc
over v: t < vc
over v: t || vc
over v: t || '-' || i4
over v: i4 || ':' || n
over v: d || ''
over v: b AND i4 > 0
over v: b OR i4 > 0
over v: NOT b
over v: b IS NOT TRUE
over v: coalesce(i4, 0)
over v: coalesce(n, 0)
over v: coalesce(i2, i4, i8)
over v: coalesce(i4, n)
over v: coalesce(t, 'none')
over v: coalesce(d, '2020-01-01')
over v: coalesce(ts, d)
over v: greatest(i2, i4)
over v: least(i4, n)
over v: greatest(f8, 0)
over v: least(f8, 0)
over v: nullif(i4, 1)
over v: nullif(t, '')
over v: CASE WHEN i4 > 0 THEN 'pos' WHEN i4 < 0 THEN 'neg' ELSE 'zero' END
over v: CASE i4 WHEN 1 THEN n ELSE i2 END
over v: i4 & 255
over v: i4 | 1
over v: i4 # 3
over v: ~ i4
over v: i2 << 1
over v: i4 >> 1
over v: iv = iv
over v: iv > INTERVAL '1 day'
over v: - iv
over v: (i4 % 100) ^ 2
over v: i4 = ANY (ai)
over v: i4 <> ALL (ai)
over v: 'a' = ANY (at)
over v: i4 = ANY (ARRAY[1, 100])
over v: id = ANY ('{1,3}')
over v: (i4, t) = (1, 'a')
over v: (id, i4) < (3, 0)
over v: (i4 IS NULL) = (t IS NULL)
over v: i4 IS NULL
over v: count(*) OVER ()
