//! psql's own commands, compared with what `tests/psql/*.out` says that they print.
//!
//! `WEIR_UPDATE_EXPECTED=1` writes the files anew; the difference is then for a human to judge.

use std::fs;

use crate::harness::{tests_folder, world};

/// File name, user, database, psql's command.
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
        let (_, output) = world.weir.psql(user, database, &["-c", command]);
        let path = tests_folder("psql").join(format!("{name}.out"));
        let found = format!("{user}@{database}: {command}\n\n{output}");
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
