//! The statements that clients send about metadata, planned and run by DataFusion over a hand-made
//! session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::HashMap, sync::Arc, time::Instant};

use arrow::{
    datatypes::{DataType, Field, Schema, TimeUnit},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{
    catalog::{CatalogProvider, SchemaProvider},
    config::Dialect,
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
    prelude::{SessionConfig, SessionContext},
    sql::parser::Statement as ParsedStatement,
};
use weir_catalogs::field::{COMMENT, PG_TYPE};

use super::*;

fn column(name: &str, data_type: DataType, pg_type: &str, nullable: bool) -> Field {
    let metadata = HashMap::from([(PG_TYPE.to_owned(), pg_type.to_owned())]);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

fn commented(field: Field, comment: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(COMMENT.to_owned(), comment.to_owned());
    field.with_metadata(metadata)
}

fn table(schema: &str, name: &str, kind: TableKind, columns: Vec<Field>) -> ShownTable {
    ShownTable {
        name: name.to_owned(),
        key: format!("shop.{schema}.{name}"),
        kind,
        columns: Arc::new(Schema::new(columns)),
        comment: None,
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        rows: None,
        bytes: None,
    }
}

fn key(name: &str, columns: &[usize], is_primary: bool) -> Key {
    Key { name: name.to_owned(), columns: columns.to_vec(), is_primary }
}

fn foreign_key(name: &str, column: usize, table: &str, referenced: &str) -> ShownForeignKey {
    let key = ForeignKey {
        name: name.to_owned(),
        columns: vec![column],
        schema: "sales".to_owned(),
        table: table.to_owned(),
        referenced: vec![referenced.to_owned()],
        on_update: 'a',
        on_delete: 'c',
        match_type: 's',
    };
    ShownForeignKey { key, referenced: format!("shop.sales.{table}") }
}

fn shop() -> Shown {
    use DataType::{Boolean, Date32, Float64, Int32, Int64, Utf8};
    let timestamp = || DataType::Timestamp(TimeUnit::Microsecond, None);
    let mut orders = table(
        "sales",
        "orders",
        TableKind::Table,
        vec![
            column("id", Int64, "bigint", false),
            column("customer_id", Int32, "integer", false),
            column("placed", Date32, "date", true),
            column("amount", DataType::Decimal128(12, 2), "numeric(12,2)", true),
            column("code", Utf8, "character(4)", true),
            column("uid", Utf8, "uuid", true),
            column("st", Utf8, "sales.status_t", true),
        ],
    );
    orders.comment = Some("Orders placed".to_owned());
    orders.keys = vec![key("orders_pkey", &[0], true), key("orders_uid_uq", &[5, 1], false)];
    orders.foreign_keys = vec![
        foreign_key("orders_customer_id_fkey", 1, "customer", "id"),
        foreign_key("orders_to_hidden", 1, "hidden", "id"),
        foreign_key("orders_to_hidden_column", 1, "customer", "hidden"),
    ];
    orders.rows = Some(5000);
    orders.bytes = Some(1 << 20);
    let mut customer = table(
        "sales",
        "customer",
        TableKind::Table,
        vec![
            column("id", Int32, "integer", false),
            commented(column("name", Utf8, "character varying(80)", false), "Full name"),
            column("created", timestamp(), "timestamp(3) without time zone", true),
            column("tags", DataType::new_list(Utf8, true), "text[]", true),
        ],
    );
    customer.keys = vec![key("customer_pkey", &[0], true)];
    let totals = table(
        "sales",
        "v_totals",
        TableKind::View,
        vec![
            column("id", Int32, "integer", true),
            column("total", Float64, "double precision", true),
        ],
    );
    let daily = table(
        "sales",
        "mv_daily",
        TableKind::MaterializedView,
        vec![column("d", Date32, "date", true)],
    );
    let plain = table(
        "public",
        "plain",
        TableKind::Files,
        vec![
            Field::new("a", Int32, true),
            Field::new("b", Utf8, true),
            Field::new("f", Boolean, true),
            Field::new("Mixed Case", Utf8, true),
        ],
    );
    let mut odd = table(
        "Odd.Schema",
        "we\"ird.Name",
        TableKind::PartitionedTable,
        vec![Field::new("select", Int32, true), Field::new("a\"b", Int32, true)],
    );
    odd.keys = vec![key("odd key", &[1], true)];
    let schema = |name: &str, tables| ShownSchema { name: name.to_owned(), tables };
    Shown {
        database: "shop".to_owned(),
        databases: vec!["shop".to_owned(), "weir".to_owned()],
        user: "alice".to_owned(),
        roles: vec!["analyst".to_owned()],
        search_path: vec!["$user".to_owned(), "public".to_owned()],
        schemas: vec![
            schema("Odd.Schema", vec![odd]),
            schema("hr", Vec::new()),
            schema("public", vec![plain]),
            schema("sales", vec![customer, daily, orders, totals]),
        ],
        version: 1,
    }
}

#[derive(Debug)]
struct OneCatalog {
    catalog: PgCatalog,
    users: Arc<dyn SchemaProvider>,
}

impl CatalogProvider for OneCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![PG_CATALOG.to_owned(), INFORMATION_SCHEMA.to_owned(), "public".to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let name = match name {
            PG_CATALOG => PG_CATALOG,
            INFORMATION_SCHEMA => INFORMATION_SCHEMA,
            _ => return Some(self.users.clone()),
        };
        Some(Arc::new(OneSchema { catalog: self.catalog.clone(), name }))
    }
}

#[derive(Debug)]
struct OneSchema {
    catalog: PgCatalog,
    name: &'static str,
}

#[async_trait]
impl SchemaProvider for OneSchema {
    fn table_names(&self) -> Vec<String> {
        self.catalog.table_names(self.name)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.catalog.table(self.name, name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog.table(self.name, name).is_some()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSetting(Signature);

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(
        &self,
        arguments: ScalarFunctionArgs,
    ) -> Result<ColumnarValue, DataFusionError> {
        Ok(arguments.args[0].clone())
    }
}

struct Client {
    catalog: PgCatalog,
    context: SessionContext,
}

impl Client {
    fn new(shown: Shown) -> Self {
        let catalog = PgCatalog::new(Arc::new(shown));
        let config = SessionConfig::new()
            .with_default_catalog_and_schema("shop", "public")
            .with_information_schema(false)
            .with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let users = Arc::new(datafusion::catalog::MemorySchemaProvider::new());
        context.register_catalog("shop", Arc::new(OneCatalog { catalog: catalog.clone(), users }));
        for function in catalog.functions() {
            context.register_udf(function.as_ref().clone());
        }
        // The session's own function: settings are not part of the catalogs.
        context.register_udf(ScalarUDF::new_from_impl(CurrentSetting(Signature::variadic_any(
            Volatility::Stable,
        ))));
        Self { catalog, context }
    }

    async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
        let state = self.context.state();
        let mut statement = match state.sql_to_statement(sql, &Dialect::PostgreSQL)? {
            ParsedStatement::Statement(statement) => *statement,
            other => panic!("{other}"),
        };
        self.catalog
            .rewrite(&mut statement)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let statement = ParsedStatement::Statement(Box::new(statement));
        let plan = state.statement_to_plan(statement).await?;
        self.context.execute_logical_plan(plan).await?.collect().await
    }

    /// Rows as text; NULL is `∅`, and columns are separated by `|`.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.run(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let options = FormatOptions::new().with_null("∅");
        let mut rows = Vec::new();
        for batch in &batches {
            let columns = batch.columns().iter();
            let columns = columns
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
                .collect::<Vec<_>>();
            for row in 0..batch.num_rows() {
                let cells = columns.iter().map(|column| column.value(row).to_string());
                rows.push(cells.collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }

    async fn error(&self, sql: &str) -> String {
        match self.run(sql).await {
            Ok(_) => panic!("{sql} was answered"),
            Err(error) => match sqlstate(&error) {
                Some(state) => state.to_owned(),
                None => error.to_string(),
            },
        }
    }
}

/// The SQLSTATE of one of our errors, however DataFusion has wrapped it.
fn sqlstate(error: &DataFusionError) -> Option<&'static str> {
    let mut error: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(own) = error.downcast_ref::<crate::error::Error>() {
            return Some(own.kind.sqlstate());
        }
        if let Some(DataFusionError::External(inner)) = error.downcast_ref::<DataFusionError>()
            && let Some(own) = inner.downcast_ref::<crate::error::Error>()
        {
            return Some(own.kind.sqlstate());
        }
        error = error.source()?;
    }
}

/// The statements of a file, with the oids of the session written in.
fn statements(text: &str, client: &Client) -> Vec<(String, String)> {
    let objects = client.catalog.objects();
    let oid = |schema, name| objects.find_relation(Some(schema), name).unwrap().to_string();
    let oids = [
        ("{public.plain}", oid("public", "plain")),
        ("{sales.orders}", oid("sales", "orders")),
        ("{sales.customer}", oid("sales", "customer")),
        ("{sales.v_totals}", oid("sales", "v_totals")),
        ("{orders_pkey}", oid("sales", "orders_pkey")),
        ("{sales}", objects.schema_oid("sales").unwrap().to_string()),
    ];
    let mut statements = Vec::new();
    for part in text.split("\n-- ").skip(1) {
        let Some((title, sql)) = part.split_once('\n') else { continue };
        let Some(sql) = sql.trim().strip_suffix(';') else { continue };
        let mut sql = sql.to_owned();
        for (placeholder, oid) in &oids {
            sql = sql.replace(placeholder, oid);
        }
        statements.push((title.to_owned(), sql));
    }
    statements
}

/// Runs a file; what fails must be exactly what is listed.
async fn replay(text: &str, known: &[(&str, &str)]) {
    let client = Client::new(shop());
    let mut surprises = Vec::new();
    let statements = statements(text, &client);
    for (title, sql) in &statements {
        let known = known.iter().find(|(known, _)| known == title);
        match (client.run(sql).await, known) {
            (Ok(_), None) | (Err(_), Some(_)) => {}
            (Ok(_), Some(_)) => surprises.push(format!("{title}: works, take it off the list")),
            (Err(error), None) => surprises.push(format!("{title}: {error}")),
        }
    }
    assert!(
        surprises.is_empty(),
        "{} of {} statements:\n{}",
        surprises.len(),
        statements.len(),
        surprises.join("\n")
    );
}

#[tokio::test]
async fn psql_statements_run() {
    replay(include_str!("testdata/psql.sql"), &[]).await;
}

#[tokio::test]
async fn jdbc_statements_run() {
    replay(include_str!("testdata/jdbc.sql"), &[]).await;
}

#[tokio::test]
async fn dbeaver_statements_run() {
    replay(include_str!("testdata/dbeaver.sql"), &[]).await;
}

#[tokio::test]
async fn odbc_statements_run() {
    replay(include_str!("testdata/odbc.sql"), &[]).await;
}

#[tokio::test]
async fn other_clients_statements_run() {
    let known = [
        ("metabase 8", "format() is not a function of the catalogs"),
        ("adbc 31", "asks for a temporary table: 42P01"),
    ];
    replay(include_str!("testdata/others.sql"), &known).await;
}

#[tokio::test]
async fn psql_d_shows_columns_keys_and_comments() {
    let client = Client::new(shop());
    let columns = "SELECT a.attname,
          pg_catalog.format_type(a.atttypid, a.atttypmod),
          (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
           FROM pg_catalog.pg_attrdef d
           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
          a.attnotnull,
          (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
           WHERE c.oid = a.attcollation AND t.oid = a.atttypid
             AND a.attcollation <> t.typcollation) AS attcollation,
          pg_catalog.col_description(a.attrelid, a.attnum)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = 'sales.NAME'::regclass AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum";
    assert_eq!(
        client.rows(&columns.replace("NAME", "customer")).await,
        [
            "id|integer|∅|true|∅|∅",
            "name|character varying(80)|∅|true|∅|Full name",
            "created|timestamp(3) without time zone|∅|false|∅|∅",
            "tags|text[]|∅|false|∅|∅",
        ]
    );
    let orders = client.rows(&columns.replace("NAME", "orders")).await;
    assert_eq!(
        orders[3..],
        [
            "amount|numeric(12,2)|∅|false|∅|∅",
            "code|character(4)|∅|false|∅|∅",
            "uid|uuid|∅|false|∅|∅",
            "st|text|∅|false|∅|∅",
        ]
    );
    let indexes = "SELECT c2.relname, i.indisprimary, i.indisunique,
          pg_catalog.pg_get_indexdef(i.indexrelid, 0, true),
          pg_catalog.pg_get_constraintdef(con.oid, true), contype, i.indkey[0], con.conkey[1]
        FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
          LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid
            AND conindid = i.indexrelid AND contype IN ('p','u','x'))
        WHERE c.oid = 'sales.orders'::regclass AND c.oid = i.indrelid AND i.indexrelid = c2.oid
        ORDER BY i.indisprimary DESC, c2.relname";
    assert_eq!(
        client.rows(indexes).await,
        [
            "orders_pkey|true|true|CREATE UNIQUE INDEX orders_pkey ON sales.orders USING btree (id)\
         |PRIMARY KEY (id)|p|1|1",
            "orders_uid_uq|false|true|CREATE UNIQUE INDEX orders_uid_uq ON sales.orders USING btree \
         (uid, customer_id)|UNIQUE (uid, customer_id)|u|6|6",
        ]
    );
}

#[tokio::test]
async fn psql_lists_show_what_is_visible() {
    let client = Client::new(shop());
    let tables = "SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner),
          pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)),
          pg_catalog.obj_description(c.oid, 'pg_class')
        FROM pg_catalog.pg_class c
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r','p','v','m','')
              AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        ORDER BY 1,2";
    assert_eq!(
        client.rows(tables).await,
        [
            "Odd.Schema|we\"ird.Name|p|weir|∅|∅",
            "public|plain|r|weir|∅|∅",
            "sales|customer|r|weir|∅|∅",
            "sales|mv_daily|m|weir|∅|∅",
            "sales|orders|r|weir|1024 kB|Orders placed",
            "sales|v_totals|v|weir|∅|∅",
        ]
    );
    let on_path = "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid) AND relkind = 'r'
        AND relname OPERATOR(pg_catalog.!~) '^pg_' COLLATE pg_catalog.default";
    assert_eq!(client.rows(on_path).await, ["plain"]);
    let schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1";
    let expected = ["Odd.Schema", "hr", "information_schema", "public", "sales"];
    assert_eq!(client.rows(schemas).await, expected);
    let databases = "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding),
        pg_catalog.array_to_string(d.datacl, E'\\n') FROM pg_catalog.pg_database d ORDER BY 1";
    assert_eq!(client.rows(databases).await, ["shop|UTF8|∅", "weir|UTF8|∅"]);
    let roles = "SELECT r.rolname, r.rolsuper, pg_catalog.array_to_string(ARRAY(SELECT b.rolname
          FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid)
          WHERE m.member = r.oid), ',') as memberof
        FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1";
    assert_eq!(client.rows(roles).await, ["alice|false|analyst", "analyst|false|", "weir|false|"]);
    let functions = "SELECT p.proname, pg_catalog.pg_get_function_result(p.oid),
          pg_catalog.pg_get_function_arguments(p.oid)
        FROM pg_catalog.pg_proc p WHERE p.proname OPERATOR(pg_catalog.~) '^(abs)$'
        COLLATE pg_catalog.default AND pg_catalog.pg_function_is_visible(p.oid) ORDER BY 2";
    assert_eq!(client.rows(functions).await.len(), 6);
}

