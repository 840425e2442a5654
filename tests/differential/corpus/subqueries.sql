-- IN, EXISTS, scalar and correlated subqueries.
SELECT a.id FROM m_edge a WHERE a.k IN (SELECT b.k FROM m_dim b);
SELECT a.id FROM m_edge a WHERE a.i4 IN (SELECT b.i4 FROM m_twin b WHERE b.k > 1);
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.id FROM m_dim b);
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.k FROM m_dim b);
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.k FROM m_dim b WHERE b.k IS NOT NULL);
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.k FROM m_none b);
SELECT a.id FROM m_edge a WHERE a.k IN (SELECT b.k FROM m_none b);
-- differs: NULL NOT IN (SELECT …) is taken for true
SELECT a.id FROM m_dim a WHERE NULL::integer NOT IN (SELECT b.id FROM m_edge b);
SELECT a.id FROM m_dim a WHERE NULL::integer NOT IN (SELECT b.id FROM m_none b);
SELECT a.id FROM m_edge a WHERE NOT (a.k IN (SELECT b.k FROM m_dim b));
SELECT a.id FROM m_edge a WHERE a.k IN (SELECT b.k FROM m_dim b) OR a.b;
-- differs: NULL NOT IN (SELECT …) is taken for true
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.id FROM m_dim b) OR a.b;
-- differs: NULL NOT IN (SELECT …) is taken for true
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.k FROM m_dim b) IS NULL;
SELECT a.id, a.k IN (SELECT b.k FROM m_dim b) FROM m_edge a;
SELECT a.id FROM m_edge a WHERE a.k IN (SELECT b.k FROM m_twin b WHERE b.i4 = a.i4);
SELECT a.id FROM m_edge a WHERE a.k NOT IN (SELECT b.k FROM m_twin b WHERE b.i4 = a.i4);
SELECT a.id FROM m_edge a WHERE a.tc IN (SELECT b.tc FROM m_dim b WHERE b.id > 0);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT 1 FROM m_dim b WHERE b.k = a.k);
SELECT a.id FROM m_edge a WHERE NOT EXISTS (SELECT 1 FROM m_dim b WHERE b.k = a.k);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT 1 FROM m_dim b WHERE b.k = a.k AND b.id > a.id);
SELECT a.id FROM m_edge a WHERE NOT EXISTS (SELECT 1 FROM m_edge b WHERE b.i4 = a.i4 AND b.id <> a.id);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT 1 FROM m_none b);
SELECT a.id FROM m_edge a WHERE NOT EXISTS (SELECT 1 FROM m_none b);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT NULL FROM m_one b);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT max(b.k) FROM m_none b);
-- differs: an aggregate without GROUP BY always has a row
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT max(b.k) FROM m_dim b WHERE b.k = a.k);
-- differs: an aggregate without GROUP BY always has a row
SELECT a.k FROM m_twin a WHERE NOT EXISTS (SELECT count(*) FROM m_twin b WHERE b.k = a.i4);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT b.k FROM m_dim b WHERE b.k = a.k GROUP BY b.k HAVING count(*) > 1);
SELECT a.id FROM m_edge a WHERE EXISTS (SELECT 1 FROM m_dim b WHERE b.k = a.k) OR a.k = 5;
SELECT a.id, EXISTS (SELECT 1 FROM m_dim b WHERE b.k = a.k) FROM m_edge a;
SELECT a.id FROM m_edge a WHERE a.k = (SELECT max(b.k) FROM m_twin b);
SELECT a.id FROM m_edge a WHERE a.k > (SELECT avg(b.k) FROM m_twin b);
SELECT a.id FROM m_edge a WHERE a.k = (SELECT max(b.k) FROM m_none b);
SELECT a.id FROM m_edge a WHERE a.k = (SELECT max(b.k) FROM m_twin b WHERE b.i4 = a.i4);
SELECT a.id, (SELECT count(*) FROM m_twin b WHERE b.k = a.k) FROM m_edge a;
SELECT a.id, (SELECT count(*) FROM m_none b WHERE b.k = a.k) FROM m_edge a;
SELECT a.id, (SELECT sum(b.k) FROM m_twin b WHERE b.k = a.k) FROM m_edge a;
SELECT a.id, (SELECT COALESCE(sum(b.k), 0) FROM m_twin b WHERE b.k = a.k) FROM m_edge a;
SELECT a.id, (SELECT max(b.tc) FROM m_dim b WHERE b.id = a.k) FROM m_edge a;
-- refused 42601: a correlated subquery that may have several rows
SELECT a.id, (SELECT b.tc FROM m_dim b WHERE b.id = a.k) FROM m_edge a;
-- refused 42601: a correlated subquery that may have several rows
SELECT a.id, (SELECT b.id FROM m_dim b WHERE b.k = a.k) FROM m_edge a;
SELECT (SELECT k FROM m_none), (SELECT k FROM m_one), (SELECT count(*) FROM m_none);
SELECT (SELECT id FROM m_dim);
SELECT a.id FROM m_dim a WHERE 1 < (SELECT count(*) FROM m_twin b WHERE b.k = a.k);
SELECT a.id FROM m_dim a WHERE 0 = (SELECT count(*) FROM m_twin b WHERE b.k = a.k);
SELECT s.k, s.n FROM (SELECT k, count(*) AS n FROM m_edge GROUP BY k) s WHERE s.n > 3;
SELECT s.k FROM (SELECT k, max(i4) AS m FROM m_edge GROUP BY k) s WHERE NOT (s.m IN (7, 8, NULL));
SELECT s.k FROM (SELECT k, max(i4) AS m FROM m_edge GROUP BY k) s WHERE s.m NOT IN (7, 8, NULL);
SELECT s.k FROM (SELECT k, count(*) AS n FROM m_edge GROUP BY k) s WHERE NOT (s.n IN (4, NULL));
SELECT s.k FROM (SELECT DISTINCT k FROM m_edge) s WHERE s.k NOT IN (1, NULL);
SELECT s.id FROM (SELECT id, k FROM m_edge LIMIT 100) s WHERE s.k = 1;
SELECT s.id FROM (SELECT id, k FROM m_edge ORDER BY id LIMIT 10) s WHERE s.k > 1;
SELECT count(*) FROM (SELECT id FROM m_big LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM m_big WHERE b LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM m_edge WHERE tc = 'a' LIMIT 3) s;
SELECT count(*) FROM (SELECT id FROM m_edge WHERE f = 0 LIMIT 5) s;
SELECT count(*) FROM (SELECT id FROM m_edge WHERE ch = 'a' LIMIT 1) s;
WITH w AS (SELECT k, count(*) AS n FROM m_edge GROUP BY k) SELECT a.k, b.n FROM w a JOIN w b ON a.k = b.n;
WITH w AS (SELECT id, k FROM m_edge WHERE b), v AS (SELECT k, max(id) AS id FROM w GROUP BY k) SELECT w.id FROM w JOIN v ON w.id = v.id;
WITH RECURSIVE w(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w WHERE n < 5) SELECT w.n, d.tc FROM w LEFT JOIN m_dim d ON d.id = w.n;
SELECT a.id FROM m_edge a WHERE a.k = ANY (SELECT b.k FROM m_dim b);
SELECT a.id FROM m_edge a WHERE a.k > ALL (SELECT b.k FROM m_one b);
SELECT a.id, s.k FROM m_dim a, LATERAL (SELECT b.k FROM m_twin b WHERE b.k = a.k) s;
