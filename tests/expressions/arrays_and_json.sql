-- Arrays and JSON.
ARRAY[1, 2, 3]
ARRAY['a', 'b']
ARRAY[1, NULL]
ARRAY[NULL]
ARRAY[]::int[]
ARRAY[]
ARRAY[1, 2.5]
ARRAY[1.5, 2.25]
ARRAY[true, false]
ARRAY[DATE '2024-01-01']
ARRAY[[1, 2], [3, 4]]
ARRAY['a', NULL, '', 'b c', 'NULL', '"']
(ARRAY[1, 2, 3])[1]
(ARRAY[1, 2, 3])[4]
(ARRAY[1, 2, 3])[0]
(ARRAY[1, 2, 3])[1:2]
(ARRAY[1, 2, 3])[2:]
(ARRAY[1, 2, 3])[:2]
(ARRAY[1, 2, 3])[3:2]
(ARRAY[1, 2, 3])[0:2]
(ARRAY['a', 'b'])[2]
('{1,2,3}'::int[])[2]
(ARRAY[[1, 2], [3, 4]])[2][1]
array_length(ARRAY[1, 2, 3], 1)
array_length(ARRAY[]::int[], 1)
array_length(ARRAY[1], 2)
array_length(ARRAY[[1, 2], [3, 4]], 2)
cardinality(ARRAY[1, 2, 3])
cardinality(ARRAY[]::int[])
cardinality(ARRAY[[1, 2], [3, 4]])
array_ndims(ARRAY[1, 2])
array_ndims(ARRAY[[1], [2]])
array_lower(ARRAY[1, 2], 1)
array_upper(ARRAY[1, 2], 1)
array_upper(ARRAY[]::int[], 1)
array_dims(ARRAY[1, 2])
array_position(ARRAY['a', 'b', 'c'], 'b')
array_position(ARRAY['a', 'b'], 'x')
array_position(ARRAY[1, NULL, 2], NULL)
array_position(ARRAY[1, 2, 1], 1, 2)
array_positions(ARRAY[1, 2, 1], 1)
array_append(ARRAY[1, 2], 3)
array_append(ARRAY[]::int[], 3)
array_prepend(0, ARRAY[1, 2])
array_cat(ARRAY[1], ARRAY[2, 3])
array_remove(ARRAY[1, 2, 1], 1)
array_remove(ARRAY[1, NULL], NULL)
array_replace(ARRAY[1, 2, 1], 1, 9)
array_to_string(ARRAY[1, 2], ',')
array_to_string(ARRAY[1, NULL, 3], ',', 'x')
array_to_string(ARRAY[1.5, 2], ',')
array_to_string(ARRAY[true], ',')
array_to_string(ARRAY[]::int[], ',')
array_fill(7, ARRAY[3])
array_to_json(ARRAY[1, 2])
array_sort(ARRAY[3, 1, 2])
trim_array(ARRAY[1, 2, 3], 1)
ARRAY[1, 2] = ARRAY[1, 2]
ARRAY[1, 2] <> ARRAY[1, 3]
ARRAY[1, 2] < ARRAY[1, 3]
ARRAY[1, 2] < ARRAY[1, 2, 0]
ARRAY[1, 2] @> ARRAY[1]
ARRAY[1, 2] @> ARRAY[3]
ARRAY[1] <@ ARRAY[1, 2]
ARRAY[1, 2] && ARRAY[2, 3]
ARRAY[1, 2] && ARRAY[3]
ARRAY[1, NULL] @> ARRAY[NULL]::int[]
ARRAY[1, 2] || ARRAY[3]
ARRAY[1, 2] || 3
0 || ARRAY[1, 2]
ARRAY[1, 2] || NULL
ARRAY['a'] || 'b'
ARRAY['a'] || ARRAY['b', NULL]
ARRAY[1, 2]::text
ARRAY[1, 2]::text[]
ARRAY['1', '2']::int[]
ARRAY[1.6, 2.5]::int[]
'{1,2,3}'::int[]
'{a,b}'::text[]
'{"a b",NULL,"NULL"}'::text[]
'{1,x}'::int[]
'{1,2'::int[]
'{{1,2},{3,4}}'::int[]
'{}'::text[]
'{2024-01-01}'::date[]
'{t,f}'::bool[]
'{1.5,2}'::numeric[]
2 = ANY ('{1,2}'::int[])
'b' = ANY (string_to_array('a,b', ','))
unnest(ARRAY[1, 2])
unnest('{a,b}'::text[])
generate_subscripts(ARRAY[5, 6], 1)
ARRAY(SELECT 1 UNION ALL SELECT 2 ORDER BY 1)
ARRAY(SELECT 1 WHERE false)
array_agg(1)
string_to_array('1,2', ',')::int[]
ARRAY[1, 2, 3] IS NULL
coalesce(NULL::int[], ARRAY[1])
(regexp_matches('a1', '[0-9]'))[1]
'{"a": 1}'::jsonb
'{"b": 1, "a": {"c": [1, 2]}}'::jsonb
'{"a": 1}'::json
'[1, 2, 3]'::jsonb
'{"a": 1, "a": 2}'::jsonb
'{"a":  1.50}'::jsonb
'"x"'::jsonb
'null'::jsonb
'{bad'::jsonb
'{"a": 1}'::jsonb -> 'a'
'{"a": 1}'::jsonb ->> 'a'
'{"a": "x"}'::jsonb -> 'a'
'{"a": "x"}'::jsonb ->> 'a'
'{"a": null}'::jsonb ->> 'a'
'{"a": null}'::jsonb -> 'a'
'{"a": 1}'::jsonb -> 'b'
'{"a": {"b": 2}}'::jsonb -> 'a' -> 'b'
'{"a": {"b": 2}}'::jsonb -> 'a' ->> 'b'
'{"a": {"b": [5, 6]}}'::jsonb #> '{a,b}'
'{"a": {"b": [5, 6]}}'::jsonb #>> '{a,b,1}'
'{"a": {"b": [5, 6]}}'::jsonb #> ARRAY['a', 'b', '0']
'[10, 20]'::jsonb -> 0
'[10, 20]'::jsonb -> -1
'[10, 20]'::jsonb -> 5
'[10, 20]'::jsonb ->> 1
'{"a": 1}'::json -> 'a'
'{"a": [1, 2]}'::json -> 'a'
'{"a": "x\ny"}'::json ->> 'a'
('{"a": "5"}'::jsonb ->> 'a')::int + 1
'{"a": 1, "b": 2}'::jsonb @> '{"a": 1}'
'{"a": 1}'::jsonb @> '{"a": 2}'
'{"a": 1}'::jsonb <@ '{"a": 1, "b": 2}'
'[1, 2, 3]'::jsonb @> '[2]'
'[1, 2]'::jsonb @> '1'
'{"a": 1}'::jsonb ? 'a'
'{"a": 1}'::jsonb ? 'b'
'["a", "b"]'::jsonb ? 'a'
'{"a": 1}'::jsonb ?| ARRAY['a', 'x']
'{"a": 1}'::jsonb ?& ARRAY['a', 'x']
'{"a": 1}'::jsonb || '{"b": 2}'
'{"a": 1, "b": 2}'::jsonb - 'a'
'[1, 2, 3]'::jsonb - 1
'{"a": {"b": 1}}'::jsonb #- '{a,b}'
'{"a": 1}'::jsonb = '{"a": 1.0}'
'{"a": 1, "b": 2}'::jsonb = '{"b": 2, "a": 1}'
jsonb_array_length('[1, 2, 3]')
json_array_length('[1, 2]')
jsonb_array_length('{}')
jsonb_typeof('1')
jsonb_typeof('"a"')
jsonb_typeof('null')
jsonb_typeof('[]')
jsonb_typeof('{}')
jsonb_typeof('true')
json_typeof('1.5')
jsonb_extract_path('{"a": {"b": 1}}', 'a', 'b')
jsonb_extract_path_text('{"a": {"b": "x"}}', 'a', 'b')
json_extract_path_text('{"a": 1}', 'a')
json_build_object('a', 1, 'b', 'x')
json_build_object('a', NULL)
json_build_object('a', true, 'b', 1.5, 'c', DATE '2024-01-01')
json_build_object('a', ARRAY[1, 2])
json_build_object()
json_build_object('a')
json_build_array(1, 'a', NULL, true)
jsonb_build_object('b', 1, 'a', 'x')
jsonb_build_array(1, 'a', NULL)
json_build_object('k', json_build_object('n', 1))
to_json('a'::text)
to_json(1)
to_json(1.50)
to_json(true)
to_json(NULL::text)
to_json(ARRAY[1, 2])
to_json(DATE '2024-01-01')
to_json(TIMESTAMP '2024-01-01 10:00')
to_jsonb('a"b'::text)
to_jsonb(1.50)
to_jsonb(ARRAY['a', NULL])
row_to_json(ROW(1, 'a'))
json_object('{a,1,b,2}')
jsonb_pretty('{"a": [1]}')
jsonb_set('{"a": 1}', '{a}', '2')
jsonb_strip_nulls('{"a": null, "b": 1}')
jsonb_path_query('{"a": 1}', '$.a')
SELECT * FROM jsonb_array_elements('[1, "a", null]')
SELECT * FROM jsonb_array_elements_text('[1, "a", null]')
SELECT * FROM json_array_elements('[1, {"a": 2}]')
SELECT * FROM jsonb_each('{"a": 1, "b": "x"}')
SELECT * FROM jsonb_each_text('{"a": 1, "b": "x"}')
SELECT * FROM jsonb_object_keys('{"a": 1, "b": 2}')
SELECT jsonb_object_keys('{"a": 1, "b": 2}')
SELECT jsonb_array_elements('[1, 2]')
SELECT value FROM jsonb_array_elements('[{"a": 1}]')
SELECT * FROM regexp_split_to_table('a b', ' ')
SELECT * FROM string_to_table('a,b', ',')
SELECT * FROM regexp_matches('a1b2', '[0-9]', 'g')
SELECT * FROM jsonb_to_record('{"a": 1}') AS x(a int)
over v: ai
over v: at
over v: ai[1]
over v: at[2]
over v: ai[2:3]
over v: ai[1:1]
over v: array_length(ai, 1)
over v: array_length(at, 1)
over v: cardinality(ai)
over v: array_position(ai, 1)
over v: array_position(at, 'a')
over v: array_append(ai, 9)
over v: array_prepend(0, ai)
over v: array_cat(ai, ai)
over v: array_remove(ai, 7)
over v: array_replace(ai, 2, 20)
over v: array_to_string(ai, ',')
over v: array_upper(ai, 1)
over v: ai || 5
over v: ai || ai
over v: 1 = ANY (ai)
over v: 2 <> ALL (ai)
over v: 'a' = ANY (at)
over v: ai @> ARRAY[1]
over v: ai && ARRAY[2, 3]
over v: ai <@ ARRAY[1, 2, 3]
over v: ai = ARRAY[1, 2, 3]
over v: ai::text
over v: at::text
over v: ai::text[]
over v: ai::bigint[]
over v: coalesce(ai, '{}')
over v: j
over v: j -> 'a'
over v: j ->> 'a'
over v: j -> 0
over v: j ->> 1
over v: j #> '{a,b}'
over v: j #>> '{a,b,0}'
over v: j -> 'a' -> 'b'
over v: j @> '{"a": 1}'
over v: j ? 'a'
over v: j::text
over v: jsonb_typeof(j)
over v: j IS NULL
over v: (j ->> 'n')::numeric
over v: json_build_object('id', id, 't', t)
over v: json_build_object('n', n, 'b', b, 'd', d)
over v: jsonb_build_object('id', id, 'j', j)
over v: json_build_array(id, i4, vc)
over v: to_json(t)
over v: to_jsonb(n)
over v: to_json(ts)
