-- Aggregates, windows, and the parts of a query.
SELECT sum(i2) FROM v
SELECT avg(i2) FROM v
SELECT min(i2) FROM v
SELECT max(i2) FROM v
SELECT count(i2) FROM v
SELECT sum(i4) FROM v
SELECT avg(i4) FROM v
SELECT min(i4) FROM v
SELECT max(i4) FROM v
SELECT count(i4) FROM v
SELECT sum(n) FROM v
SELECT avg(n) FROM v
SELECT min(n) FROM v
SELECT max(n) FROM v
SELECT count(n) FROM v
SELECT sum(f8) FROM v WHERE id NOT IN (3, 4, 8, 9)
SELECT avg(f8) FROM v WHERE id NOT IN (3, 4, 8, 9)
SELECT min(f8) FROM v
SELECT max(f8) FROM v
SELECT count(f8) FROM v
SELECT sum(iv) FROM v
SELECT avg(iv) FROM v
SELECT min(iv) FROM v
SELECT max(iv) FROM v
SELECT count(iv) FROM v
SELECT min(i8) FROM v
SELECT max(i8) FROM v
SELECT count(i8) FROM v
SELECT min(f4) FROM v
SELECT max(f4) FROM v
SELECT count(f4) FROM v
SELECT min(t) FROM v
SELECT max(t) FROM v
SELECT count(t) FROM v
SELECT min(d) FROM v
SELECT max(d) FROM v
SELECT count(d) FROM v
SELECT min(ts) FROM v
SELECT max(ts) FROM v
SELECT count(ts) FROM v
SELECT min(tz) FROM v
SELECT max(tz) FROM v
SELECT count(tz) FROM v
SELECT min(tm) FROM v
SELECT max(tm) FROM v
SELECT count(tm) FROM v
SELECT min(b) FROM v
SELECT max(b) FROM v
SELECT count(b) FROM v
SELECT min(by) FROM v
SELECT max(by) FROM v
SELECT count(by) FROM v
SELECT min(vc) FROM v
SELECT max(vc) FROM v
SELECT count(vc) FROM v
SELECT sum(i8) FROM v WHERE id <> 3
SELECT avg(i8) FROM v WHERE id > 5
SELECT sum(f4) FROM v WHERE id IN (1,2)
SELECT avg(f4) FROM v WHERE id IN (1,2)
SELECT stddev(i2) FROM v WHERE id > 4
SELECT stddev(n) FROM v WHERE id > 5
SELECT stddev(f8) FROM v WHERE id IN (1,2,6,7)
SELECT stddev(i4) FROM v WHERE id = 1
SELECT stddev(i4) FROM v WHERE id = 5
SELECT stddev_pop(i2) FROM v WHERE id > 4
SELECT stddev_pop(n) FROM v WHERE id > 5
SELECT stddev_pop(f8) FROM v WHERE id IN (1,2,6,7)
SELECT stddev_pop(i4) FROM v WHERE id = 1
SELECT stddev_pop(i4) FROM v WHERE id = 5
SELECT stddev_samp(i2) FROM v WHERE id > 4
SELECT stddev_samp(n) FROM v WHERE id > 5
SELECT stddev_samp(f8) FROM v WHERE id IN (1,2,6,7)
SELECT stddev_samp(i4) FROM v WHERE id = 1
SELECT stddev_samp(i4) FROM v WHERE id = 5
SELECT variance(i2) FROM v WHERE id > 4
SELECT variance(n) FROM v WHERE id > 5
SELECT variance(f8) FROM v WHERE id IN (1,2,6,7)
SELECT variance(i4) FROM v WHERE id = 1
SELECT variance(i4) FROM v WHERE id = 5
SELECT var_pop(i2) FROM v WHERE id > 4
SELECT var_pop(n) FROM v WHERE id > 5
SELECT var_pop(f8) FROM v WHERE id IN (1,2,6,7)
SELECT var_pop(i4) FROM v WHERE id = 1
SELECT var_pop(i4) FROM v WHERE id = 5
SELECT var_samp(i2) FROM v WHERE id > 4
SELECT var_samp(n) FROM v WHERE id > 5
SELECT var_samp(f8) FROM v WHERE id IN (1,2,6,7)
SELECT var_samp(i4) FROM v WHERE id = 1
SELECT var_samp(i4) FROM v WHERE id = 5
SELECT corr(c, a) FROM plain WHERE a <= 5
SELECT corr(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT corr(f8, i2) FROM v WHERE id = 1
SELECT covar_pop(c, a) FROM plain WHERE a <= 5
SELECT covar_pop(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT covar_pop(f8, i2) FROM v WHERE id = 1
SELECT covar_samp(c, a) FROM plain WHERE a <= 5
SELECT covar_samp(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT covar_samp(f8, i2) FROM v WHERE id = 1
SELECT regr_slope(c, a) FROM plain WHERE a <= 5
SELECT regr_slope(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_slope(f8, i2) FROM v WHERE id = 1
SELECT regr_intercept(c, a) FROM plain WHERE a <= 5
SELECT regr_intercept(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_intercept(f8, i2) FROM v WHERE id = 1
SELECT regr_r2(c, a) FROM plain WHERE a <= 5
SELECT regr_r2(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_r2(f8, i2) FROM v WHERE id = 1
SELECT regr_count(c, a) FROM plain WHERE a <= 5
SELECT regr_count(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_count(f8, i2) FROM v WHERE id = 1
SELECT regr_avgx(c, a) FROM plain WHERE a <= 5
SELECT regr_avgx(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_avgx(f8, i2) FROM v WHERE id = 1
SELECT regr_avgy(c, a) FROM plain WHERE a <= 5
SELECT regr_avgy(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_avgy(f8, i2) FROM v WHERE id = 1
SELECT regr_sxx(c, a) FROM plain WHERE a <= 5
SELECT regr_sxx(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_sxx(f8, i2) FROM v WHERE id = 1
SELECT regr_syy(c, a) FROM plain WHERE a <= 5
SELECT regr_syy(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_syy(f8, i2) FROM v WHERE id = 1
SELECT regr_sxy(c, a) FROM plain WHERE a <= 5
SELECT regr_sxy(f8, i2) FROM v WHERE id IN (1,2,6,7)
SELECT regr_sxy(f8, i2) FROM v WHERE id = 1
SELECT count(*) FROM v
SELECT count(DISTINCT b) FROM v
SELECT count(DISTINCT t) FROM v
SELECT count(DISTINCT i4 % 3) FROM v
SELECT sum(DISTINCT i2) FROM v
SELECT avg(DISTINCT i2) FROM v
SELECT count(*), sum(i2), min(t) FROM v WHERE false
SELECT sum(i2) FROM v GROUP BY b ORDER BY 1
SELECT b, count(*) FROM v GROUP BY b ORDER BY b
SELECT b, count(*) FROM v GROUP BY 1 ORDER BY 1 DESC
SELECT b, count(*) AS c FROM v GROUP BY b HAVING count(*) > 2 ORDER BY c
SELECT b AS x, sum(i2) FROM v GROUP BY x ORDER BY x NULLS FIRST
SELECT bool_and(b) FROM v
SELECT bool_or(b) FROM v
SELECT every(b) FROM v
SELECT bool_and(i4 > 0), bool_or(i4 > 0) FROM v
SELECT bool_and(b) FROM v WHERE false
SELECT bit_and(i2), bit_or(i2), bit_xor(i2) FROM v
SELECT bit_and(i4) FROM v WHERE id < 3
SELECT array_agg(i4 ORDER BY id) FROM v
SELECT array_agg(t ORDER BY id) FROM v
SELECT array_agg(b ORDER BY id) FROM v
SELECT array_agg(i2 ORDER BY i2 DESC) FROM v
SELECT array_agg(i2 ORDER BY i2 DESC NULLS LAST) FROM v
SELECT array_agg(DISTINCT b ORDER BY b) FROM v
SELECT array_agg(d ORDER BY id) FILTER (WHERE id < 4) FROM v
SELECT array_agg(i4) FROM v WHERE false
SELECT string_agg(t, ',' ORDER BY id) FROM v
SELECT string_agg(vc, '') FROM v WHERE false
SELECT string_agg(DISTINCT t, ',' ORDER BY t) FROM v
SELECT string_agg(t, NULL ORDER BY id) FROM v
SELECT string_agg(i4::text, '-' ORDER BY i4 DESC) FROM v
SELECT string_agg(vc, vc ORDER BY id) FROM v
SELECT string_agg(t, ',' ORDER BY id) FILTER (WHERE id > 5) FROM v
SELECT string_agg(by, '\x2c'::bytea ORDER BY id) FROM v
SELECT string_agg(t, ', ' ORDER BY length(t), t) FROM v WHERE id < 8
SELECT count(*) FILTER (WHERE b) FROM v
SELECT sum(i2) FILTER (WHERE i2 > 0) FROM v
SELECT avg(n) FILTER (WHERE id IN (1, 2)) FROM v
SELECT max(i4) FILTER (WHERE false) FROM v
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY i4) FROM v
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY i2) FROM v
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY f8) FROM v WHERE id IN (1, 2, 6, 7)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM v WHERE id IN (1, 2, 6, 7)
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY c) FROM plain WHERE a <= 10
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY c DESC) FROM plain WHERE a <= 10
SELECT percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY c) FROM plain WHERE a <= 10
SELECT percentile_cont(1.5) WITHIN GROUP (ORDER BY c) FROM plain WHERE a <= 10
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY c) FROM plain WHERE a < 0
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY iv) FROM v
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY i4) FROM v
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY t) FROM v
SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY d) FROM v
SELECT percentile_disc(0) WITHIN GROUP (ORDER BY i2) FROM v
SELECT mode() WITHIN GROUP (ORDER BY b) FROM v
SELECT mode() WITHIN GROUP (ORDER BY i4 % 2) FROM v WHERE id < 4
SELECT rank(1) WITHIN GROUP (ORDER BY i4) FROM v
SELECT b, percentile_cont(0.5) WITHIN GROUP (ORDER BY i2) FROM v GROUP BY b ORDER BY b
SELECT b, percentile_disc(0.5) WITHIN GROUP (ORDER BY i2) FROM v GROUP BY b ORDER BY b
SELECT b, mode() WITHIN GROUP (ORDER BY i2) FROM v GROUP BY b ORDER BY b
SELECT b, stddev(i2) FROM v GROUP BY b ORDER BY b
SELECT b, array_agg(id ORDER BY id) FROM v GROUP BY b ORDER BY b
SELECT b, string_agg(vc, ',' ORDER BY id) FROM v GROUP BY b ORDER BY b
SELECT b, bool_and(i4 > 0) FROM v GROUP BY b ORDER BY b
SELECT f, sum(a), avg(a), count(*) FROM plain GROUP BY f ORDER BY f
SELECT avg(a) FROM plain
SELECT avg(c) FROM plain
SELECT avg(g) FROM plain
SELECT avg(h) FROM plain
SELECT sum(h) FROM plain
SELECT sum(c) FROM plain WHERE a <= 10
SELECT sum(a) FROM plain
SELECT sum(g) FROM plain
SELECT sum(a::smallint) FROM plain
SELECT sum(a * 1.5) FROM plain
SELECT sum(a) / count(*) FROM plain
SELECT avg(a)::int FROM plain
SELECT round(avg(a), 2) FROM plain
SELECT round(avg(c)::numeric, 2) FROM plain
SELECT avg(a) * 2 FROM plain
SELECT sum(a) * 1.0 / count(*) FROM plain
SELECT max(d) - min(d) FROM plain
SELECT max(e) - min(e) FROM plain
SELECT avg(e - TIMESTAMP '2024-01-01') FROM plain WHERE a <= 10
SELECT sum(e - TIMESTAMP '2024-01-01') FROM plain WHERE a <= 10
SELECT b, i2 % 2, count(*) FROM v GROUP BY GROUPING SETS ((b), (i2 % 2), ()) ORDER BY 1, 2, 3
SELECT b, count(*) FROM v GROUP BY ROLLUP (b) ORDER BY 1, 2
SELECT b, i2 > 0 AS p, count(*) FROM v GROUP BY CUBE (b, i2 > 0) ORDER BY 1, 2, 3
SELECT b, grouping(b), count(*) FROM v GROUP BY ROLLUP (b) ORDER BY 1, 2, 3
SELECT f, a % 2 AS m, grouping(f, a % 2), count(*) FROM plain GROUP BY ROLLUP (f, a % 2) ORDER BY 1, 2, 3, 4
SELECT b, id % 2, grouping(b, id % 2) g, sum(i2) FROM v GROUP BY CUBE (b, id % 2) ORDER BY g, 1, 2
SELECT json_agg(id ORDER BY id) FROM v
SELECT jsonb_agg(id ORDER BY id) FROM v
SELECT json_agg(t ORDER BY id) FROM v
SELECT json_object_agg(id, t ORDER BY id) FROM v
SELECT xmlagg(NULL) FROM v
SELECT any_value(id) FROM v WHERE id = 1
SELECT range_agg(NULL) FROM v
SELECT sum(t) FROM v
SELECT avg(d) FROM v
SELECT sum(count(*)) FROM v
SELECT b FROM v GROUP BY i4
SELECT id, t FROM v GROUP BY id ORDER BY id
SELECT DISTINCT b FROM v ORDER BY b
SELECT DISTINCT b, i2 > 0 FROM v ORDER BY 1, 2
SELECT DISTINCT ON (b) b, id FROM v ORDER BY b, id
SELECT DISTINCT ON (b) b, id FROM v ORDER BY b, id DESC
SELECT id FROM v ORDER BY i4 NULLS FIRST, id
SELECT id FROM v ORDER BY i4 DESC, id
SELECT id FROM v ORDER BY f8, id
SELECT id FROM v ORDER BY f8 DESC NULLS LAST, id
SELECT id FROM v ORDER BY t, id
SELECT id FROM v ORDER BY d DESC, id
SELECT id FROM v ORDER BY iv, id
SELECT id FROM v ORDER BY b, id LIMIT 3
SELECT id FROM v ORDER BY id LIMIT 3 OFFSET 2
SELECT id FROM v ORDER BY id OFFSET 7
SELECT id FROM v ORDER BY id FETCH FIRST 2 ROWS ONLY
SELECT id FROM v ORDER BY id FETCH NEXT ROW ONLY
SELECT id FROM v ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY
SELECT b FROM v ORDER BY b FETCH FIRST 1 ROWS WITH TIES
SELECT id FROM v ORDER BY id LIMIT ALL
SELECT id FROM v ORDER BY id LIMIT NULL
SELECT id FROM v ORDER BY id LIMIT 1 + 1
SELECT id FROM v ORDER BY id LIMIT -1
SELECT id AS x FROM v ORDER BY -x
SELECT id, row_number() OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, rank() OVER (ORDER BY b) FROM v ORDER BY id
SELECT id, dense_rank() OVER (ORDER BY b) FROM v ORDER BY id
SELECT id, percent_rank() OVER (ORDER BY b) FROM v ORDER BY id
SELECT id, cume_dist() OVER (ORDER BY b) FROM v ORDER BY id
SELECT id, ntile(4) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, lag(i4) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, lag(i4, 2, 0) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, lead(i4) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, lead(t, 1, 'none') OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, first_value(i4) OVER (PARTITION BY b ORDER BY id) FROM v ORDER BY id
SELECT id, last_value(i4) OVER (PARTITION BY b ORDER BY id) FROM v ORDER BY id
SELECT id, nth_value(i4, 2) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, sum(i2) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, sum(i4) OVER (PARTITION BY b ORDER BY id) FROM v ORDER BY id
SELECT id, sum(i2) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM v ORDER BY id
SELECT id, sum(i2) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM v ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) FROM v ORDER BY id
SELECT id, sum(id) OVER (ORDER BY b GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM v ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM v ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM v ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM v ORDER BY id
SELECT id, avg(i2) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, avg(n) OVER (PARTITION BY b) FROM v ORDER BY id
SELECT id, count(*) OVER (PARTITION BY b) FROM v ORDER BY id
SELECT id, count(t) OVER () FROM v ORDER BY id
SELECT id, max(t) OVER (PARTITION BY b) FROM v ORDER BY id
SELECT id, min(d) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, sum(id) OVER w, avg(id) OVER w FROM v WINDOW w AS (PARTITION BY b ORDER BY id) ORDER BY id
SELECT id, count(*) FILTER (WHERE b) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, array_agg(id) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, string_agg(vc, ',') OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, stddev(i2) OVER (ORDER BY id) FROM v ORDER BY id
SELECT b, sum(count(*)) OVER (ORDER BY b) FROM v GROUP BY b ORDER BY b
SELECT id, lag(id) IGNORE NULLS OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, row_number() OVER () > 0 FROM v ORDER BY id
SELECT id, bool_and(b) OVER (ORDER BY id) FROM v ORDER BY id
SELECT id, 1.0 * sum(i2) OVER (ORDER BY id) / 2 FROM v WHERE id < 5 ORDER BY id
SELECT a, sum(h) OVER (ORDER BY a) FROM plain WHERE a < 5 ORDER BY a
SELECT (SELECT count(*) FROM v w WHERE w.id < v.id) FROM v ORDER BY id
SELECT id, (SELECT max(i4) FROM v w WHERE w.id <= v.id) FROM v ORDER BY id
SELECT id, (SELECT w.t FROM v w WHERE w.id = v.id + 1) FROM v ORDER BY id
SELECT (SELECT id FROM v)
SELECT (SELECT id FROM v WHERE id = 99)
SELECT id FROM v WHERE i4 = (SELECT max(i4) FROM v)
SELECT id FROM v WHERE EXISTS (SELECT 1 FROM plain WHERE a = v.id AND f) ORDER BY id
SELECT id FROM v WHERE NOT EXISTS (SELECT 1 FROM plain WHERE a = v.id AND f) ORDER BY id
SELECT id FROM v WHERE id IN (SELECT a FROM plain WHERE f) ORDER BY id
SELECT id FROM v WHERE id NOT IN (SELECT i4 FROM v w WHERE i4 IS NOT NULL) ORDER BY id
SELECT id FROM v WHERE id NOT IN (SELECT i4 FROM v w) ORDER BY id
SELECT id FROM v WHERE i4 > ALL (SELECT i2 FROM v w WHERE i2 < 50) ORDER BY id
SELECT id FROM v WHERE i4 = ANY (SELECT i2 FROM v w) ORDER BY id
SELECT id FROM v WHERE (id, i4) IN (SELECT id, i4 FROM v w) ORDER BY id
SELECT ARRAY(SELECT id FROM v ORDER BY id)
SELECT id, x FROM v, LATERAL (SELECT v.id * 2 AS x) l ORDER BY id
SELECT v.id, l.a FROM v CROSS JOIN LATERAL (SELECT a FROM plain WHERE a > v.id ORDER BY a LIMIT 1) l ORDER BY id
SELECT v.id, l.c FROM v LEFT JOIN LATERAL (SELECT count(*) AS c FROM plain WHERE a < v.id) l ON true ORDER BY id
SELECT v.id, g FROM v, generate_series(1, v.id) g WHERE v.id < 4 ORDER BY 1, 2
SELECT id, x FROM v, unnest(ai) AS x ORDER BY id, x
SELECT id, unnest(ai) FROM v ORDER BY 1, 2
SELECT unnest(ARRAY[1, 2, 3])
SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u(x, y)
SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u(x, n)
SELECT v.id, p.a FROM v JOIN plain p ON p.a = v.id AND v.b ORDER BY 1
SELECT v.id, p.a FROM v LEFT JOIN plain p ON p.a = v.i4 ORDER BY 1
SELECT count(*) FROM v FULL JOIN plain p ON p.a = v.i4
SELECT count(*) FROM v CROSS JOIN plain
SELECT id FROM v NATURAL JOIN (SELECT 1 AS id) x
SELECT id FROM v JOIN (VALUES (1), (2)) x(id) USING (id) ORDER BY id
SELECT * FROM v JOIN (VALUES (1)) x(id) USING (id)
SELECT v.* FROM v WHERE id = 1
SELECT * FROM v WHERE id = 2
SELECT v FROM v WHERE id = 1
WITH x AS (SELECT 1 AS a) SELECT a FROM x
WITH x(a) AS (VALUES (1), (2)) SELECT sum(a) FROM x
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r
WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n % 3 + 1 FROM r) SELECT n FROM r ORDER BY n
WITH x AS MATERIALIZED (SELECT 1 AS a) SELECT a FROM x
SELECT id FROM v WHERE b UNION SELECT a FROM plain WHERE a < 3 ORDER BY 1
SELECT id FROM v INTERSECT SELECT a FROM plain ORDER BY 1
SELECT id FROM v EXCEPT SELECT a FROM plain WHERE a < 8 ORDER BY 1
SELECT id FROM v EXCEPT ALL SELECT 1 ORDER BY 1
SELECT i4 FROM v UNION SELECT n FROM v ORDER BY 1
SELECT id, 'x' AS k FROM v WHERE id = 1 UNION ALL SELECT 2, NULL ORDER BY 1
TABLE v
SELECT id FROM v TABLESAMPLE BERNOULLI (100) ORDER BY id
SELECT id FROM v TABLESAMPLE SYSTEM (0)
SELECT id FROM ONLY v ORDER BY id
SELECT id FROM v FOR UPDATE
SELECT FROM v WHERE id = 1
SELECT ALL id FROM v ORDER BY id LIMIT 1
SELECT id "my id" FROM v WHERE id = 1
SELECT v.id, v.id FROM v WHERE id = 1
SELECT count(*) c, count(*) c FROM v
SELECT id id2, id2 FROM v
SELECT missing FROM v
SELECT id FROM missing
SELECT missing(1)
SELECT id FROM v WHERE t = 1
SELECT id FROM v WHERE i4 = 'x'
SELECT id FROM v WHERE i4 = '1'
SELECT id FROM v WHERE d = '2024-02-29'
SELECT id FROM v WHERE d = '2024-02-30'
SELECT id FROM v WHERE ts > '2024-01-01' ORDER BY id
SELECT id FROM v WHERE tz > '2024-01-01 00:00:00+05' ORDER BY id
SELECT id FROM v WHERE tm = '12:00'
SELECT id FROM v WHERE n = 0.125
SELECT id FROM v WHERE n = '0.125'
SELECT id FROM v WHERE f8 = 0.1
SELECT id FROM v WHERE f4 = 0.1
SELECT id FROM v WHERE f8 = 'NaN'
SELECT id FROM v WHERE f8 > 1e300 ORDER BY id
SELECT id FROM v WHERE b ORDER BY id
SELECT id FROM v WHERE NOT b ORDER BY id
SELECT id FROM v WHERE b = 't' ORDER BY id
SELECT id FROM v WHERE b IS NOT FALSE ORDER BY id
SELECT id FROM v WHERE t IN ('a', '') ORDER BY id
SELECT id FROM v WHERE t NOT IN ('a', '') ORDER BY id
SELECT id FROM v WHERE by = '\xdeadbeef'
SELECT id FROM v WHERE ai = ARRAY[1,2,3]
SELECT id FROM v WHERE ai @> ARRAY[1] ORDER BY id
SELECT id FROM v WHERE ai && ARRAY[1, 7] ORDER BY id
SELECT id FROM v WHERE i4 % 2 = 1 ORDER BY id
SELECT id FROM v WHERE i4 NOT BETWEEN 0 AND 100 ORDER BY id
SELECT id FROM v WHERE length(t) > 3 ORDER BY id
SELECT id FROM v WHERE upper(t) = 'A' ORDER BY id
SELECT id FROM v WHERE t ILIKE '%O%' ORDER BY id
SELECT id FROM v WHERE t ~ 'o' ORDER BY id
SELECT id FROM v WHERE extract(year FROM d) = 2024 ORDER BY id
SELECT id FROM v WHERE date_trunc('month', ts) = '2024-02-01' ORDER BY id
SELECT id FROM v WHERE coalesce(i4, 0) = 0 ORDER BY id
SELECT id FROM v WHERE CASE WHEN i4 <> 0 THEN 10 / i4 END > 1 ORDER BY id
SELECT id FROM v WHERE i4 + 1 > 2147483647
SELECT id FROM v WHERE nullif(i4, 0) IS NULL ORDER BY id
SELECT date_trunc('month', d) AS m, count(*) FROM v GROUP BY 1 ORDER BY 1
SELECT extract(year FROM ts) AS y, count(*) FROM v GROUP BY 1 ORDER BY 1
SELECT to_char(ts, 'YYYY-MM') AS y, count(*) FROM v GROUP BY 1 ORDER BY 1
SELECT round(n) AS r, count(*) FROM v GROUP BY 1 ORDER BY 1
SELECT ARRAY(SELECT 1 UNION ALL SELECT 2 ORDER BY 1 DESC)
SELECT ARRAY(SELECT id FROM v UNION ALL SELECT id FROM v ORDER BY id DESC)
SELECT ARRAY(SELECT id AS x FROM v ORDER BY x DESC LIMIT 2)
SELECT i2 IS NULL AS notnull, 1 AS isnull FROM v WHERE id = 1
SELECT i4 FROM v UNION ALL SELECT f4 FROM v WHERE id < 3 ORDER BY 1