#[tokio::test]
async fn names_become_oids_and_back() {
    let client = Client::new(shop());
    for (sql, answer) in [
        (
            "SELECT 'sales.orders'::regclass = c.oid FROM pg_class c WHERE relname = 'orders'",
            "true",
        ),
        ("SELECT c.oid::regclass FROM pg_class c WHERE relname = 'orders'", "sales.orders"),
        ("SELECT c.oid::regclass::text || '!' FROM pg_class c WHERE relname = 'plain'", "plain!"),
        (
            "SELECT oid::pg_catalog.regclass::pg_catalog.text FROM pg_class WHERE relkind = 'p'",
            "\"Odd.Schema\".\"we\"\"ird.Name\"",
        ),
        (
            "SELECT '\"Odd.Schema\".\"we\"\"ird.Name\"'::regclass",
            "\"Odd.Schema\".\"we\"\"ird.Name\"",
        ),
        ("SELECT 'shop.sales.orders'::regclass", "sales.orders"),
        ("SELECT 'pg_class'::regclass::oid", "1259"),
        ("SELECT 1259::regclass", "pg_class"),
        ("SELECT 4000000000::oid", "4000000000"),
        ("SELECT '-'::regclass::oid", "0"),
        ("SELECT 'integer'::regtype::oid", "23"),
        ("SELECT 1043::regtype", "character varying"),
        ("SELECT typinput FROM pg_type WHERE typname = '_text'", "array_in"),
        ("SELECT typinput = 'pg_catalog.array_in'::regproc FROM pg_type WHERE oid = 1009", "true"),
        ("SELECT typinput = 'array_in' FROM pg_type WHERE oid = 1009", "true"),
        ("SELECT typreceive::TEXT != 'array_recv' FROM pg_type t WHERE oid = 1009", "false"),
        ("SELECT 'sales'::regnamespace::text", "sales"),
        ("SELECT to_regclass('sales.nope')", "∅"),
        ("SELECT 'r'::\"char\"", "r"),
        ("SELECT 'abc'::name", "abc"),
        ("SELECT CAST('tuple' AS pg_catalog.text)", "tuple"),
        ("SELECT '12'::pg_catalog.int4 + 1", "13"),
    ] {
        assert_eq!(client.rows(sql).await, [answer], "{sql}");
    }
    for (sql, state) in [
        ("SELECT 'sales.nope'::regclass", "42P01"),
        ("SELECT 'orders'::regclass", "42P01"),
        ("SELECT 'nope'::regtype", "42704"),
        ("SELECT 'nope'::regproc", "42883"),
        ("SELECT 'x'::oid", "22P02"),
        ("SELECT 'x' COLLATE \"de_DE\"", "0A000"),
        ("SELECT has_table_privilege('sales.nope', 'SELECT')", "42P01"),
        ("SELECT has_table_privilege('sales.orders', 'READ')", "22023"),
        ("SELECT has_column_privilege('sales.orders', 'secret', 'SELECT')", "42703"),
        (
            "SELECT (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid) \
             FROM pg_class c WHERE c.relname = 'orders'",
            "21000",
        ),
    ] {
        assert_eq!(client.error(sql).await, state, "{sql}");
    }
}

