//! psql's own commands, compared with what `tests/psql/*.out` says that they print.
//!
//! `WEIR_UPDATE_EXPECTED=1` writes the files anew; the difference is then for a human to judge.

use std::fs;

use crate::harness::{tests_folder, world};

/// File name, user, database, psql's command; a script if it ends with a line feed.
const COMMANDS: &[(&str, &str, &str, &str)] = &[
    ("list_tables", "admin", "sales", r"\d"),
    ("list_tables_of_schema", "admin", "weir", r"\dt sales.*"),
    ("list_views", "admin", "sales", r"\dv"),
    ("list_schemas", "admin", "weir", r"\dn"),
    ("list_databases", "admin", "weir", r"\l"),
    ("describe_table", "admin", "sales", r"\d customers"),
    ("describe_table_in_weir", "admin", "weir", r"\d sales.customers"),
    ("describe_file", "admin", "weir", r"\d lake.regions"),
    ("describe_as_analyst", "analyst", "weir", r"\d sales.customers"),
    ("list_tables_as_analyst", "analyst", "sales", r"\d"),
    ("describe_hidden_table", "analyst", "weir", r"\d sales.secrets"),
    ("list_databases_as_stranger", "stranger", "weir", r"\l"),
    ("list_functions", "admin", "weir", r"\df nosuch*"),
    ("list_roles", "admin", "weir", r"\du"),
    ("table_with_comment", "admin", "sales", r"\dt+ customers"),
    ("describe_table_and_more", "admin", "sales", r"\d+ customers"),
    ("describe_view", "admin", "sales", r"\d+ numbers"),
    ("list_schemas_and_more", "admin", "sales", r"\dn+"),
    ("list_materialized_views", "admin", "sales", r"\dm"),
    ("list_indexes", "admin", "sales", r"\di"),
    ("list_sequences", "admin", "sales", r"\ds"),
    ("list_privileges", "analyst", "sales", r"\dp"),
    ("list_extensions", "admin", "sales", r"\dx"),
    ("list_types", "admin", "sales", r"\dT uuid"),
    ("list_functions_by_name", "admin", "sales", r"\df to_hex"),
    ("list_operators", "admin", "sales", r"\do ~~"),
    ("list_casts", "admin", "sales", r"\dC uuid"),
    ("list_access_methods", "admin", "sales", r"\dA"),
    ("list_constraint_triggers", "admin", "sales", r"\dy"),
    ("list_settings", "admin", "sales", r"\dconfig work_mem"),
    (
        "describe_query",
        "admin",
        "sales",
        "SELECT id, name, credit, since, 1.5 AS x FROM customers \\gdesc\n",
    ),
    (
        "crosstab",
        "admin",
        "sales",
        "SELECT region, extract(month FROM placed) AS month, count(*) FROM orders \
         GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview\n",
    ),
    ("expanded", "admin", "sales", "SELECT id, name FROM customers ORDER BY id LIMIT 2 \\gx\n"),
    (
        "variables",
        "admin",
        "sales",
        "SELECT count(*) AS n FROM customers \\gset\nSELECT id FROM customers WHERE id < :n ORDER BY 1;\n",
    ),
    (
        "execute_each_cell",
        "admin",
        "sales",
        "SELECT format_type(t.oid, NULL) FROM pg_type t WHERE t.typname IN ('int4', 'uuid') ORDER BY 1;\n\
         SELECT 'SELECT ' || id || ' AS id' FROM customers WHERE id < 3 ORDER BY id \\gexec\n",
    ),
    ("connection_info", "admin", "weir", r"\echo :DBNAME :USER :SERVER_VERSION_NUM"),
    (
        "gexec_free_query",
        "admin",
        "weir",
        r"SELECT id, name FROM sales.customers ORDER BY id LIMIT 2",
    ),
    (
        "copy_to_csv",
        "admin",
        "weir",
        r"\copy (SELECT id, name FROM sales.customers ORDER BY id) TO STDOUT CSV HEADER",
    ),
    ("error_with_position", "admin", "weir", r"SELECT nosuch FROM sales.customers"),
];

#[test]
fn commands_print_what_is_expected() {
    let world = world();
    let update = std::env::var_os("WEIR_UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for (name, user, database, command) in COMMANDS {
        // A command that goes on behind a statement is read from a file only.
        let output = if command.ends_with('\n') {
            let script = tempfile::NamedTempFile::new().unwrap();
            fs::write(script.path(), command).unwrap();
            world.weir.psql(user, database, &["-q", "-f", script.path().to_str().unwrap()]).1
        } else {
            world.weir.psql(user, database, &["-c", command]).1
        };
        let path = tests_folder("psql").join(format!("{name}.out"));
        let found = format!("{user}@{database}: {}\n\n{output}", command.trim_end());
        if update {
            fs::create_dir_all(tests_folder("psql")).unwrap();
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{name}.out says\n{expected}\nbut psql prints\n{found}"));
        }
        assert!(
            !output.contains("CANARY") && !output.contains("internal error"),
            "{name}: {output}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_file_is_left_over() {
    let known: Vec<_> = COMMANDS.iter().map(|(name, ..)| format!("{name}.out")).collect();
    for entry in fs::read_dir(tests_folder("psql")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name}");
    }
}

/// Several statements in one go, settings, and a page of a cursor's size.
#[test]
fn scripts_run() {
    let world = world();
    let script = "SET weir.pushdown = off; SELECT count(*) FROM sales.orders;\n\
                  BEGIN; SELECT 1 AS one; COMMIT; SHOW weir.pushdown;";
    let (status, output) = world.weir.psql("admin", "weir", &["-At", "-c", script]);
    assert!(status.success(), "{output}");
    assert_eq!(output, "SET\n6\nBEGIN\n1\nCOMMIT\noff\n");
    let (status, output) = world.weir.psql("admin", "weir", &["-At", "-c", "SELECT 1/0"]);
    assert!(!status.success());
    assert!(output.contains("division by zero"), "{output}");
}
