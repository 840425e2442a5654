-- What DBeaver sends while its tree is opened; parameters are written in.
-- {table} stands for the oid of a table.

-- dbeaver 1
SELECT current_database();

-- dbeaver 2
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND datallowconn AND NOT datistemplate OR db.datname ='shop'
ORDER BY db.datname;

-- dbeaver 3
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 1262 AS oid , 1 AS attnum UNION ALL SELECT 1262, 1 UNION ALL SELECT 1262, 2 UNION ALL SELECT 1262, 3 UNION ALL SELECT 1262, 4 UNION ALL SELECT 1262, 5 UNION ALL SELECT 1262, 6 UNION ALL SELECT 1262, 7 UNION ALL SELECT 1262, 8 UNION ALL SELECT 1262, 9 UNION ALL SELECT 1262, 10 UNION ALL SELECT 1262, 11 UNION ALL SELECT 1262, 12 UNION ALL SELECT 1262, 13 UNION ALL SELECT 1262, 14 UNION ALL SELECT 1262, 15 UNION ALL SELECT 1262, 16) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum);

-- dbeaver 4
SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 28;

-- dbeaver 5
SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type   LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns           join ( select s.r, (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE pg_type.oid = 28  ORDER BY sp.r, pg_type.oid DESC;

-- dbeaver 6
SELECT * FROM pg_enum WHERE 1<>1 LIMIT 1;

-- dbeaver 7
select * from pg_catalog.pg_settings where name='standard_conforming_strings';

-- dbeaver 8
SELECT current_schema(),session_user;

-- dbeaver 9
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='shop';

-- dbeaver 10
select description from pg_shdescription join pg_database on objoid = pg_database.oid where datname = 'shop';

-- dbeaver 11
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass
ORDER BY nspname;

-- dbeaver 12
SELECT typcategory FROM pg_catalog.pg_type WHERE 1<>1 LIMIT 1;

-- dbeaver 13
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem 
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
WHERE t.typname IS NOT NULL
AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')
AND t.typnamespace=11;

-- dbeaver 14
SELECT t.oid,t.*,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_class c ON c.oid=t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
WHERE t.typname='int4';

-- dbeaver 15
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_class c ON c.oid=t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
WHERE t.oid=25;

-- dbeaver 16
SELECT e.enumlabel 
FROM pg_catalog.pg_enum e
WHERE e.enumtypid=25
ORDER BY e.enumsortorder;

-- dbeaver 17
SELECT * FROM pg_catalog.pg_enum;

-- dbeaver 18
SELECT a.oid,a.*,pd.description FROM pg_catalog.pg_roles a 
LEFT JOIN pg_catalog.pg_shdescription pd ON a.oid = pd.objoid
ORDER BY a.rolname;

-- dbeaver 19
SELECT am.oid,am.* FROM pg_catalog.pg_am am 
ORDER BY am.oid;

-- dbeaver 20
SELECT c.contoencoding as encid,pg_catalog.pg_encoding_to_char(c.contoencoding) as encname
FROM pg_catalog.pg_conversion c
GROUP BY c.contoencoding
ORDER BY 2;

-- dbeaver 21
SELECT c.oid,c.* FROM pg_catalog.pg_collation c 
ORDER BY c.oid;

-- dbeaver 22
SELECT l.oid,l.* FROM pg_catalog.pg_language l 
ORDER BY l.oid;

-- dbeaver 23
SELECT l.oid,l.*,p.pronamespace as handler_schema_id 
FROM pg_catalog.pg_foreign_data_wrapper l
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid=l.fdwhandler 
ORDER BY l.fdwname;

-- dbeaver 24
SELECT l.oid,l.* FROM pg_catalog.pg_foreign_server l
ORDER BY l.srvname;

-- dbeaver 25
SELECT t.oid,t.*,pg_tablespace_location(t.oid) loc
FROM pg_catalog.pg_tablespace t 
ORDER BY t.oid;

-- dbeaver 26
SELECT name,default_version,installed_version,comment FROM pg_catalog.pg_available_extensions ORDER BY name;

-- dbeaver 27
SELECT 
 e.oid,
 cfg.tbls,
  n.nspname as schema_name,
 e.* 
FROM 
 pg_catalog.pg_extension e 
 join pg_namespace n on n.oid =e.extnamespace
 left join  (
         select
            ARRAY_AGG(ns.nspname || '.' ||  cls.relname) tbls, oid_ext
          from
            (
            select
                unnest(e1.extconfig) oid , e1.oid oid_ext
            from
                pg_catalog.pg_extension e1 ) c 
                join    pg_class cls on cls.oid = c.oid 
                join pg_namespace ns on ns.oid = cls.relnamespace
            group by oid_ext        
         ) cfg on cfg.oid_ext = e.oid
ORDER BY e.oid;

-- dbeaver 28
SELECT db.datname,pg_database_size(db.oid) FROM pg_catalog.pg_database db;

-- dbeaver 29
SELECT db.datname FROM pg_catalog.pg_database db WHERE datistemplate;

-- dbeaver 30
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,  pg_catalog.pg_get_partkeydef(c.oid) as partition_key 
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
WHERE c.relnamespace={sales} AND c.relkind not in ('i','I','c');

-- dbeaver 31
SELECT i.inhrelid relid, pc.relnamespace parent_ns, pc.oid parent_oid, i.inhseqno
FROM pg_catalog.pg_inherits i, pg_class rc, pg_class pc
WHERE rc.oid=i.inhrelid AND rc.relnamespace={sales} AND pc.oid=i.inhparent;

-- dbeaver 32
select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size
FROM pg_class c
WHERE c.relnamespace={sales};

-- dbeaver 33
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid={sales.orders}
ORDER BY a.attnum;

-- dbeaver 34
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.relnamespace={sales}
ORDER BY a.attnum;

-- dbeaver 35
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
WHERE c.conrelid={sales.orders}
ORDER BY c.oid;

-- dbeaver 36
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
WHERE t.relnamespace={sales}
ORDER BY c.oid;

-- dbeaver 37
SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans
FROM pg_catalog.pg_index i
INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid
INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid
WHERE  i.indrelid={sales.orders} ORDER BY c.relname;

-- dbeaver 38
SELECT pg_catalog.pg_get_indexdef({orders_pkey});

-- dbeaver 39
select pg_catalog.pg_get_indexdef({orders_pkey}, 1, true);

-- dbeaver 40
SELECT x.oid,x.*,p.pronamespace as func_schema_id,d.description
FROM pg_catalog.pg_trigger x
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid=x.tgfoid 
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=x.oid AND d.objsubid=0 
WHERE x.tgrelid = {sales.orders} AND NOT x.tgisinternal;

-- dbeaver 41
SELECT r.oid,r.*, pg_get_ruledef(r.oid) AS definition
FROM pg_rewrite r
WHERE r.ev_class={sales.orders} AND r.rulename <> '_RETURN'::name;

-- dbeaver 42
select * from pg_catalog.pg_policies where schemaname='sales' and tablename='orders';

-- dbeaver 43
select pg_catalog.pg_total_relation_size({sales.orders}) as total_rel_size,pg_catalog.pg_relation_size({sales.orders}) as rel_size;

-- dbeaver 44
SELECT i.*,c.relnamespace FROM pg_catalog.pg_inherits i,pg_catalog.pg_class c WHERE i.inhrelid={sales.orders} AND c.oid=i.inhparent ORDER BY i.inhseqno;

-- dbeaver 45
SELECT i.*,c.relnamespace FROM pg_catalog.pg_inherits i,pg_catalog.pg_class c WHERE i.inhparent={sales.orders} AND c.oid=i.inhrelid;

-- dbeaver 46
SELECT DISTINCT connamespace FROM pg_catalog.pg_constraint WHERE confrelid={sales.orders};

-- dbeaver 47
SELECT pg_get_viewdef({sales.v_totals}, true);

-- dbeaver 48
SELECT p.oid as poid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults,d.description
FROM pg_catalog.pg_proc p
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid and d.classoid='pg_proc'::regclass  AND d.objsubid = 0
WHERE p.pronamespace={sales}
ORDER BY p.proname;

-- dbeaver 49
SELECT p.oid AS proc_oid,p.proname AS proc_name,a.*
FROM pg_catalog.pg_aggregate a,pg_catalog.pg_proc p
WHERE p.oid=a.aggfnoid AND p.pronamespace={sales}
ORDER BY p.proname;

-- dbeaver 50
SELECT * FROM pg_default_acl WHERE defaclnamespace = {sales};

-- dbeaver 51
SELECT * FROM pg_catalog.pg_auth_members WHERE roleid=10;

-- dbeaver 52
SELECT * FROM information_schema.table_privileges WHERE table_catalog='shop' AND grantee='weir';

-- dbeaver 53
SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname,pg_get_expr(ad.adbin, ad.adrelid) adefval,
    CASE WHEN cl.relkind IS NOT NULL THEN cl.relkind::text || COALESCE(dep.objsubid::text, '')::text
        WHEN tg.oid IS NOT NULL THEN 'T'::text
        WHEN ty.oid IS NOT NULL THEN 'y'::text
        WHEN ns.oid IS NOT NULL THEN 'n'::text
        WHEN pr.oid IS NOT NULL THEN 'p'::text
        WHEN la.oid IS NOT NULL THEN 'l'::text
        WHEN rw.oid IS NOT NULL THEN 'R'::text
        WHEN co.oid IS NOT NULL THEN 'C'::text || contype::text
        WHEN ad.oid IS NOT NULL THEN 'A'::text
        ELSE ''
    END AS type,
    COALESCE(coc.relname, clrw.relname, tgr.relname) AS ownertable
FROM pg_depend dep
LEFT JOIN pg_class cl ON dep.objid=cl.oid
LEFT JOIN pg_attribute att ON dep.objid=att.attrelid AND dep.objsubid=att.attnum
LEFT JOIN pg_namespace nsc ON cl.relnamespace=nsc.oid
LEFT JOIN pg_proc pr ON dep.objid=pr.oid
LEFT JOIN pg_namespace nsp ON pr.pronamespace=nsp.oid
LEFT JOIN pg_trigger tg ON dep.objid=tg.oid
LEFT JOIN pg_class tgr ON tg.tgrelid=tgr.oid
LEFT JOIN pg_namespace tgrn ON tgr.relnamespace=tgrn.oid
LEFT JOIN pg_type ty ON dep.objid=ty.oid
LEFT JOIN pg_namespace nst ON ty.typnamespace=nst.oid
LEFT JOIN pg_constraint co ON dep.objid=co.oid
LEFT JOIN pg_class coc ON co.conrelid=coc.oid
LEFT JOIN pg_namespace nso ON co.connamespace=nso.oid
LEFT JOIN pg_rewrite rw ON dep.objid=rw.oid
LEFT JOIN pg_class clrw ON clrw.oid=rw.ev_class
LEFT JOIN pg_namespace nsrw ON clrw.relnamespace=nsrw.oid
LEFT JOIN pg_language la ON dep.objid=la.oid
LEFT JOIN pg_namespace ns ON dep.objid=ns.oid
LEFT JOIN pg_attrdef ad ON ad.oid=dep.objid
LEFT JOIN pg_attribute attr ON attr.attrelid=ad.adrelid and attr.attnum=ad.adnum
WHERE dep.refobjid={sales.orders}
ORDER BY type;

-- dbeaver 54
SELECT pc.oid,pc.relname,pc.relnamespace,pc.relkind FROM pg_catalog.pg_class pc WHERE pc.relkind in('r','v','m','f','p') AND pc.relname ILIKE '%ord%' AND pc.relnamespace IN ({sales},2200) ORDER BY pc.relname LIMIT 100;

-- dbeaver 55
SELECT x.attname,x.attrelid,x.atttypid,c.relnamespace FROM pg_catalog.pg_attribute x, pg_catalog.pg_class c WHERE c.oid=x.attrelid AND x.attname ILIKE '%amount%' ORDER BY x.attname LIMIT 100;

-- dbeaver 56
select description from pg_catalog.pg_description
join pg_catalog.pg_class on pg_class.oid = pg_description.objoid where pg_class.relname = 'orders';

-- dbeaver 57
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT {public.plain} AS oid , 1 AS attnum UNION ALL SELECT {public.plain}, 2 UNION ALL SELECT {public.plain}, 3 UNION ALL SELECT {public.plain}, 4 UNION ALL SELECT {public.plain}, 5 UNION ALL SELECT {public.plain}, 6 UNION ALL SELECT {public.plain}, 7 UNION ALL SELECT {public.plain}, 8) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum);

-- dbeaver 58
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT {sales.orders} AS oid , 1 AS attnum UNION ALL SELECT {sales.orders}, 2 UNION ALL SELECT {sales.orders}, 3 UNION ALL SELECT {sales.orders}, 4 UNION ALL SELECT {sales.orders}, 5 UNION ALL SELECT {sales.orders}, 6 UNION ALL SELECT {sales.orders}, 7 UNION ALL SELECT {sales.orders}, 8 UNION ALL SELECT {sales.orders}, 9 UNION ALL SELECT {sales.orders}, 10 UNION ALL SELECT {sales.orders}, 11 UNION ALL SELECT {sales.orders}, 12 UNION ALL SELECT {sales.orders}, 13 UNION ALL SELECT {sales.orders}, 14 UNION ALL SELECT {sales.orders}, 15 UNION ALL SELECT {sales.orders}, 16) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum);

-- dbeaver 59
SELECT sa.* FROM pg_catalog.pg_stat_activity sa;

-- dbeaver 60
SELECT * FROM pg_catalog.pg_locks;