#[tokio::test]
async fn session_functions_answer() {
    let client = Client::new(shop());
    let version = format!("PostgreSQL 15.8 (weir {})", env!("CARGO_PKG_VERSION"));
    for (sql, answer) in [
        ("SELECT version()", version.as_str()),
        ("SELECT pg_catalog.version()", version.as_str()),
        ("SELECT current_user, session_user, user, current_role", "alice|alice|alice|alice"),
        ("SELECT current_database(), current_catalog, current_schema()", "shop|shop|public"),
        ("SELECT current_schema", "public"),
        ("SELECT current_schemas(true), current_schemas(false)", "[pg_catalog, public]|[public]"),
        ("SELECT 'public' = ANY(current_schemas(true))", "true"),
        ("SELECT (current_schemas(true))[1]", "pg_catalog"),
        ("SELECT pg_is_in_recovery(), pg_my_temp_schema()", "false|0"),
        (
            "SELECT format_type(1043, 84), format_type(23, NULL), format_type(NULL, 1)",
            "character varying(80)|integer|∅",
        ),
        ("SELECT quote_ident('Ab'), quote_ident('ab')", "\"Ab\"|ab"),
        ("SELECT has_table_privilege('sales.orders', 'SELECT')", "true"),
        ("SELECT has_table_privilege('alice', 'sales.orders', 'INSERT, SELECT')", "true"),
        ("SELECT has_table_privilege('bob', 'sales.orders', 'SELECT')", "false"),
        ("SELECT has_table_privilege('sales.orders', 'INSERT')", "false"),
        ("SELECT has_table_privilege(99999, 'SELECT')", "∅"),
        (
            "SELECT has_schema_privilege('sales', 'USAGE'), has_schema_privilege('sales', 'CREATE')",
            "true|false",
        ),
        ("SELECT has_database_privilege('shop', 'CONNECT')", "true"),
        ("SELECT has_column_privilege('sales.orders', 'amount', 'SELECT')", "true"),
        ("SELECT pg_has_role('analyst', 'USAGE'), pg_has_role('weir', 'MEMBER')", "true|false"),
        ("SELECT array_upper(ARRAY[5,6], 1), array_lower(ARRAY[5,6], 1)", "2|1"),
        ("SELECT pg_get_serial_sequence('sales.orders', 'id')", "∅"),
        (
            "SELECT 3 = ANY (ARRAY[1,NULL]), 1 = ANY (ARRAY[1,NULL]), 1 <> ALL (ARRAY[2,3])",
            "∅|true|true",
        ),
        ("SELECT 2 = ANY ('{1,2}'::int[])", "true"),
    ] {
        assert_eq!(client.rows(sql).await, [answer], "{sql}");
    }
}

