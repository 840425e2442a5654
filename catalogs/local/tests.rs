//! Folders as they are met, and the answers that queries over them must give.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "a source is tried without the proxy around it")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path as FsPath,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::{
        Array, ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
        RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    },
    datatypes::Int32Type,
    ipc::writer::FileWriter,
    util::display::{ArrayFormatter, FormatOptions},
};
use async_trait::async_trait;
use datafusion::{
    catalog::MemorySchemaProvider,
    error::DataFusionError,
    parquet::{
        arrow::ArrowWriter,
        file::properties::{EnabledStatistics, WriterProperties},
    },
    prelude::{SessionConfig, SessionContext},
};
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};

use super::{KIND, store::ConfinedStore};
use crate::{
    CatalogName, OptionValue, Options, Source, SourceError, SourceErrorKind, TableDefinition,
    files::{FileCatalog, FileOptions, FileStore, Listed},
};

/// A folder with a catalog over it.
struct Lake {
    folder: tempfile::TempDir,
    source: Arc<dyn Source>,
}

impl Lake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let mut options = Options::default();
        options.set("root", OptionValue::Path(folder.path().join("root")));
        let source = (KIND.open)(&CatalogName::parse("lake").unwrap(), options).unwrap();
        Self { folder, source }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let lake = Self::new();
        files.iter().for_each(|(path, text)| lake.write(path, text));
        lake
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        let path = self.folder.path().join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(path), bytes).unwrap();
    }

    fn parquet(&self, path: &str, columns: &[(&str, ArrayRef)]) {
        write_parquet(&self.path(path), columns, 1024);
    }

    async fn discover(&self) -> Vec<Arc<TableDefinition>> {
        self.source.discover().await.unwrap().into_iter().map(Arc::new).collect()
    }

    /// A session over the tables as they are now.
    async fn session(&self) -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(3);
        let session = SessionContext::new_with_config(config);
        for table in self.discover().await {
            let catalog = session.catalog("datafusion").unwrap();
            if catalog.schema(&table.schema).is_none() {
                let schema = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(&table.schema, schema).unwrap();
            }
            let schema = catalog.schema(&table.schema).unwrap();
            schema.register_table(table.name.clone(), self.source.table(&table)).unwrap();
        }
        session
    }

    async fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.session().await, sql).await.unwrap()
    }

    async fn error(&self, sql: &str) -> SourceError {
        source_error(rows(&self.session().await, sql).await.unwrap_err())
    }

    async fn types(&self, schema: &str, table: &str) -> String {
        let tables = self.discover().await;
        let table = tables.iter().find(|t| t.schema == schema && t.name == table).unwrap();
        let fields = table.columns.fields().iter();
        let shown: Vec<_> =
            fields.map(|field| format!("{}:{}", field.name(), field.data_type())).collect();
        shown.join(" ")
    }
}

fn write_parquet(path: &FsPath, columns: &[(&str, ArrayRef)], group_rows: usize) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, array)| (*name, Arc::clone(array), array.is_nullable())),
    )
    .unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(true)
        .build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Rows as text, columns parted by `|`, NULL as `~`.
async fn rows(session: &SessionContext, sql: &str) -> Result<Vec<String>, DataFusionError> {
    let mut shown = Vec::new();
    for batch in session.sql(sql).await?.collect().await? {
        let options = FormatOptions::new().with_null("~");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<_> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            shown.push(values.join("|"));
        }
    }
    Ok(shown)
}

/// The source's error inside an engine's error.
fn source_error(error: DataFusionError) -> SourceError {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<SourceError>() {
            return SourceError::new(found.kind, found.message.clone());
        }
        current = error.source();
    }
    panic!("no error of a source: {error:?}");
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

