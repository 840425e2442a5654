-- Joins of one to four tables, and outer joins under filters of either side.
SELECT a.id, b.id FROM m_edge a JOIN m_edge b ON a.i4 = b.i4;
SELECT a.id, b.id FROM m_edge a JOIN m_dim b ON a.k = b.id;
SELECT a.id, b.id FROM m_edge a JOIN m_dim b ON a.k = b.k AND a.b;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id AND b.id > 3;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id AND a.id > 30;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id WHERE b.id > 3;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id WHERE b.id IS NULL;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id WHERE b.id > 3 OR a.b;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id WHERE COALESCE(b.k, a.k) > 1;
SELECT a.id, b.id FROM m_edge a RIGHT JOIN m_dim b ON a.k = b.id;
SELECT a.id, b.id FROM m_edge a RIGHT JOIN m_dim b ON a.k = b.id WHERE a.i4 > 0;
SELECT a.id, b.k FROM m_dim a RIGHT JOIN m_twin b ON a.k = b.k WHERE COALESCE(b.b, a.k > 1);
SELECT a.id, b.k FROM m_dim a RIGHT JOIN m_twin b ON a.k = b.k WHERE (a.k IS NOT DISTINCT FROM b.i4);
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE NOT COALESCE(b.b, false);
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE CASE WHEN b.k IS NULL THEN true ELSE b.b END;
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE (b.k > 1) IS NOT TRUE;
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE (b.k > 1) IS NULL;
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE b.k NOT IN (1, 2);
SELECT a.id, b.k FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k WHERE b.ti LIKE '%';
SELECT a.id, b.id FROM m_edge a FULL JOIN m_dim b ON a.k = b.id;
SELECT a.id, b.id FROM m_edge a FULL JOIN m_dim b ON a.k = b.id WHERE a.id > 40 OR b.id > 6;
SELECT a.id, b.id FROM m_edge a FULL JOIN m_dim b ON a.k = b.id WHERE a.id IS NULL;
SELECT a.id, b.id FROM m_edge a FULL JOIN m_dim b ON a.k = b.id WHERE b.tc = 'a';
SELECT count(*) FROM m_edge a CROSS JOIN m_dim b;
SELECT a.id, b.id FROM m_dim a, m_dim b WHERE a.id < b.id AND a.k = b.k;
SELECT a.id, b.id FROM m_dim a JOIN m_dim b ON a.id > b.id;
SELECT a.id, b.id, c.id FROM m_edge a JOIN m_dim b ON a.k = b.id JOIN m_big c ON c.id = a.id;
SELECT a.id, b.id, c.k FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id LEFT JOIN m_twin c ON b.k = c.k;
SELECT a.id, b.id, c.k FROM m_edge a LEFT JOIN m_dim b ON a.k = b.id JOIN m_twin c ON b.k = c.k;
SELECT a.id, b.id, c.k FROM m_edge a LEFT JOIN (m_dim b JOIN m_twin c ON b.k = c.k) ON a.k = b.id;
SELECT a.id, b.id, c.k, d.id FROM m_one d RIGHT JOIN m_edge a ON a.k = d.k LEFT JOIN m_dim b ON a.k = b.id FULL JOIN m_twin c ON b.k = c.k;
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_none b ON a.k = b.k;
SELECT a.id, b.id FROM m_edge a JOIN m_none b ON a.k = b.k;
SELECT a.id, b.id FROM m_none a FULL JOIN m_one b ON a.k = b.k;
SELECT a.id, b.id FROM m_none a RIGHT JOIN m_dim b ON a.k = b.k;
SELECT k, a.id, b.id FROM m_edge a JOIN m_dim b USING (k);
-- differs: the column of USING is the left one
SELECT k, a.id, b.id FROM m_edge a FULL JOIN m_dim b USING (k);
SELECT a.id, b.id FROM m_edge a LEFT JOIN m_edge b ON a.b = b.b AND a.k = b.k AND a.t < b.t;
SELECT a.id, count(b.k) FROM m_dim a LEFT JOIN m_twin b ON a.k = b.k GROUP BY a.id;
SELECT b.id, sum(a.n), count(*) FROM m_big a JOIN m_dim b ON a.k = b.id GROUP BY b.id;
SELECT b.tc, count(*) FROM m_big a JOIN m_dim b ON a.k = b.id GROUP BY b.tc;
SELECT count(*) FROM m_big a JOIN m_big b ON a.id = b.id WHERE b.k = 7;
SELECT a.id FROM m_big a JOIN m_dim b ON a.k = b.id WHERE b.tc = 'A' AND a.b ORDER BY 1 LIMIT 5;
SELECT a.id, a.ti FROM m_big a JOIN m_dim b ON a.ti = b.ti ORDER BY a.id LIMIT 7 OFFSET 3;
SELECT a.id, b.id FROM m_edge a JOIN m_dim b ON a.k = b.id AND a.k = b.k;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON (a.i4 IS NOT DISTINCT FROM b.i4);
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON (a.f IS NOT DISTINCT FROM b.f);
SELECT a.id, b.k FROM m_edge a LEFT JOIN m_twin b ON a.k + 1 = b.k * 2;
SELECT a.id, b.id FROM m_dim a LEFT JOIN m_dim b ON true WHERE a.id = 0;
SELECT a.id, b.id FROM m_dim a LEFT JOIN m_dim b ON false;
SELECT a.id, b.id FROM m_dim a JOIN m_dim b ON NULL;
SELECT s.k, b.id FROM (SELECT k, count(*) AS n FROM m_twin GROUP BY k) s LEFT JOIN m_dim b ON s.n = b.id;
SELECT s.id, b.k FROM (SELECT id, k FROM m_edge ORDER BY id LIMIT 5) s LEFT JOIN m_twin b ON s.k = b.k;

-- A condition over columns of both sides, above an outer join, with names that both sides have.
SELECT date_trunc('month', t2.dd) AS c3, t1.i4 AS c4 FROM m_twin t1 RIGHT JOIN m_edge t2 ON t1.k = t2.id WHERE date_trunc('month', t1.dd)::date > t2.d AND t2.i4 < 2 ORDER BY 2 DESC, 1 DESC NULLS LAST;
SELECT t1.w AS c5 FROM m_twin t1 JOIN m_dim t2 ON CASE WHEN t2.ti IS NOT NULL THEN TIMESTAMPTZ '1970-01-01 00:00:00+00' END NOT IN (TIMESTAMPTZ '2024-02-29 12:00:00+05:30');

-- Columns of one name on one side of a join: what a join has no use for is told of the right one.
SELECT t1.k AS c5 FROM m_twin t1 JOIN m_twin t2 ON t1.k IS NULL = (t2.k IS NULL) JOIN m_dim t3 ON t2.k = t3.id RIGHT JOIN m_dim t4 ON t3.k = t4.id;
SELECT t1.k, t2.k, t3.k FROM m_edge t1 JOIN m_edge t2 ON t1.b = t2.b JOIN m_dim t3 ON t2.k = t3.id;
SELECT s.k, t.id FROM (SELECT i4 AS k, k AS i4 FROM m_edge UNION ALL SELECT k, i4 FROM m_twin) s JOIN m_dim t ON s.k = t.id;
SELECT s.k, t.id FROM (SELECT k + 1 AS k, count(*) AS c FROM m_edge GROUP BY k + 1) s JOIN m_dim t ON s.k = t.id;
SELECT s.k, t.id FROM (SELECT k AS i4, i4 AS k FROM m_edge) s JOIN m_dim t ON s.k = t.id JOIN m_dim u ON s.i4 = u.id;
