//! Files: new ones are seen, outside ones are not.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use crate::harness::{ADMIN, WeirBuilder, World, lake, world};

#[tokio::test]
async fn a_new_file_is_seen_after_a_refresh() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let root = world.weir.folder().join("lake");
    assert_eq!(admin.refusal("SELECT * FROM lake.fresh").await, "42P01");
    fs::write(root.join("fresh.csv"), "id\n1\n2\n").unwrap();
    admin.rows("REFRESH CATALOG lake").await.unwrap();
    assert_eq!(admin.value("SELECT sum(id) FROM lake.fresh").await, "3");
    // A second file of a folder adds rows to its table.
    assert_eq!(admin.value("SELECT count(*) FROM \"lake.web\".events").await, "5");
    fs::write(root.join("web/events/c.csv"), "id,customer_id,kind,value\n6,1,buy,9\n").unwrap();
    admin.rows("REFRESH CATALOG lake").await.unwrap();
    assert_eq!(admin.value("SELECT count(*) FROM \"lake.web\".events").await, "6");
    fs::remove_file(root.join("fresh.csv")).unwrap();
    admin.rows("REFRESH CATALOG lake").await.unwrap();
    assert_eq!(admin.refusal("SELECT * FROM lake.fresh").await, "42P01");
}

#[tokio::test]
async fn a_new_file_is_seen_after_the_interval() {
    let builder = WeirBuilder::new();
    let root = lake(builder.folder());
    let catalog =
        format!("source = \"local\"\nroot = \"{}\"\nrefresh_interval = \"1s\"\n", root.display());
    let weir = builder
        .catalog("lake", &catalog)
        .policy("p, role:admin, *, *, select, , allow\n")
        .user(ADMIN)
        .start();
    let admin = weir.connect("admin").await;
    fs::write(root.join("fresh.csv"), "id\n1\n2\n").unwrap();
    let written = Instant::now();
    while admin.rows("SELECT * FROM lake.fresh").await.is_err() {
        assert!(written.elapsed() < Duration::from_secs(10), "the file is not seen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A file that changed since it was listed is never read as if it had not.
#[tokio::test]
async fn a_changed_file_is_never_a_mix() {
    let world = World::start();
    let admin = world.weir.connect("admin").await;
    let path = world.weir.folder().join("lake/regions.csv");
    assert_eq!(admin.value("SELECT count(*) FROM lake.regions").await, "3");
    fs::write(&path, "code,title,opened\nEU,Old World,2019-05-01\n").unwrap();
    match admin.rows("SELECT title FROM lake.regions").await {
        Ok(rows) => assert_eq!(rows, [["Old World"]]),
        Err(error) => {
            assert!(crate::harness::code(&error).starts_with("HV"), "{error:?}");
            admin.rows("REFRESH CATALOG lake").await.unwrap();
            assert_eq!(admin.value("SELECT title FROM lake.regions").await, "Old World");
        }
    }
}

#[tokio::test]
async fn nothing_outside_the_root_is_read() {
    let builder = WeirBuilder::new();
    let root = lake(builder.folder());
    fs::write(builder.folder().join("outside.csv"), "id\n4711\n").unwrap();
    fs::create_dir(builder.folder().join("beside")).unwrap();
    fs::write(builder.folder().join("beside/t.csv"), "id\n4711\n").unwrap();
    symlink("../outside.csv", root.join("linked.csv")).unwrap();
    symlink("/etc/passwd", root.join("passwd.csv")).unwrap();
    symlink("../beside", root.join("linked_folder")).unwrap();
    let weir = builder
        .catalog("lake", &format!("source = \"local\"\nroot = \"{}\"\n", root.display()))
        .policy("p, role:admin, *, *, select, , allow\n")
        .user(ADMIN)
        .start();
    let admin = weir.connect("admin").await;
    for name in [
        "lake.linked",
        "lake.passwd",
        "lake.linked_folder",
        "\"lake.linked_folder\".t",
        "lake.\"../outside\"",
        "lake.\"..\".outside",
        "lake.\"../beside\".t",
        "lake.\"/etc/passwd\"",
        "'../outside.csv'",
    ] {
        let answer = admin.rows(&format!("SELECT * FROM {name}")).await;
        let seen = match answer {
            Ok(rows) => panic!("{name} was read: {rows:?}"),
            Err(error) => crate::harness::clients::told(&error),
        };
        assert!(!seen.contains("4711") && !seen.contains("root:"), "{name}: {seen}");
    }
    assert_eq!(admin.value("SELECT count(*) FROM lake.regions").await, "3");
}

#[tokio::test]
async fn files_and_tables_answer_together() {
    let world = world();
    let admin = world.weir.connect("admin").await;
    let sql = "SELECT count(*) FROM sales.customers c JOIN lake.regions r ON r.code = c.region";
    assert_eq!(admin.value(sql).await, "3");
}