#[tokio::test]
async fn subqueries_keep_their_meaning() {
    let client = Client::new(shop());
    for (sql, answer) in [
        // More than equality: matched by the key of the outer table.
        (
            "SELECT c.relname, (SELECT a.attname FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > c.relnatts - 1)
             FROM pg_class c WHERE c.relname IN ('orders', 'customer') ORDER BY 1",
            vec!["customer|tags", "orders|st"],
        ),
        // A condition on the outer row alone.
        (
            "SELECT c.relname, (SELECT n.nspname FROM pg_namespace n
               WHERE n.oid = c.relnamespace AND c.relhasindex)
             FROM pg_class c WHERE c.relname IN ('orders', 'plain') ORDER BY 1",
            vec!["orders|sales", "plain|∅"],
        ),
        // ARRAY keeps the order, and is empty for no rows.
        (
            "SELECT c.relname, array_to_string(ARRAY(SELECT a.attname FROM pg_attribute a
               WHERE attrelid = c.oid AND attnum < 3 ORDER BY attnum DESC), ',')
             FROM pg_class c WHERE c.relname IN ('orders', 'hr', 'plain') ORDER BY 1",
            vec!["orders|customer_id,id", "plain|b,a"],
        ),
        (
            "SELECT array_to_string(ARRAY(SELECT relname FROM pg_class
               WHERE relkind = 'm' OR relkind = 'p' ORDER BY 1), ',')",
            vec!["mv_daily,we\"ird.Name"],
        ),
        // Nothing is gathered from nothing, and an order that is not by the value itself holds.
        (
            "SELECT n.nspname, array_to_string(ARRAY(SELECT c.relname FROM pg_class c
               WHERE c.relnamespace = n.oid AND c.relkind <> 'i' AND c.relnatts > length(n.nspname)
               ORDER BY c.relnatts DESC, c.relname), ',')
             FROM pg_namespace n WHERE n.nspname IN ('hr', 'public', 'sales') ORDER BY 1",
            vec!["hr|", "public|", "sales|orders"],
        ),
        // The first of several.
        (
            "SELECT (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid
               ORDER BY a.attnum DESC LIMIT 1) FROM pg_class c WHERE c.relname = 'orders'",
            vec!["st"],
        ),
        // An inner name hides an outer one.
        (
            "SELECT (SELECT c.nspname FROM pg_namespace c WHERE c.oid = t.relnamespace)
             FROM pg_class t WHERE t.relname = 'plain'",
            vec!["public"],
        ),
        (
            "SELECT count(*) FROM pg_type t WHERE t.typname = 'int4' AND
               (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_class c WHERE c.oid = t.typrelid))
               AND NOT EXISTS (SELECT 1 FROM pg_type el
                 WHERE el.oid = t.typelem AND el.typarray = t.oid)",
            vec!["1"],
        ),
        // Counting is not gathering: 0 for none.
        (
            "SELECT n.nspname, (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid
               AND c.relkind <> 'i') FROM pg_namespace n
             WHERE n.nspname IN ('hr', 'sales') ORDER BY 1",
            vec!["hr|0", "sales|4"],
        ),
        (
            "SELECT a.attname, (information_schema._pg_expandarray(i.indkey)).n
             FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
             WHERE a.attname = 'uid' ORDER BY 2",
            vec!["uid|1", "uid|2"],
        ),
        (
            "SELECT relname FROM pg_class WHERE relkind = ANY (ARRAY['m', 'p']) ORDER BY 1",
            vec!["mv_daily", "we\"ird.Name"],
        ),
        (
            "SELECT relname FROM pg_class WHERE relkind = ANY ('{m,p}') ORDER BY 1",
            vec!["mv_daily", "we\"ird.Name"],
        ),
        (
            "SELECT relname FROM pg_class c WHERE oid = ANY (ARRAY(SELECT conrelid
               FROM pg_constraint WHERE contype = 'p')) ORDER BY 1",
            vec!["customer", "orders", "we\"ird.Name"],
        ),
        (
            "SELECT l.tableoid, l.lanname FROM pg_language l WHERE l.lanplcallfoid != 0",
            vec!["2612|plpgsql"],
        ),
    ] {
        assert_eq!(client.rows(sql).await, answer, "{sql}");
    }
}

