#!/bin/sh
# Writes the static rows of pg_catalog and information_schema beside this script, from a private
# PostgreSQL 15 that it starts in a temporary directory and stops again.
# Usage: dump.sh [directory of PostgreSQL's binaries]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=${1:-/usr/lib/postgresql/15/bin}
work=$(mktemp -d)
as=""
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    chown nobody "$work"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
fi
stop() { $as "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT

cd "$work"
$as "$bin/initdb" -D "$work/data" -U weir -A trust --locale=C -E UTF8 >/dev/null
$as "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$work'" start >/dev/null

# Tab separated, \N for NULL, backslash escapes: the text format of COPY.
copy() {
    $as "$bin/psql" -X -q -h "$work" -U weir -d postgres -v ON_ERROR_STOP=1 \
        -c "COPY ($2) TO STDOUT" >"$here/$1.tsv"
}

# One row for each relation: schema, name, relkind, oid, columns as name:type[:!], ! for NOT NULL.
# A domain (information_schema has some) stands for its base type, as on the wire; that of yes_or_no
# has a length.
copy relations "
    SELECT n.nspname, c.relname, c.relkind, c.oid,
           string_agg(a.attname || ':' || CASE t.typname WHEN 'yes_or_no' THEN t.typname
                                                         ELSE coalesce(bt.typname, t.typname) END
                      || CASE WHEN a.attnotnull THEN ':!' ELSE '' END, ',' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type bt ON bt.oid = t.typbasetype
    WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"
# Functions that are read as tables: no relations of pg_class.
printf 'pg_catalog\tpg_get_keywords()\tf\t0\t%s\n' \
    word:text,catcode:char,barelabel:bool,catdesc:text,baredesc:text >>"$here/relations.tsv"

# Types without the row types of the catalogs themselves; functions are written as oids, because
# a name such as \"array_in\" is resolved from pg_proc.
copy pg_type "
    SELECT oid, typname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim,
           typsubscript::oid, typelem, typarray, typinput::oid, typoutput::oid, typreceive::oid,
           typsend::oid, typmodin::oid, typmodout::oid, typanalyze::oid, typalign, typstorage,
           typcollation, format_type(oid, NULL)
    FROM pg_type WHERE typnamespace = 11 AND typrelid = 0
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = pg_type.typelem AND e.typrelid <> 0)
    ORDER BY oid"

# prosrc is left out where it is the function's name, and so are SQL bodies.
copy pg_proc "
    SELECT oid, proname, prolang, provariadic, prokind, proleakproof, proisstrict, proretset,
           provolatile, proparallel, prorettype, proargtypes
    FROM pg_proc WHERE pronamespace = 11 ORDER BY oid"

copy pg_operator "
    SELECT oid, oprname, oprkind, oprcanmerge, oprcanhash, oprleft, oprright, oprresult, oprcom,
           oprnegate, oprcode::oid
    FROM pg_operator ORDER BY oid"

for table in pg_cast pg_language pg_opclass pg_tablespace pg_ts_config; do
    copy $table "SELECT * FROM $table ORDER BY oid"
done
copy pg_am "SELECT oid, amname, amhandler::oid, amtype FROM pg_am ORDER BY oid"
copy pg_range "
    SELECT rngtypid, rngsubtype, rngmultitypid, rngcollation, rngsubopc, rngcanonical::oid,
           rngsubdiff::oid
    FROM pg_range ORDER BY 1"
copy keywords "
    SELECT word, catcode, barelabel, catdesc, baredesc
    FROM pg_get_keywords() ORDER BY word COLLATE \"C\""
copy pg_collation "
    SELECT * FROM pg_collation
    WHERE collname IN ('default', 'C', 'POSIX', 'ucs_basic') ORDER BY oid"
copy pg_description "
    SELECT objoid, classoid, objsubid, description FROM pg_description
    WHERE classoid IN ('pg_type'::regclass, 'pg_language'::regclass, 'pg_am'::regclass,
                       'pg_ts_config'::regclass)
    ORDER BY classoid, objoid"
# What drivers and tools look up; the rest of PostgreSQL's settings mean nothing here.
copy pg_settings "
    SELECT name, setting, unit, category, short_desc, context, vartype, boot_val
    FROM pg_settings WHERE name IN (
        'block_size', 'bytea_output', 'client_encoding', 'DateStyle', 'default_transaction_isolation',
        'default_table_access_method', 'default_tablespace', 'default_text_search_config',
        'default_transaction_read_only', 'extra_float_digits', 'integer_datetimes',
        'IntervalStyle', 'lc_collate', 'lc_ctype', 'max_function_args', 'max_identifier_length',
        'max_index_keys', 'segment_size', 'server_encoding', 'standard_conforming_strings',
        'transaction_isolation', 'wal_block_size', 'work_mem')
    ORDER BY name"
