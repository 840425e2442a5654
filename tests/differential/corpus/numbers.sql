-- Arithmetic, casts and aggregates of numbers.
SELECT id, k + 1, k - 1, k * 3, k / 2, -k / 2, k % 3, -k % 3 FROM m_edge ORDER BY 1;
SELECT id, nt + 1, nt - 0.01, nt * 1.5, -nt FROM m_edge ORDER BY 1;
SELECT id, g + 1, g * 2.5, g / 2, -g FROM m_edge ORDER BY 1;
SELECT id, k + nt, k * g, nt + g FROM m_edge ORDER BY 1;
-- refused 42883: the function is missing
SELECT id, abs(k), abs(n), abs(f), sign(nt) FROM m_edge ORDER BY 1;
SELECT id, round(nt), round(nt, 1), floor(nt), ceil(nt), trunc(nt) FROM m_edge ORDER BY 1;
SELECT id, round(g), floor(g), ceil(g), trunc(g) FROM m_edge ORDER BY 1;
SELECT id, g::integer, nt::integer, (g + 0.5)::bigint FROM m_edge ORDER BY 1;
SELECT id, k::text, nt::text, i8::text, b::text, dd::text FROM m_edge ORDER BY 1;
SELECT id, i4::bigint, i4::numeric(20, 2), i4::float8, n::float8 FROM m_edge ORDER BY 1;
SELECT id, k::float8 / 4, k::numeric(10, 2) FROM m_edge ORDER BY 1;
SELECT id, GREATEST(k, 3), LEAST(k, nt), GREATEST(f, g), LEAST(f, g), COALESCE(k, 0) FROM m_edge ORDER BY 1;
SELECT id, NULLIF(k, 3), NULLIF(g, 0), NULLIF(f, 'NaN') FROM m_edge ORDER BY 1;
-- differs: integers wrap
SELECT id, i4 + 1 FROM m_edge;
SELECT id, i4 * i4 FROM m_edge;
SELECT id, -i4 FROM m_edge;
SELECT id, abs(i4) FROM m_edge;
SELECT id, i8 + 1 FROM m_edge;
SELECT id, i8 * 2 FROM m_edge;
SELECT id, i8::integer FROM m_edge;
SELECT id, i4::smallint FROM m_edge;
SELECT id, f::integer FROM m_edge;
SELECT id, i4 / 0 FROM m_edge;
SELECT id, nt / 0 FROM m_edge;
SELECT id, g / 0 FROM m_edge;
SELECT id, f * 10 FROM m_edge WHERE f = 1e308;
SELECT id, k / (k - 5) FROM m_edge WHERE k <> 5;
SELECT id, CASE WHEN k = 0 THEN 0 ELSE 10 / k END FROM m_edge ORDER BY 1;
SELECT sum(i8) FROM m_edge;
SELECT sum(i4), sum(i2), sum(k) FROM m_edge;
SELECT sum(nt), sum(n), min(n), max(n) FROM m_edge;
SELECT sum(x) FROM m_edge;
SELECT min(x), max(x), count(x) FROM m_edge;
SELECT sum(g), avg(g), min(g), max(g) FROM m_edge;
-- differs: -0 is not 0
SELECT min(f), max(f), count(f), count(DISTINCT f) FROM m_edge;
SELECT min(r), max(r) FROM m_edge;
SELECT max(f) FROM m_edge WHERE f <> 'NaN'::float8;
SELECT max(f), min(f) FROM m_twin;
-- differs: NaN is left out
SELECT k, max(f), min(f) FROM m_edge GROUP BY k ORDER BY 1;
SELECT avg(k), avg(i2) FROM m_edge;
SELECT avg(nt) FROM m_edge;
SELECT nt / 3 FROM m_edge;
SELECT 1.0 / 3, 2.50 / 7, 10 / 4, 10 / 4.0, 7 % 3.5;
SELECT count(*), count(k), count(DISTINCT k), count(DISTINCT nt) FROM m_edge;
-- refused 42883: the function is missing
SELECT stddev(k), variance(k) FROM m_edge WHERE k < 0;
SELECT f, count(*) FROM m_edge GROUP BY f;
SELECT DISTINCT f FROM m_edge;
SELECT f, id FROM m_edge ORDER BY f, id;
SELECT f, id FROM m_edge ORDER BY f DESC NULLS LAST, id LIMIT 8;
SELECT r, id FROM m_edge ORDER BY r, id;
SELECT a.id, b.id FROM m_edge a JOIN m_edge b ON a.f = b.f WHERE a.id < b.id;
SELECT a.id, b.id FROM m_edge a JOIN m_edge b ON a.f = b.r;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.n = b.n;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.i8 = b.i4;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.nt = b.k;
SELECT w, count(*) FROM m_twin GROUP BY w;
SELECT min(w), max(w), sum(w) FROM m_twin;
SELECT w FROM m_twin WHERE w > 0.00000000000000000001;
SELECT w FROM m_twin WHERE w = 123456789012345678901234567890.5;
SELECT k FROM m_edge WHERE f > 1e307;
SELECT k FROM m_edge WHERE f < 1e-300 AND f > 0;
-- differs: integers wrap
SELECT 2147483647 + 1, 2 ^ 3, 5 / 2, -5 / 2, 5 % -3, 0.1 + 0.2 = 0.3;
SELECT 9223372036854775807 + 1;
SELECT 1::float8 / 0;
SELECT ln(0::float8);
SELECT sqrt(-1::float8);
SELECT exp(1000::float8);
SELECT CASE WHEN k IS NULL THEN 1 ELSE 2.5 END FROM m_edge;
SELECT COALESCE(k, 2.5) FROM m_edge;
SELECT n <> round(n, 2) FROM m_one;

-- The type of round hangs on the value of its second argument.
SELECT id FROM m_edge WHERE round(nt, 1) IN (SELECT nt FROM m_edge);
SELECT a.id, b.id FROM m_edge a JOIN m_edge b ON round(a.nt, 1) = b.nt;
SELECT round(nt, -1), round(nt, 2), round(nt) FROM m_edge;
SELECT round(nt, 1) FROM m_edge UNION SELECT nt FROM m_edge;
SELECT nt FROM m_edge WHERE round(nt, 1) IN (12.50, 7.0, 0);
