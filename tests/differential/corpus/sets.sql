-- Set operations, orders and limits.
SELECT id FROM m_edge WHERE id > 40 UNION ALL SELECT id FROM m_edge WHERE id < 3 ORDER BY id;
SELECT k FROM m_edge UNION SELECT k FROM m_dim;
SELECT k FROM m_edge UNION ALL SELECT k FROM m_dim;
SELECT k FROM m_edge INTERSECT SELECT k FROM m_dim;
SELECT k FROM m_edge EXCEPT SELECT k FROM m_dim;
-- differs: planned as a semi join: the number of equal rows is lost
SELECT k FROM m_twin INTERSECT ALL SELECT k FROM m_edge;
-- differs: planned as an anti join: the number of equal rows is lost
SELECT k FROM m_twin EXCEPT ALL SELECT k FROM m_dim;
SELECT k, b FROM m_edge EXCEPT SELECT k, b FROM m_twin;
SELECT k, b FROM m_edge INTERSECT SELECT k, b FROM m_twin;
SELECT f FROM m_edge UNION SELECT f FROM m_twin;
SELECT f FROM m_edge EXCEPT SELECT f FROM m_twin;
-- refused XX000: the value is not in the announced type
SELECT k FROM m_edge UNION SELECT n FROM m_twin;
-- refused XX000: the value is not in the announced type
SELECT i4 FROM m_edge UNION ALL SELECT i8 FROM m_edge;
-- refused XX000: the value is not in the announced type
SELECT k FROM m_edge UNION ALL SELECT g FROM m_edge;
-- refused XX000: the value is not in the announced type
SELECT dd FROM m_edge UNION SELECT tm FROM m_edge;
SELECT u FROM m_dim UNION SELECT tc FROM m_dim;
-- refused XX000: the value is not in the announced type
SELECT NULL AS a UNION SELECT k FROM m_dim;
(SELECT id FROM m_edge ORDER BY id LIMIT 3) UNION ALL (SELECT id FROM m_edge ORDER BY id DESC LIMIT 3);
SELECT s.k, count(*) FROM (SELECT k FROM m_edge UNION ALL SELECT k FROM m_twin) s GROUP BY s.k;
SELECT s.k FROM (SELECT k, 1 AS w FROM m_edge UNION ALL SELECT k, 2 FROM m_twin) s WHERE s.w = 2;
SELECT k FROM m_none UNION ALL SELECT k FROM m_one;
SELECT k FROM m_edge EXCEPT SELECT k FROM m_none;
SELECT id FROM m_edge ORDER BY i4, id LIMIT 3 OFFSET 2;
SELECT id FROM m_edge ORDER BY i4 DESC, id LIMIT 4;
SELECT id FROM m_edge ORDER BY n NULLS FIRST, id LIMIT 5;
SELECT id FROM m_edge ORDER BY n DESC NULLS LAST, id LIMIT 5;
SELECT id FROM m_edge ORDER BY k, i4 DESC, id LIMIT 1 OFFSET 1;
SELECT id FROM m_edge ORDER BY id LIMIT 0;
SELECT id FROM m_edge ORDER BY id OFFSET 45;
SELECT id FROM m_edge ORDER BY id LIMIT 10 OFFSET 1000;
SELECT id FROM m_edge ORDER BY id LIMIT ALL;
-- refused 0A000: FETCH is not known
SELECT id FROM m_edge ORDER BY id FETCH FIRST 3 ROWS ONLY;
SELECT id FROM m_edge WHERE tc = 'a' ORDER BY id LIMIT 2;
SELECT id FROM m_edge WHERE f = 0 ORDER BY id LIMIT 5;
SELECT id FROM m_edge WHERE f <= 0 AND ch IN ('a', 'b') ORDER BY id LIMIT 5;
SELECT id FROM m_edge ORDER BY -k, id LIMIT 6;
SELECT id FROM m_edge ORDER BY abs(k - 4), id LIMIT 6;
SELECT id FROM m_edge ORDER BY CASE WHEN b THEN 0 ELSE 1 END, id LIMIT 9;
SELECT id FROM m_edge ORDER BY b, tc, id LIMIT 9;
SELECT id FROM m_edge ORDER BY u DESC, id LIMIT 9;
SELECT id, k FROM m_edge ORDER BY 2 DESC;
SELECT id FROM m_big ORDER BY id LIMIT 3 OFFSET 2990;
SELECT id FROM m_big WHERE k = 3 ORDER BY n DESC NULLS LAST, id LIMIT 10;
SELECT id, ti FROM m_big ORDER BY ti, id LIMIT 10;
SELECT s.id FROM (SELECT id FROM m_big ORDER BY id DESC LIMIT 10) s ORDER BY s.id LIMIT 3;
SELECT s.id FROM (SELECT id, k FROM m_big ORDER BY id LIMIT 100) s WHERE s.k = 7;
SELECT count(*) FROM m_edge LIMIT 1 OFFSET 1;
SELECT x.a, y.b FROM (VALUES (1), (2), (NULL)) x(a) FULL JOIN (VALUES (2), (3), (NULL)) y(b) ON x.a = y.b;
SELECT m.id, x.a FROM m_dim m JOIN (VALUES (1, 'x'), (3, 'y')) x(i, a) ON m.id = x.i;
SELECT id, i2, i4, i8, n, nt, x, f, g, r, t, ti, tc, ch, v, e, u, b, d, dd, ts, tm, tz FROM m_edge ORDER BY id;
SELECT * FROM m_twin;
SELECT * FROM m_dim;
SELECT * FROM m_none;
SELECT * FROM m_one;