#[tokio::test]
async fn an_uncorrelated_subquery_has_one_row() {
    let client = Client::new(shop());
    let error = client.run("SELECT (SELECT relname FROM pg_class)").await.unwrap_err();
    assert!(error.to_string().contains("more than one row"), "{error}");
}

#[tokio::test]
async fn repeated_names_are_told_apart() {
    let client = Client::new(shop());
    let batches = client
        .run("SELECT n.oid, n.*, NULL, NULL FROM pg_namespace n WHERE nspname = 'hr'")
        .await
        .unwrap();
    let schema = batches[0].schema();
    let names = schema.fields().iter().map(|field| shown_name(field.name())).collect::<Vec<_>>();
    assert_eq!(names, ["oid", "oid", "nspname", "nspowner", "nspacl", "?column?", "?column?"]);
    assert_eq!(schema.field(1).metadata()[PG_TYPE], "oid");
    let name = |sql: &'static str| async {
        client.run(sql).await.unwrap()[0].schema().field(0).name().clone()
    };
    assert_eq!(name("SELECT pg_catalog.format_type(oid, NULL) FROM pg_type").await, "format_type");
    assert_eq!(name("SELECT oid::regclass FROM pg_class").await, "oid");
}

#[tokio::test]
async fn information_schema_answers() {
    let client = Client::new(shop());
    for (sql, answer) in [
        (
            "SELECT table_schema, table_name, table_type FROM information_schema.tables
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
            vec![
                "Odd.Schema|we\"ird.Name|BASE TABLE",
                "public|plain|BASE TABLE",
                "sales|customer|BASE TABLE",
                "sales|orders|BASE TABLE",
                "sales|v_totals|VIEW",
            ],
        ),
        (
            "SELECT column_name, data_type, character_maximum_length, numeric_precision,
               numeric_scale, udt_name, is_nullable
             FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position
             LIMIT 5",
            vec![
                "id|bigint|∅|64|0|int8|NO",
                "customer_id|integer|∅|32|0|int4|NO",
                "placed|date|∅|∅|∅|date|YES",
                "amount|numeric|∅|12|2|numeric|YES",
                "code|character|4|∅|∅|bpchar|YES",
            ],
        ),
        (
            "SELECT tc.constraint_type, kcu.column_name, kcu.ordinal_position
             FROM information_schema.table_constraints tc
             JOIN information_schema.key_column_usage kcu
               ON kcu.constraint_name = tc.constraint_name
             WHERE tc.table_name = 'orders' ORDER BY 1, 3",
            vec![
                "FOREIGN KEY|customer_id|1",
                "PRIMARY KEY|id|1",
                "UNIQUE|uid|1",
                "UNIQUE|customer_id|2",
            ],
        ),
    ] {
        assert_eq!(client.rows(sql).await, answer, "{sql}");
    }
}

