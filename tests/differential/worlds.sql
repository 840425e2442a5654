-- Makes the other world of tests/differential/worlds.rs out of a copy of the tables: what its policy
-- hides is another, and what it shows is the same, row by row and in the same order.
CREATE PROCEDURE begin_change(name text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TEMP TABLE changed AS SELECT row_number() OVER (ORDER BY ctid)::numeric AS place, * FROM %I', name);
END $$;
CREATE PROCEDURE end_change(name text) LANGUAGE plpgsql AS $$
DECLARE
    list text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                  FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0);
BEGIN
    EXECUTE format('TRUNCATE %I', name);
    EXECUTE format('INSERT INTO %I SELECT %s FROM changed ORDER BY place', name, list);
    DROP TABLE changed;
END $$;

CALL begin_change('m_edge');
DELETE FROM changed WHERE ((i2 >= 0 OR i2 IS NULL) AND k <> 9) IS NOT TRUE;
-- Hidden columns, and values under masks.
UPDATE changed SET
    i2 = CASE WHEN i2 IS NULL THEN 5 WHEN i2 = 0 THEN NULL ELSE 0 END,
    x = place * 1000000, tm = TIMESTAMP '1999-01-01' + place::integer * INTERVAL '1 day',
    t = 'raw ' || place, nt = 99999999.99 - place, ti = CASE WHEN place % 3 = 0 THEN NULL ELSE 'raw' || place END,
    v = CASE WHEN char_length(v) > 4 THEN left(v, 1) || 'other' || right(v, 1) WHEN v IS NOT NULL THEN 'qq' END;
-- Hidden rows, before, between and behind the others: of values that no row has that shows, and at
-- which expressions fail.
INSERT INTO changed
SELECT (jsonb_populate_record(c, jsonb_build_object(
    'place', place - 1 + step * 0.01, 'id', 1000 * step + id,
    'i2', CASE WHEN step % 2 = 0 THEN -32768 ELSE 7 END,
    'k', CASE WHEN step % 2 = 0 THEN 3 WHEN step % 4 = 1 THEN 9 END,
    'i4', CASE WHEN step % 3 = 0 THEN 2147483647 ELSE 7 END, 'i8', -9223372036854775808,
    'n', 9999999999999999.9999, 'nt', 0, 'g', -4, 't', '12x', 'ch', 'hidden', 'v', 'hidden',
    'tc', 'HIDDEN', 'e', 'Zen', 'b', true, 'd', '5555-05-05', 'dd', '1066-10-14', 'tz', '1066-10-14'))).*
FROM changed c, generate_series(1, 9) AS step;
CALL end_change('m_edge');

CALL begin_change('m_twin');
DELETE FROM changed WHERE (k <= 3) IS NOT TRUE;
UPDATE changed SET
    n = CASE WHEN n IS NULL THEN 4.5 END, w = place,
    tc = CASE WHEN char_length(tc) > 3 THEN 'other' || right(tc, 1) WHEN tc IS NOT NULL THEN 'qq' END;
INSERT INTO changed
SELECT (jsonb_populate_record(c, jsonb_build_object(
    'place', place - 1 + step * 0.01, 'k', CASE WHEN step % 5 = 0 THEN NULL ELSE 3 + step END, 'i4', 3, 'n', 0, 'w', 0,
    'f', -1, 'g', -9, 'ti', 'hidden', 'tc', 'hidden', 'd', '5555-05-05', 'dd', '1066-10-14', 'b', true))).*
FROM changed c, generate_series(1, 15) AS step;
CALL end_change('m_twin');

CALL begin_change('m_dim');
UPDATE changed SET
    u = md5(id::text)::uuid,
    ti = CASE WHEN char_length(ti) > 3 THEN left(ti, 1) || 'other words' WHEN ti IS NOT NULL THEN 'q' END;
CALL end_change('m_dim');

CALL begin_change('m_big');
UPDATE changed SET ti = repeat('raw', 100) || place;
CALL end_change('m_big');

DROP PROCEDURE begin_change;
DROP PROCEDURE end_change;
ANALYZE;
