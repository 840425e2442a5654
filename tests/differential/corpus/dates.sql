-- Dates, times and intervals.
SELECT id, dd + 1, dd - 1, dd - DATE '2000-01-01' FROM m_edge ORDER BY 1;
SELECT id, dd + INTERVAL '1 month' FROM m_edge ORDER BY 1;
SELECT id, dd - INTERVAL '1 day' FROM m_edge ORDER BY 1;
SELECT id, tm + INTERVAL '1 month', tm - INTERVAL '1 year', tm + INTERVAL '90 minutes' FROM m_edge ORDER BY 1;
SELECT id, dd::timestamp, tm::date FROM m_edge ORDER BY 1;
SELECT id, d::timestamp FROM m_edge ORDER BY 1;
SELECT id, ts::date FROM m_edge ORDER BY 1;
SELECT id, tz::date FROM m_edge ORDER BY 1;
SELECT id, extract(year FROM d)::integer, extract(month FROM d)::integer, extract(day FROM d)::integer FROM m_edge ORDER BY 1;
SELECT id, extract(dow FROM d)::integer, extract(doy FROM d)::integer, extract(quarter FROM d)::integer, extract(week FROM d)::integer FROM m_edge ORDER BY 1;
SELECT id, extract(hour FROM tm)::integer, extract(minute FROM tm)::integer FROM m_edge ORDER BY 1;
SELECT id, extract(second FROM tm) FROM m_edge ORDER BY 1;
SELECT id, extract(epoch FROM dd)::bigint FROM m_edge ORDER BY 1;
SELECT id, date_trunc('month', tm), date_trunc('year', tm), date_trunc('hour', tm), date_trunc('week', tm) FROM m_edge ORDER BY 1;
SELECT id, date_trunc('day', ts) FROM m_edge ORDER BY 1;
SELECT id, date_part('year', dd)::integer FROM m_edge ORDER BY 1;
SELECT id, tm - TIMESTAMP '2000-01-01 00:00:00' FROM m_edge ORDER BY 1;
SELECT min(d), max(d), min(dd), max(dd), count(DISTINCT d) FROM m_edge;
SELECT min(ts), max(ts), min(tm), max(tm), min(tz), max(tz) FROM m_edge;
SELECT d, count(*) FROM m_edge GROUP BY d ORDER BY 1;
SELECT ts, count(*) FROM m_edge GROUP BY ts ORDER BY 1 DESC;
SELECT tz, count(*) FROM m_edge GROUP BY tz ORDER BY 1 NULLS FIRST;
SELECT date_trunc('month', dd)::date, count(*) FROM m_big GROUP BY date_trunc('month', dd)::date;
SELECT extract(year FROM dd)::integer, count(*) FROM m_big GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM m_big WHERE dd >= DATE '2020-06-01' AND dd < DATE '2020-06-01' + INTERVAL '1 month';
SELECT count(*) FROM m_big WHERE dd BETWEEN DATE '2020-12-31' AND DATE '2021-01-02';
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.d = b.d;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.tm::date = b.dd;
SELECT a.id, b.k FROM m_edge a JOIN m_twin b ON a.tm > b.dd AND a.k = b.k;
SELECT id FROM m_edge WHERE d = '2024-02-29'::date;
SELECT id FROM m_edge WHERE ts < d;
SELECT id FROM m_edge WHERE tz > tm;
SELECT CAST(DATE '9999-12-31' AS timestamp);
SELECT DATE '2024-01-31' + INTERVAL '1 month', DATE '2024-03-31' - INTERVAL '1 month', DATE '2024-02-29' + 1;
SELECT TIMESTAMP '2024-02-29 12:00' + INTERVAL '1 year';
SELECT to_char(dd, 'YYYY') FROM m_edge;

-- Days compared with moments: at midnight, and beside it.
SELECT id FROM m_edge WHERE d < DATE '2024-02-28' + INTERVAL '1 day';
SELECT id FROM m_edge WHERE d <= TIMESTAMP '2024-02-29 00:00:00' AND d >= TIMESTAMP '1970-01-01 00:00:00';
SELECT id FROM m_edge WHERE d <= TIMESTAMP '2024-02-29 00:00:00.000001' AND d > TIMESTAMP '1969-12-31 23:59:59.999999';
SELECT id FROM m_edge WHERE TIMESTAMP '2024-02-29' > d OR TIMESTAMP '2024-02-29' = d;
SELECT id FROM m_edge WHERE d <> TIMESTAMP '2024-02-29' AND NOT (d = TIMESTAMP '1970-01-01 00:00:01');
SELECT id FROM m_edge WHERE d BETWEEN TIMESTAMP '1970-01-01' AND TIMESTAMP '2024-02-29';
SELECT id, d IS DISTINCT FROM TIMESTAMP '2024-02-29' FROM m_edge;
SELECT a.id, b.k FROM m_edge a LEFT JOIN m_twin b ON a.k = b.k AND b.d > DATE '1969-12-31' + INTERVAL '1 day';
SELECT count(*) FILTER (WHERE d > DATE '2024-01-31' + INTERVAL '1 month') FROM m_edge;

-- A constant with a zone beside the same one without.
SELECT id FROM m_dim WHERE CASE WHEN ch IS NOT NULL THEN TIMESTAMP '1970-01-01 00:00:00' END <= TIMESTAMP '2024-01-31 00:00:00' AND CASE WHEN ch IS NOT NULL THEN TIMESTAMPTZ '1970-01-01 00:00:00+00' END <> TIMESTAMPTZ '2024-01-31 00:00:00+00';
SELECT id, CASE WHEN ch IS NOT NULL THEN TIMESTAMP '1970-01-01 00:00:00' END, CASE WHEN ch IS NOT NULL THEN TIMESTAMPTZ '1970-01-01 00:00:00+00' END FROM m_dim;
SELECT id FROM m_dim WHERE (CASE WHEN ch IS NOT NULL THEN TIMESTAMP '1970-01-01 00:00:00' END)::text < '2' AND (CASE WHEN ch IS NOT NULL THEN TIMESTAMPTZ '1970-01-01 00:00:00+00' END)::text LIKE '%+00';