/// Every cell of every system table, as text.
async fn everything(client: &Client, is_complete: bool) -> String {
    let mut cells = String::new();
    for schema in [PG_CATALOG, INFORMATION_SCHEMA] {
        for table in client.catalog.table_names(schema) {
            let rows = client.rows(&format!("SELECT * FROM {schema}.{table}")).await;
            let relation = Relation::find(schema, &table).unwrap();
            let can_have_rows = match schema {
                PG_CATALOG => !tables::is_always_empty(relation),
                _ => information_schema::has_rows(&table),
            };
            assert!(rows.is_empty() || can_have_rows, "{schema}.{table} has rows");
            assert!(
                !rows.is_empty() || !can_have_rows || !is_complete,
                "{schema}.{table} has none"
            );
            cells.push_str(&rows.join("\n"));
        }
    }
    cells
}

#[tokio::test]
async fn a_hidden_table_is_nowhere() {
    let all = everything(&Client::new(shop()), true).await;
    for shown in ["orders", "customer_id", "mv_daily", "Full name"] {
        assert!(all.contains(shown), "{shown}");
    }
    // Catalog names behind the tables are nobody's business.
    assert!(!all.contains("shop.sales"));

    let mut hidden = shop();
    hidden.schemas[3].tables.retain(|table| table.name == "customer" || table.name == "v_totals");
    let customer = &mut hidden.schemas[3].tables[0];
    customer.columns = Arc::new(customer.columns.project(&[0, 2]).unwrap());
    let client = Client::new(hidden);
    let seen = everything(&client, false).await;
    for name in ["orders", "customer_id", "mv_daily", "Full name", "character varying(80)"] {
        assert!(!seen.contains(name), "{name}");
    }
    assert_eq!(client.error("SELECT 'sales.orders'::regclass").await, "42P01");
    let oid = oid_in(&Client::new(shop()), "orders").to_string();
    for sql in [
        "SELECT count(*) FROM pg_class WHERE oid = OID",
        "SELECT count(*) FROM pg_attribute WHERE attrelid = OID",
        "SELECT count(*) FROM pg_index WHERE indrelid = OID",
    ] {
        assert_eq!(client.rows(&sql.replace("OID", &oid)).await, ["0"]);
    }
    for sql in [
        "SELECT pg_table_is_visible(OID)",
        "SELECT has_table_privilege(OID, 'SELECT')",
        "SELECT obj_description(OID, 'pg_class')",
        "SELECT pg_total_relation_size(OID)",
    ] {
        assert_eq!(client.rows(&sql.replace("OID", &oid)).await, ["∅"]);
    }
}