#[tokio::test]
async fn files_answer_queries() {
    let lake = Lake::with(&[
        ("a.csv", "id,name\n1,x\n2,\n"),
        ("Sales/Orders.CSV", "id;total\n1;2.5\n2;3\n"),
        ("sales/t.tsv", "a\tb\n1\t\"x\ty\"\n"),
        ("sales/events/1.ndjson", "{\"id\":1,\"tag\":\"007\",\"more\":{\"k\":[1]}}\n"),
        ("sales/events/2.JSONL", "\n{\"ok\":true,\"id\":2.5}"),
        ("h/year=2024/m=01/a.csv", "id\n1\n"),
        ("h/year=2025/m=02/a.csv", "id\n2\n"),
        ("h/_SUCCESS", ""),
        ("notes.txt", "not data"),
    ]);
    let cases: &[(&str, &[&str])] = &[
        ("SELECT * FROM a ORDER BY id", &["1|x", "2|~"]),
        ("SELECT sum(total) FROM \"Sales\".\"Orders\"", &["5.5"]),
        ("SELECT b, a FROM sales.t", &["x\ty|1"]),
        ("SELECT * FROM sales.events ORDER BY id", &["1.0|007|{\"k\":[1]}|~", "2.5|~|~|true"]),
        ("SELECT * FROM h ORDER BY id", &["1|2024|1", "2|2025|2"]),
        ("SELECT id FROM h WHERE year = 2025", &["2"]),
        ("SELECT id FROM h WHERE year > 2020 AND m < 2", &["1"]),
        ("SELECT count(*) FROM h", &["2"]),
        ("SELECT count(*) FROM h WHERE year = 1999", &["0"]),
        ("SELECT 1 FROM h", &["1", "1"]),
        ("SELECT id FROM a WHERE name IS NULL", &["2"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
    let plan = lake.rows("EXPLAIN SELECT id FROM h WHERE year = 2025").await.join("\n");
    assert!(plan.contains("files=1 of 2"), "{plan}");
}

#[tokio::test]
async fn csv_types_come_from_the_whole_file() {
    let late: String =
        (0..30_000).map(|i| format!("{i},{}\n", if i == 29_999 { "n/a" } else { "7" })).collect();
    let lake = Lake::with(&[
        ("late.csv", &format!("id,v\n{late}")),
        (
            "typed.csv",
            "zip,phone,flag,d,ts,tz,amt,empty,quoted\n\
             00501,0123456789,true,2024-01-02,2024-01-02 03:04:05,2024-01-02T03:04:05+01:00,\
             \"1,234.50\",,\"\"\n\
             10001,99,FALSE,2024-02-29,2024-01-02T03:04:05.5,2024-01-02T03:04:05Z,7,,\n",
        ),
        ("bom.csv", "\u{feff}id,id,,UPPER\r\n1,2,3,4\r\n"),
        ("big.csv", "a,b\n9007199254740993,1\n1.5,99999999999999999999\n"),
        ("one.csv", "v\n1\n\n2\n"),
        ("blank.csv", "a,b\n1,2\n\n3,4\n\n"),
        ("header.csv", "a,b\n"),
        ("text.csv", "v,n\n\"\",\"\"\n,1\n"),
    ]);
    assert_eq!(lake.types("public", "late").await, "id:Int64 v:Utf8");
    assert_eq!(
        lake.types("public", "typed").await,
        "zip:Utf8 phone:Utf8 flag:Boolean d:Date32 ts:Timestamp(µs) tz:Timestamp(µs, \"UTC\") \
         amt:Utf8 empty:Utf8 quoted:Utf8"
    );
    assert_eq!(lake.types("public", "bom").await, "id:Int64 id_2:Int64 column_3:Int64 UPPER:Int64");
    assert_eq!(lake.types("public", "big").await, "a:Utf8 b:Utf8");
    assert_eq!(lake.types("public", "header").await, "a:Utf8 b:Utf8");
    let cases: &[(&str, &[&str])] = &[
        ("SELECT count(*), count(v), max(v) FROM late", &["30000|30000|n/a"]),
        ("SELECT zip, phone FROM typed ORDER BY zip", &["00501|0123456789", "10001|99"]),
        ("SELECT tz, amt FROM typed WHERE flag", &["2024-01-02T02:04:05Z|1,234.50"]),
        ("SELECT quoted IS NULL, quoted = '' FROM typed ORDER BY zip", &["false|true", "true|~"]),
        ("SELECT * FROM bom", &["1|2|3|4"]),
        ("SELECT a FROM big ORDER BY a", &["1.5", "9007199254740993"]),
        ("SELECT count(*), count(v), sum(v) FROM one", &["3|2|3"]),
        ("SELECT sum(a), count(*) FROM blank", &["4|2"]),
        ("SELECT count(*) FROM header", &["0"]),
        ("SELECT * FROM header", &[]),
        ("SELECT v IS NULL, n FROM text ORDER BY n", &["true|1", "false|~"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn quoted_line_ends_survive_parallel_reading() {
    let text: String = (0..400_000).map(|i| format!("{i},\"l1\nl2, {i} \"\"q\"\"\"\r\n")).collect();
    assert!(text.len() > 9 << 20, "more than one piece");
    let lake = Lake::with(&[("t.csv", &format!("id,t\r\n{text}"))]);
    let sql = "SELECT count(*), sum(id), count(DISTINCT t), max(length(t)) FROM t WHERE id >= 0";
    assert_eq!(lake.rows(sql).await, ["400000|79999800000|400000|17"]);
    let plan = lake.rows("EXPLAIN SELECT count(id) FROM t WHERE id > 5").await.join("\n");
    assert!(plan.contains("input_partitions=2"), "{plan}");
    assert_eq!(lake.rows("SELECT count(*) FROM (SELECT 1 FROM t LIMIT 70000)").await, ["70000"]);
}

#[tokio::test]
async fn columns_of_several_files_meet_by_name() {
    let lake = Lake::with(&[
        ("s/swapped/1.csv", "a,b\n1,2\n"),
        ("s/swapped/2.csv", "b,a\n20,10\n"),
        ("s/more/1.csv", "a,b\n1,2\n"),
        ("s/more/2.csv", "c,a\nx,3\n"),
        ("s/mixed/1.csv", "a\n1\n"),
        ("s/mixed/2.csv", "a\nn/a\n"),
        ("s/empty/1.csv", "a\n1\n"),
        ("s/empty/2.csv", ""),
    ]);
    lake.parquet(
        "s/pq/1.parquet",
        &[
            ("a", Arc::new(Int32Array::from(vec![1]))),
            ("b", Arc::new(StringArray::from(vec!["x"]))),
        ],
    );
    lake.parquet(
        "s/pq/2.parquet",
        &[
            ("b", Arc::new(StringArray::from(vec![None, Some("y")]))),
            ("a", ints(&[2, 9_007_199_254_740_993])),
            ("c", ints(&[3, 4])),
        ],
    );
    lake.parquet("s/wide/1.parquet", &[("a", ints(&[1, 2]))]);
    lake.parquet("s/wide/2.parquet", &[("a", Arc::new(Float64Array::from(vec![0.5])))]);
    let cases: &[(&str, &[&str])] = &[
        ("SELECT a, b FROM s.swapped ORDER BY a", &["1|2", "10|20"]),
        ("SELECT * FROM s.more ORDER BY a", &["1|2|~", "3|~|x"]),
        ("SELECT a FROM s.mixed ORDER BY a", &["1", "n/a"]),
        ("SELECT * FROM s.empty", &["1"]),
        ("SELECT * FROM s.pq ORDER BY a", &["1|x|~", "2|~|3", "9007199254740993|y|4"]),
        ("SELECT b FROM s.pq WHERE a = 1", &["x"]),
        ("SELECT c FROM s.pq WHERE c > 3", &["4"]),
        ("SELECT count(*) FROM s.pq WHERE c IS NULL", &["1"]),
        ("SELECT a FROM s.wide WHERE a < 2 ORDER BY a", &["0.5", "1.0"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn an_unreadable_table_says_why_and_hides_no_other() {
    let lake = Lake::with(&[
        ("good.csv", "a\n1\n"),
        ("twice.csv", "a\n1\n"),
        ("empty.csv", ""),
        ("ragged.csv", "a,b\n1,2\n1,2,3\n"),
        ("quote.csv", "a,b\n1,\"2\n"),
        ("array.json", "[{\"a\":1}]"),
        ("broken.json", "{\"a\":1}\n{\"a\":\n"),
        ("broken.parquet", "PAR1 this is no footer PAR1"),
        ("broken.arrow", "this is no Arrow file at all"),
        ("zipped.csv.gz", "\u{1f}"),
        ("s/mixed/a.csv", "a\n1\n"),
        ("s/mixed/b.parquet", ""),
        ("s/zipped/a.csv", "a\n1\n"),
        ("s/zipped/b.csv.gz", "a\n1\n"),
    ]);
    lake.write("latin1.csv", b"id,name\n1,ok\n2,caf\xe9\n");
    lake.write("utf16.csv", b"\xff\xfei\0d\0\n\0");
    lake.parquet("twice.parquet", &[("a", ints(&[1]))]);
    lake.parquet("s/types/1.parquet", &[("a", ints(&[1]))]);
    lake.parquet("s/types/2.parquet", &[("a", Arc::new(StringArray::from(vec!["x"])))]);
    lake.parquet("s/lossy/1.parquet", &[("a", ints(&[9_007_199_254_740_993]))]);
    lake.parquet("s/lossy/2.parquet", &[("a", Arc::new(Float64Array::from(vec![0.5])))]);
    lake.parquet("s/both/year=1/1.parquet", &[("year", ints(&[1]))]);
    let cases = [
        ("twice", "several files claim this name: \"twice.csv\", \"twice.parquet\""),
        ("empty", "file \"empty.csv\" is empty"),
        ("ragged", "file \"ragged.csv\" can't be read: record 2: it has 3 fields"),
        ("quote", "\"quote.csv\" can't be read: record 1: a quote is never closed"),
        ("array", "\"array.json\" can't be read: record 1: it is a JSON array"),
        ("broken", "several files claim this name"),
        ("zipped", "\"zipped.csv.gz\" can't be read: compressed files are not supported"),
        ("latin1", "\"latin1.csv\" can't be read: record 2: it is not UTF-8"),
        ("utf16", "\"utf16.csv\" can't be read: it is written in UTF-16"),
        ("s.mixed", "\"s/mixed/b.parquet\""),
        ("s.zipped", "\"s/zipped/b.csv.gz\""),
        ("s.types", "column \"a\" is Utf8 in file \"s/types/2.parquet\" and Int64"),
        ("s.lossy", "column \"a\" is Float64"),
        ("s.both", "column \"year\" is named both by folders and in files"),
    ];
    for (table, expected) in cases {
        for sql in [format!("SELECT * FROM {table}"), format!("SELECT count(*) FROM {table}")] {
            let error = lake.error(&sql).await;
            assert_eq!(error.kind, SourceErrorKind::Rejected, "{sql}");
            assert!(error.message.contains(expected), "{sql}: {}", error.message);
        }
    }
    assert_eq!(lake.rows("SELECT * FROM good").await, ["1"]);
    let error = lake.source.check().await.unwrap_err();
    assert!(error.message.contains("14 of 15 tables can't be read"), "{}", error.message);
}

#[tokio::test]
async fn broken_binary_files_name_themselves() {
    for (path, why) in [
        ("a.parquet", "\"a.parquet\" can't be read"),
        ("a.arrow", "it is not an Arrow file"),
        ("a.jsonl", "record 1: a line is not a JSON object"),
    ] {
        for text in ["", "PAR1", "this is no footer at all: PAR1", "\u{0}\u{1}{{{{"] {
            if path == "a.jsonl" && text.is_empty() {
                continue;
            }
            let lake = Lake::with(&[(path, text)]);
            let error = lake.error("SELECT * FROM a").await;
            assert!(error.message.contains("can't be read: "), "{path}: {}", error.message);
            if text.len() > 18 {
                assert!(error.message.contains(why), "{path}: {}", error.message);
            }
        }
    }
}

#[tokio::test]
async fn damaged_parquet_data_names_its_file() {
    let lake = Lake::new();
    let values: Vec<i64> = (0..5_000).map(|i| i * 7919 % 5_003).collect();
    lake.parquet("p.parquet", &[("a", ints(&values))]);
    let mut bytes = fs::read(lake.path("p.parquet")).unwrap();
    bytes[4..400].fill(0xFF);
    lake.write("p.parquet", bytes);
    let error = lake.error("SELECT sum(a) FROM p").await;
    assert_eq!(error.kind, SourceErrorKind::Rejected);
    assert_eq!(error.message, "file \"p.parquet\" can't be read: its data is damaged");
}

#[tokio::test]
async fn answers_follow_the_files() {
    let lake = Lake::new();
    lake.parquet("s/p/1.parquet", &[("a", ints(&[1]))]);
    lake.write("s/c/1.csv", "a\n1\n");
    let count = "SELECT (SELECT count(*) FROM s.p) AS p, (SELECT sum(a) FROM s.p) AS q,
                        (SELECT count(*) FROM s.c) AS c, (SELECT sum(a) FROM s.c) AS d";
    assert_eq!(lake.rows(count).await, ["1|1|1|1"]);
    lake.parquet("s/p/2.parquet", &[("a", ints(&[2]))]);
    lake.write("s/c/2.csv", "a\n2\n");
    assert_eq!(lake.rows(count).await, ["2|3|2|3"], "new files");
    lake.parquet("s/p/1.parquet", &[("a", ints(&[5, 6, 7]))]);
    lake.write("s/c/1.csv", "a\n5\n6\n7\n");
    assert_eq!(lake.rows(count).await, ["4|20|4|20"], "overwritten files");
    lake.write("s/c/1.csv", "a\n6\n6\n6\n");
    assert_eq!(lake.rows("SELECT sum(a) FROM s.c").await, ["20"], "the same size");
    fs::remove_file(lake.path("s/p/2.parquet")).unwrap();
    fs::remove_file(lake.path("s/c/2.csv")).unwrap();
    assert_eq!(lake.rows(count).await, ["3|18|3|18"], "deleted files");
}

#[tokio::test]
async fn a_file_that_changed_after_the_snapshot_is_stale() {
    let lake = Lake::new();
    lake.parquet("p.parquet", &[("a", ints(&[1]))]);
    lake.write("c.csv", "a\n1\n");
    let session = lake.session().await;
    lake.parquet("p.parquet", &[("a", ints(&[2]))]);
    lake.write("c.csv", "a\n2\n");
    for sql in ["SELECT * FROM p", "SELECT count(*) FROM p", "SELECT * FROM c"] {
        let error = source_error(rows(&session, sql).await.unwrap_err());
        assert_eq!(error.kind, SourceErrorKind::Stale, "{sql}: {}", error.message);
    }
    fs::remove_file(lake.path("c.csv")).unwrap();
    let error = source_error(rows(&session, "SELECT count(*) FROM c").await.unwrap_err());
    assert_eq!(error.message, "file \"c.csv\" no longer exists");
}

#[tokio::test]
async fn a_file_that_changes_between_planning_and_reading_is_stale() {
    for (path, text) in [("t.csv", "a\n1\n"), ("t.parquet", ""), ("t.arrow", "")] {
        let lake = Lake::with(&[(path, text)]);
        let write = |value: i64| {
            let batch = RecordBatch::try_from_iter([("a", ints(&[value]))]).unwrap();
            match path {
                "t.csv" => lake.write(path, format!("a\n{value}\n")),
                "t.parquet" => lake.parquet(path, &[("a", ints(&[value]))]),
                _ => {
                    let file = fs::File::create(lake.path(path)).unwrap();
                    let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
                    writer.write(&batch).unwrap();
                    writer.finish().unwrap();
                }
            }
        };
        write(1);
        let session = lake.session().await;
        let frame = session.sql("SELECT a FROM t").await.unwrap();
        let plan = frame.create_physical_plan().await.unwrap();
        write(2);
        let error = datafusion::physical_plan::collect(plan, session.task_ctx()).await;
        let error = source_error(error.unwrap_err());
        assert_eq!(error.kind, SourceErrorKind::Stale, "{path}: {}", error.message);
    }
}

#[tokio::test]
async fn floats_are_never_pruned_wrongly() {
    let mut values: Vec<f64> = (0..40).map(f64::from).collect();
    values[5] = f64::NAN;
    values[15] = -0.0;
    values[35] = f64::NAN;
    let lake = Lake::new();
    let ids = ints(&(0..40).collect::<Vec<_>>());
    let columns: [(&str, ArrayRef); 2] = [("id", ids), ("e", Arc::new(Float64Array::from(values)))];
    write_parquet(&lake.path("f.parquet"), &columns, 10);
    lake.parquet("n.parquet", &[("k", Arc::new(Float64Array::from(vec![f64::NAN, 0.0])))]);
    let cases: &[(&str, &[&str])] = &[
        ("SELECT id FROM f WHERE e = 'NaN'::double ORDER BY id", &["5", "35"]),
        ("SELECT id FROM f WHERE e > 38 ORDER BY id", &["5", "35", "39"]),
        ("SELECT count(*) FROM f WHERE e <> 1", &["39"]),
        ("SELECT id FROM f WHERE e = 0.0 ORDER BY id", &["0", "15"]),
        ("SELECT id FROM f WHERE e = -0.0 ORDER BY id", &["0", "15"]),
        ("SELECT id FROM f WHERE e IN ('NaN'::double, 7) ORDER BY id", &["5", "7", "35"]),
        ("SELECT id FROM f WHERE NOT (e <= 1e300) ORDER BY id", &["5", "35"]),
        ("SELECT id FROM f ORDER BY e DESC, id LIMIT 3", &["5", "35", "39"]),
        ("SELECT f.id FROM f JOIN n ON f.e = n.k AND n.k > 1 ORDER BY 1", &["5", "35"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
    // Integers of the same file are still pruned.
    let plan = lake.rows("EXPLAIN ANALYZE SELECT e FROM f WHERE id = 25").await.join("\n");
    assert!(plan.contains("row_groups_pruned_statistics=4 total → 1 matched"), "{plan}");
}

#[tokio::test]
async fn parquet_types_pass_as_they_are() {
    let lake = Lake::new();
    let category: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    lake.parquet(
        "t.parquet",
        &[
            ("ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(-1)]))),
            ("us", Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC"))),
            (
                "dec",
                Arc::new(
                    Decimal128Array::from(vec![150, 250, 350])
                        .with_precision_and_scale(10, 2)
                        .unwrap(),
                ),
            ),
            ("cat", Arc::new(category)),
        ],
    );
    assert_eq!(
        lake.types("public", "t").await,
        "ns:Timestamp(ns) us:Timestamp(µs, \"UTC\") dec:Decimal128(10, 2) cat:Utf8"
    );
    let cases: &[(&str, &[&str])] = &[
        ("SELECT ns FROM t WHERE cat = 'y'", &["~"]),
        ("SELECT ns FROM t WHERE dec = 1.5", &["1970-01-01T00:00:00.000000001"]),
        ("SELECT cat, sum(dec) FROM t GROUP BY cat ORDER BY cat", &["x|5.00", "y|2.50"]),
        ("SELECT count(*) FROM t WHERE ns < '1970-01-01'", &["1"]),
        ("SELECT dec FROM t LIMIT 1", &["1.50"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn arrow_files_are_read_batch_by_batch() {
    let lake = Lake::new();
    let category: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    let batch =
        RecordBatch::try_from_iter([("a", ints(&[1, 2])), ("b", Arc::new(category) as ArrayRef)])
            .unwrap();
    let other =
        RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from(vec![7])) as ArrayRef)])
            .unwrap();
    for (path, batch, times) in [("s/t/1.arrow", &batch, 3), ("s/t/2.FEATHER", &other, 1)] {
        let file = fs::File::create(lake.path(path)).unwrap();
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        (0..times).for_each(|_| writer.write(batch).unwrap());
        writer.finish().unwrap();
    }
    assert_eq!(lake.types("s", "t").await, "a:Int64 b:Utf8");
    let cases: &[(&str, &[&str])] = &[
        ("SELECT count(*) FROM s.t", &["7"]),
        ("SELECT b, count(*), sum(a) FROM s.t GROUP BY b ORDER BY b", &["x|3|3", "y|3|6", "~|1|7"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(lake.rows(sql).await, *expected, "{sql}");
    }
}

#[tokio::test]
async fn nothing_outside_the_root_is_reached() {
    let lake =
        Lake::with(&[("s/in.csv", "a\n1\n"), ("s/t/a.csv", "a\n1\n"), ("u/a.csv", "a\n1\n")]);
    let outside = lake.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.csv"), "a\n666\n").unwrap();
    symlink(outside.join("secret.csv"), lake.path("s/absolute.csv")).unwrap();
    symlink("../../outside/secret.csv", lake.path("s/relative.csv")).unwrap();
    symlink(&outside, lake.path("schema")).unwrap();
    symlink(&outside, lake.path("s/t/folder")).unwrap();
    symlink("in.csv", lake.path("s/alias.csv")).unwrap();
    symlink("nowhere.csv", lake.path("s/dangling.csv")).unwrap();
    symlink("..", lake.path("u/loop")).unwrap();
    for table in ["s.absolute", "s.relative", "s.dangling", "s.t"] {
        let error = lake.error(&format!("SELECT * FROM {table}")).await;
        assert!(error.message.contains("can't be read"), "{}", error.message);
        assert!(!error.message.contains("outside/"), "{}", error.message);
    }
    assert_eq!(lake.rows("SELECT * FROM s.alias").await, ["1"]);
    assert_eq!(lake.rows("SELECT * FROM u.a").await, ["1"]);
    assert!(lake.discover().await.iter().all(|table| table.schema != "schema"));

    let store = ConfinedStore::new(lake.path("").canonicalize().unwrap(), 100);
    let forbidden =
        ["s/absolute.csv", "s/relative.csv", "schema/secret.csv", "s/t/folder/secret.csv"];
    for path in forbidden {
        let error = store.get(&Path::parse(path).unwrap()).await.unwrap_err();
        assert!(matches!(error, object_store::Error::PermissionDenied { .. }), "{error}");
    }
    store.get(&Path::from("../outside/secret.csv")).await.unwrap_err();
    store.get(&Path::parse("s").unwrap()).await.unwrap_err();
    store.get(&Path::parse("s/in.csv").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_link_that_is_turned_after_the_snapshot_leads_nowhere() {
    let lake = Lake::with(&[("in.csv", "a\n1\n")]);
    let outside = lake.folder.path().join("secret.csv");
    fs::write(&outside, "a\n666\n").unwrap();
    symlink("in.csv", lake.path("t.csv")).unwrap();
    let session = lake.session().await;
    fs::remove_file(lake.path("t.csv")).unwrap();
    symlink(&outside, lake.path("t.csv")).unwrap();
    let error = source_error(rows(&session, "SELECT * FROM t").await.unwrap_err());
    assert_eq!(error.kind, SourceErrorKind::PermissionDenied, "{}", error.message);
}

#[tokio::test]
async fn the_store_writes_nothing() {
    let lake = Lake::with(&[("a.csv", "a\n1\n")]);
    let store = ConfinedStore::new(lake.path(""), 100);
    let a = Path::parse("a.csv").unwrap();
    let b = Path::parse("b.csv").unwrap();
    let refusals = [
        store.put(&b, PutPayload::from_static(b"x")).await.map(|_| ()),
        store.put_multipart(&b).await.map(|_| ()),
        store.delete(&a).await,
        store.copy(&a, &b).await,
        store.rename(&a, &b).await,
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        assert!(matches!(error, object_store::Error::NotImplemented { .. }), "{error}");
    }
    assert_eq!(FileStore::list(&store).await.unwrap().len(), 1);
}

#[tokio::test]
async fn limits_and_options_are_checked() {
    let lake = Lake::with(&[("a.csv", "a;b|c\n1;2|3\n"), ("b.csv", "a\n1\n")]);
    let open = |name, value| {
        let mut options = Options::default();
        options.set("root", OptionValue::Path(lake.path("")));
        options.set(name, value);
        (KIND.open)(&CatalogName::parse("lake").unwrap(), options)
    };
    let few = open("max_files", OptionValue::Integer(1)).unwrap();
    let error = few.discover().await.unwrap_err();
    assert_eq!(error.message, "root holds more than 1 files");
    let bars = open("csv_delimiter", OptionValue::Text("|".to_owned())).unwrap();
    let tables = bars.discover().await.unwrap();
    let a = tables.iter().find(|table| table.name == "a").unwrap();
    assert_eq!(a.columns.field(0).name(), "a;b");
    for text in ["", "ab", "\"", "é"] {
        open("csv_delimiter", OptionValue::Text(text.to_owned())).unwrap_err();
    }
    let gone = open("root", OptionValue::Path("/nonexistent/weir".into())).unwrap();
    assert_eq!(gone.discover().await.unwrap_err().kind, SourceErrorKind::Unavailable);
}

#[tokio::test]
async fn unchanged_files_are_not_read_again() {
    let lake = Lake::new();
    for number in 0..1_000 {
        lake.write(&format!("s/t{number}.csv"), "a,b\n1,2\n");
    }
    // Files as young as a tick of the file system's clock are not trusted yet.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let store = Arc::new(Counting::new(lake.path("")));
    let name = CatalogName::parse("lake").unwrap();
    let catalog = FileCatalog::new(&name, store.clone(), FileOptions::default()).unwrap();
    for expected in [1_000, 1_000] {
        assert_eq!(catalog.discover().await.unwrap().len(), 1_000);
        assert_eq!(store.opened.load(Ordering::Relaxed), expected);
    }
    lake.write("s/t7.csv", "a\n1\n");
    let tables = catalog.discover().await.unwrap();
    assert_eq!(store.opened.load(Ordering::Relaxed), 1_001);
    let changed = tables.iter().find(|table| table.name == "t7").unwrap();
    assert_eq!(changed.columns.fields().len(), 1);
}

/// A store that counts how often a file is opened for reading.
#[derive(Debug, Clone)]
struct Counting {
    inner: ConfinedStore,
    opened: Arc<AtomicUsize>,
}

impl Counting {
    fn new(root: std::path::PathBuf) -> Self {
        Self { inner: ConfinedStore::new(root, 10_000), opened: Arc::default() }
    }
}

#[async_trait]
impl FileStore for Counting {
    async fn list(&self) -> crate::Result<Vec<Listed>> {
        FileStore::list(&self.inner).await
    }

    async fn verify(&self, files: &[ObjectMeta]) -> object_store::Result<()> {
        self.inner.verify(files).await
    }

    /// Called once for each discovery; each opening is counted by the store that it returns.
    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.clone())
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl std::fmt::Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.inner.get_opts(path, options).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        ObjectStore::list(&self.inner, prefix)
    }

    async fn list_with_delimiter(&self, path: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(path).await
    }

    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
