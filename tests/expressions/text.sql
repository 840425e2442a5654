-- Functions of text, patterns and bytes.
length('abc')
length('')
length('äöü')
length('a  '::char(5))
char_length('é😀')
character_length('abc')
upper('abc')
lower('ABC')
upper('äß')
lower('ÄÉ')
initcap('hello world')
initcap('HELLO wORLD-foo_bar 1st o''neil')
initcap('éa äb')
concat('a', 'b')
concat('a', NULL, 'b')
concat('a', 1, true, 1.5)
concat(NULL)
concat(1)
concat('a', DATE '2024-01-01')
concat('a', 1.0::float8)
concat_ws(',', 'a', 'b')
concat_ws(',', 'a', NULL, 'b')
concat_ws(NULL, 'a')
concat_ws(',', 1, 2.5)
concat_ws('-')
substr('hello', 2)
substr('hello', 2, 3)
substr('hello', 0)
substr('hello', -1, 3)
substr('hello', 2, 0)
substr('hello', 2, -1)
substr('hello', 10)
substring('hello' FROM 2)
substring('hello' FROM 2 FOR 3)
substring('hello' FOR 3)
substring('hello', 2, 3)
substring('foobar' FROM 'o.b')
substring('foobar' FROM 'o(.)b')
substring('foobar', 'o(.)b')
substring('foobar' FROM 'x')
substring('foobar' SIMILAR '%#"o_b#"%' ESCAPE '#')
left('hello', 2)
left('hello', -2)
left('hello', 0)
left('hello', 10)
left('hello', -10)
right('hello', 2)
right('hello', -2)
right('hello', 0)
right('hello', -10)
right('äöü', 2)
lpad('hi', 5)
lpad('hi', 5, 'xy')
lpad('hello', 2)
lpad('hi', 0)
lpad('hi', -1)
lpad('hi', 5, '')
rpad('hi', 5)
rpad('hi', 5, 'xy')
rpad('hello', 2)
rpad('hi', 5, '')
trim('  a  ')
trim(BOTH 'x' FROM 'xxaxx')
trim(LEADING 'x' FROM 'xxaxx')
trim(TRAILING 'x' FROM 'xxaxx')
trim(LEADING FROM '  a ')
trim('xy' FROM 'xyaxy')
trim(E'\ta\n')
btrim('  a  ')
btrim('xyaxy', 'xy')
btrim('xyaxy', '')
ltrim('  a  ')
ltrim('xxa', 'x')
rtrim('  a  ')
rtrim('axx', 'x')
repeat('ab', 3)
repeat('ab', 0)
repeat('ab', -1)
reverse('abc')
reverse('äb😀')
replace('abcabc', 'b', 'x')
replace('abc', '', 'x')
replace('abc', 'b', '')
replace('abc', NULL, 'x')
translate('12345', '143', 'ax')
translate('abc', 'ab', 'xyz')
translate('aab', 'aa', 'xy')
translate('abc', '', 'x')
position('b' IN 'abc')
position('x' IN 'abc')
position('' IN 'abc')
position('é' IN 'aé')
strpos('abc', 'c')
strpos('abc', '')
overlay('Txxxxas' PLACING 'hom' FROM 2 FOR 4)
overlay('abcdef' PLACING 'XX' FROM 3)
overlay('abcdef' PLACING 'XX' FROM 3 FOR 0)
overlay('abc' PLACING 'X' FROM 0)
split_part('a,b,c', ',', 2)
split_part('a,b,c', ',', 4)
split_part('a,b,c', ',', -1)
split_part('a,b,c', ',', -4)
split_part('a,b,c', ',', 0)
split_part('abc', '', 1)
split_part('abc', '', 2)
split_part('abc', 'x', 1)
split_part('a~@~b', '~@~', 2)
chr(65)
chr(233)
chr(128512)
chr(0)
ascii('A')
ascii('é')
ascii('')
ascii('😀')
md5('abc')
md5('')
sha256('abc')
sha224('abc')
sha512('a')
encode('abc', 'hex')
encode('abc'::bytea, 'base64')
encode('\xff00'::bytea, 'hex')
encode('\xff00'::bytea, 'escape')
decode('616263', 'hex')
decode('YWJj', 'base64')
encode(sha256('abc'), 'hex')
encode(decode('ff', 'hex'), 'hex')
encode('a', 'nope')
md5('\x00'::bytea)
quote_literal('it''s')
quote_literal('a\b')
quote_literal(1)
quote_literal(NULL)
quote_ident('abc')
quote_ident('a b')
quote_ident('A')
quote_ident('select')
quote_nullable(NULL)
quote_nullable('a')
format('Hello %s', 'World')
format('%s, %s', 'a', 'b')
format('%2$s %1$s', 'a', 'b')
format('%I = %L', 'my col', 'it''s')
format('%L', NULL)
format('%s', NULL)
format('%10s|', 'abc')
format('%-10s|', 'abc')
format('%%')
format('%s', 1.5)
format('%x', 1)
format('%s')
format('no args')
format('%*s|', 5, 'a')
starts_with('abc', 'ab')
starts_with('abc', 'b')
'abc' ^@ 'ab'
ends_with('abc', 'bc')
to_hex(10)
string_to_array('a,b,c', ',')
string_to_array('a,b,c', ',', 'b')
string_to_array('abc', NULL)
string_to_array('', ',')
string_to_array('abc', '')
array_to_string(ARRAY['a','b'], ',')
array_to_string(ARRAY['a',NULL,'b'], ',')
array_to_string(ARRAY['a',NULL,'b'], ',', '*')
array_to_string(ARRAY[1,2,3], '-')
regexp_replace('foobar', 'o', 'x')
regexp_replace('foobar', 'o', 'x', 'g')
regexp_replace('foobar', 'O', 'x', 'gi')
regexp_replace('foobar', '(o)(b)', '\2\1')
regexp_replace('foobar', 'o+', '[\&]')
regexp_replace('foobar', 'o', 'x', 1, 2)
regexp_replace('a1b2', '\d', '#', 'g')
regexp_replace('a$b', '\$', 'USD')
regexp_replace('abc', 'b', '$1')
regexp_match('foobar', 'o(.)')
regexp_match('foobar', 'x')
regexp_match('foobar', 'oob')
regexp_match('foobar', '(o)(o)')
regexp_match('FOO', 'foo', 'i')
regexp_matches('foobar', 'o')
(regexp_match('abc123', '[0-9]+'))[1]
regexp_split_to_array('a, b,c', ',\s*')
regexp_split_to_array('abc', '')
regexp_split_to_array('hello world', '\s+')
regexp_like('abc', 'B', 'i')
regexp_like('abc', 'b')
regexp_count('abcabc', 'b')
regexp_count('abcabc', 'b', 3)
regexp_instr('abcabc', 'c')
regexp_instr('abcabc', 'c', 1, 2)
regexp_substr('abc123', '[0-9]+')
regexp_substr('abc123def45', '[0-9]+', 1, 2)
'abc' ~ 'b'
'abc' ~ '^b'
'abc' ~* 'B'
'abc' !~ 'x'
'abc' !~* 'B'
'abc' ~ '('
'abc' ~ 'a(?=b)'
'abab' ~ '(ab)\1'
'a.c' ~ 'a\.c'
'foo bar' ~ '\mbar'
'foo bar' ~ 'bar\M'
'foo bar' ~ '\yfoo\y'
'abc' ~ '[[:alpha:]]+'
'abc1' ~ '^[[:alnum:]]*$'
E'a\nb' ~ 'a.b'
E'a\nb' ~ '^b'
'abc' ~ '\Aabc\Z'
'tel 555-1234' ~ '\d{3}-\d{4}'
'aaa' ~ 'a{2,}'
'abc' ~ ''
'a' ~ 'a|b'
'é' ~ '\w'
'É' ~* 'é'
'abc' SIMILAR TO 'abc'
'abc' SIMILAR TO 'a'
'abc' SIMILAR TO '%(b|d)%'
'abc' SIMILAR TO '(b|c)%'
'abc' SIMILAR TO 'a_c'
'a%c' SIMILAR TO 'a\%c'
'abc' NOT SIMILAR TO 'a%'
'aaa' SIMILAR TO 'a{3}'
'aaa' SIMILAR TO 'a+'
'abc' SIMILAR TO '[a-c]+'
'a.c' SIMILAR TO 'a.c'
'abc' SIMILAR TO 'a.c'
'abc' SIMILAR TO 'ab|xyz'
'a' SIMILAR TO NULL
'a_c' SIMILAR TO 'a#_c' ESCAPE '#'
'row 1' SIMILAR TO 'row%'
'abc' LIKE 'a%'
'abc' LIKE 'a_c'
'abc' LIKE '%b%'
'abc' LIKE 'ABC'
'abc' ILIKE 'ABC'
'ÄB' ILIKE 'äb'
'abc' NOT LIKE 'b%'
'abc' NOT ILIKE 'B%'
'a%c' LIKE 'a\%c'
'abc' LIKE 'a\%c'
'a\c' LIKE 'a\\c'
'a%c' LIKE 'a!%c' ESCAPE '!'
'a_c' LIKE 'a$_c' ESCAPE '$'
'abc' LIKE ''
'' LIKE ''
'' LIKE '%'
NULL LIKE 'a'
'a' LIKE NULL
'abc' LIKE 'abc\'
'abc' ~~ 'a%'
'abc' !~~ 'a%'
'abc' ~~* 'A%'
E'a\nb' LIKE 'a%b'
'aé' LIKE 'a_'
'😀' LIKE '_'
'abc' COLLATE "C" < 'abd'
'abc' < 'abd' COLLATE "C"
normalize('é', NFC)
ascii(upper('b'))
unistr('\0041')
convert_from('\x61'::bytea, 'UTF8')
convert_to('é', 'UTF8')
to_ascii('abc')
pg_typeof('a')
pg_typeof(1)
pg_typeof(1.5)
pg_typeof('a'::text)
pg_typeof(now())
pg_typeof(ARRAY[1])
pg_typeof(NULL)
soundex('abc')
levenshtein('a', 'b')
get_byte('\x0102'::bytea, 1)
get_bit('\x01'::bytea, 0)
set_byte('\x0102'::bytea, 1, 255)
length('\x0102'::bytea)
octet_length('\x0102'::bytea)
substring('\x010203'::bytea FROM 2 FOR 1)
position('\x02'::bytea IN '\x0102'::bytea)
left(NULL, 1)
upper(NULL)
length(NULL)
substr('hello', 2.7::int)
strpos('abc', NULL)
parse_ident('a.b')
string_to_table('a,b', ',')
regexp_split_to_table('a b', ' ')
chr(-1)
lpad('é', 3, 'ß')
upper('ǆ')
lower('İ')
initcap('ﬁne')
ltrim('zzytest', 'xyz')
to_char(1, '9')
over v: length(t)
over v: char_length(t)
over v: octet_length(t)
over v: upper(t)
over v: lower(t)
over v: initcap(t)
over v: reverse(t)
over v: trim(t)
over v: ltrim(t)
over v: rtrim(t)
over v: btrim(t, ' a')
over v: left(t, 3)
over v: left(t, -2)
over v: right(t, 3)
over v: right(t, -2)
over v: substr(t, 2, 3)
over v: substring(t FROM 3)
over v: substring(t FROM 0 FOR 3)
over v: substring(t FROM '[a-z]+')
over v: lpad(t, 8, '*')
over v: rpad(t, 8, '*')
over v: repeat(t, 2)
over v: replace(t, 'o', '0')
over v: translate(t, 'lo', 'LO')
over v: position('o' IN t)
over v: strpos(t, 'l')
over v: overlay(t PLACING '##' FROM 2)
over v: split_part(t, ' ', 1)
over v: split_part(t, 'o', -1)
over v: ascii(t)
over v: md5(t)
over v: encode(by, 'hex')
over v: encode(by, 'base64')
over v: concat(t, '|', i4, '|', b)
over v: concat(n, f8, d)
over v: concat_ws('-', t, vc, i4)
over v: format('%s:%s', id, t)
over v: quote_literal(t)
over v: quote_ident(t)
over v: t LIKE '%o%'
over v: t LIKE 'a\_b\%c\\d'
over v: t ILIKE '%WORLD%'
over v: t LIKE vc || '%'
over v: t ~ '^[A-Z]'
over v: t ~* '^foo'
over v: t SIMILAR TO '%(o|a)%'
over v: starts_with(t, 'H')
over v: regexp_replace(t, '[aeiou]', '*', 'g')
over v: regexp_match(t, '([a-z]+)')
over v: regexp_split_to_array(t, '[ ,;]')
over v: string_to_array(t, ' ')
over v: array_to_string(at, ',')
over v: array_to_string(at, ',', 'null')
over v: array_to_string(ai, '-')
over v: to_hex(i4)
over v: t || ''
over v: t < 'a'
over v: t > 'Z'
over v: t COLLATE "C" > 'a'
over v: t = ''
over v: length(by)
over v: substring(by FROM 1 FOR 1)
over v: by || '\x00'::bytea