fn oid_in(client: &Client, table: &str) -> i64 {
    client.catalog.objects().find_relation(Some("sales"), table).unwrap()
}

#[test]
fn oids_do_not_depend_on_what_else_is_visible() {
    let mut less = shop();
    less.schemas[3].tables.remove(1);
    let (all, less) = (Client::new(shop()), Client::new(less));
    assert_eq!(oid_in(&all, "orders"), oid_in(&less, "orders"));
    assert_eq!(oid_in(&all, "orders_pkey"), oid_in(&less, "orders_pkey"));
}

#[tokio::test]
async fn queries_over_user_tables_are_left_alone() {
    let client = Client::new(shop());
    let state = client.context.state();
    for sql in [
        "SELECT a, b AS x, count(*) FROM plain WHERE a > 1 GROUP BY a, b ORDER BY 3",
        "SELECT (SELECT max(o.x) FROM orders o WHERE o.id = p.a) FROM plain p",
        "SELECT (SELECT o.x FROM orders o WHERE o.id = p.a) FROM plain p",
        "SELECT p.tags[1], p.tags['x'], a::text, a::varchar(3), a::int[] FROM plain p",
        "SELECT * FROM plain JOIN other USING (a) WHERE b ~ '^x' AND c = 'r'",
        "WITH pg_class AS (SELECT 1 AS a) SELECT a, a FROM pg_class",
        "SELECT \"user\", \"current_user\", oid, tableoid FROM plain",
        "SELECT 1, NULL, 'x'",
        "SELECT (SELECT p.a) FROM plain p",
        "SELECT x, x FROM (SELECT a AS x FROM plain) s WHERE x LIKE 'a!%' ESCAPE '!'",
        "SELECT x FROM plain, other WHERE x IN (SELECT y FROM other WHERE plain.a = other.b)",
        "SELECT * FROM public.pg_class",
    ] {
        let before = state.sql_to_statement(sql, &Dialect::PostgreSQL).unwrap();
        let ParsedStatement::Statement(mut statement) = before.clone() else { panic!("{sql}") };
        client.catalog.rewrite(&mut statement).unwrap();
        assert_eq!(ParsedStatement::Statement(statement), before, "{sql}");
    }
}

/// One to a hidden table, or to a hidden column, does not exist.
#[tokio::test]
async fn foreign_keys_show_both_sides_or_nothing() {
    let client = Client::new(shop());
    for (sql, rows) in [
        (
            "SELECT r.conname, pg_get_constraintdef(r.oid, true), r.conkey, r.confkey, \
             r.confrelid::regclass::text FROM pg_constraint r WHERE r.contype = 'f'",
            "orders_customer_id_fkey|FOREIGN KEY (customer_id) REFERENCES sales.customer(id) \
             ON DELETE CASCADE|[2]|[1]|sales.customer",
        ),
        (
            "SELECT constraint_name, unique_constraint_name, delete_rule \
             FROM information_schema.referential_constraints",
            "orders_customer_id_fkey|customer_pkey|CASCADE",
        ),
        (
            "SELECT table_name, column_name, ordinal_position, position_in_unique_constraint \
             FROM information_schema.key_column_usage WHERE constraint_name LIKE '%fkey'",
            "orders|customer_id|1|1",
        ),
        (
            "SELECT table_name, column_name FROM information_schema.constraint_column_usage \
             WHERE constraint_name LIKE '%fkey'",
            "customer|id",
        ),
        (
            "SELECT constraint_type, count(*) FROM information_schema.table_constraints \
             WHERE constraint_type = 'FOREIGN KEY' GROUP BY 1",
            "FOREIGN KEY|1",
        ),
    ] {
        assert_eq!(client.rows(sql).await, [rows], "{sql}");
    }
}

#[tokio::test]
async fn elements_of_an_array_join_its_table() {
    let client = Client::new(shop());
    let key = "WHERE con.conname = 'orders_uid_uq'";
    for (from, columns) in [
        ("pg_constraint con CROSS JOIN UNNEST(con.conkey) AS k", "k"),
        ("pg_constraint con CROSS JOIN UNNEST(conkey) AS k (number)", "k.number"),
        ("pg_constraint con, unnest(con.conkey) AS k (number)", "number"),
        ("pg_constraint con JOIN unnest(con.conkey) AS k (number) ON true", "k.number"),
    ] {
        let sql = format!("SELECT con.conname, {columns} FROM {from} {key} ORDER BY 2");
        assert_eq!(client.rows(&sql).await, ["orders_uid_uq|2", "orders_uid_uq|6"], "{sql}");
    }
    let sql = format!(
        "SELECT k.number, k.position FROM pg_constraint con \
         CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (number, position) {key} \
         ORDER BY k.position"
    );
    assert_eq!(client.rows(&sql).await, ["6|1", "2|2"]);
}

#[tokio::test]
async fn parameters_that_are_cast_keep_postgresqls_types() {
    let client = Client::new(shop());
    let state = client.context.state();
    let sql =
        "SELECT 1 FROM pg_type WHERE oid = ANY($1::oid[]) OR oid = $2::oid OR typname = $3::name";
    let parsed = state.sql_to_statement(sql, &Dialect::PostgreSQL).unwrap();
    let ParsedStatement::Statement(mut statement) = parsed else { panic!("{sql}") };
    let types = client.catalog.rewrite(&mut statement).unwrap();
    assert_eq!(
        types,
        HashMap::from(
            [("$1", "oid[]"), ("$2", "oid"), ("$3", "name")]
                .map(|(parameter, name)| (parameter.to_owned(), name))
        )
    );
}

/// The limits are for a debug build; release is some ten times faster.
#[test]
fn ten_thousand_tables_are_quick() {
    let fields = (0..10).map(|number| Field::new(format!("column_{number}"), DataType::Utf8, true));
    let columns = fields.collect::<Vec<_>>();
    let tables = (0..10_000).map(|number| {
        let name = format!("table_{number}");
        let mut table = table("sales", &name, TableKind::Table, columns.clone());
        table.keys = vec![key(&format!("key_{number}"), &[0], true)];
        table
    });
    let schemas = vec![ShownSchema { name: "sales".to_owned(), tables: tables.collect() }];
    let catalog = PgCatalog::new(Arc::new(Shown { schemas, ..Shown::default() }));
    let time = |name, milliseconds| {
        let start = Instant::now();
        let rows = catalog.batch(Relation::find(PG_CATALOG, name).unwrap()).unwrap().num_rows();
        let took = start.elapsed();
        assert!(took.as_millis() < milliseconds, "{name}: {rows} rows took {took:?}");
        rows
    };
    assert!(time("pg_class", 2_000) > 20_000);
    assert!(time("pg_attribute", 6_000) > 110_000);
}
