//! Clients of this door over loopback, with files and a policy written here.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, net::SocketAddr};

use arrow::{
    array::{Float64Array, Int64Array, NullArray, RecordBatch, StringArray},
    util::display::{ArrayFormatter, FormatOptions},
};
use arrow_flight::{
    FlightDescriptor, FlightInfo, Ticket,
    sql::{
        Any, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables, CommandStatementUpdate,
        ProstMessageExt, SqlInfo, TicketStatementQuery, client::FlightSqlServiceClient,
    },
};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use weir_catalogs::{Catalog, CatalogName, OptionValue, Options, local};

use super::*;
use crate::{
    admission::MemoryLimits,
    auth::{TokenLimits, testing::user_store},
    engine::{ComplexityLimits, EngineLimits},
    policy::{MODEL, MaskKeys, PolicyStore},
    protocol::tls::tests::self_signed,
};

type Client = FlightSqlServiceClient<Channel>;

/// Every user of the tests has the role `analyst`; `mallory` is shut out of the shop by name.
const POLICY: &str = "
p, role:analyst, *, shop, select, , allow
p, user:mallory, *, shop, select, , deny
p, role:analyst, *, shop.public.secret, select, , deny
p, role:analyst, *, shop.hidden, select, , deny
p, role:analyst, *, shop.public.staff.salary, select, , deny
p, role:analyst, *, shop.public.staff.email, mask, \"partial(1, 3)\", allow
";

const FILES: &[(&str, &str)] = &[
    ("orders.csv", "id,region,amount\n1,EU,10\n2,US,20\n3,EU,30\n"),
    ("staff.csv", "id,email,salary\n1,ann@example.com,100\n"),
    ("secret.csv", "id,word\n1,hush\n"),
    ("hidden/files.csv", "id\n1\n"),
    ("other/more.csv", "id\n1\n"),
];

struct World {
    address: SocketAddr,
    engine: Arc<Engine>,
    authenticator: Arc<Authenticator>,
    slots: Arc<Semaphore>,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<()>>,
    _folders: [TempDir; 3],
}

impl World {
    async fn new() -> Self {
        Self::with(10, None).await
    }

    async fn with(connections: usize, tls: Option<ServerTls>) -> Self {
        let files = TempDir::new().unwrap();
        for (name, text) in FILES {
            let path = files.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let policy_folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = policy_folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (model, rules) = (write("model.conf", MODEL), write("policy.csv", POLICY));
        let policy =
            Arc::new(PolicyStore::open(&model, &rules, MaskKeys::passing()).await.unwrap());

        let name = CatalogName::parse("shop").unwrap();
        let mut options = Options::default();
        options.set("root", OptionValue::Path(files.path().to_owned()));
        options.set("max_files", OptionValue::Integer(1000));
        let source = (local::KIND.open)(&name, options).unwrap();
        let catalog = Arc::new(Catalog::new(name.clone(), source));
        catalog.refresh().await.unwrap();
        let catalogs = BTreeMap::from([(name, catalog)]);
        let engine = Arc::new(Engine::new(catalogs, policy, limits()).unwrap());

        let (user_folder, users) = user_store(&[("alice", "pencil"), ("mallory", "rubber")]);
        let slots = Arc::new(Semaphore::new(connections));
        let authenticator = Arc::new(Authenticator::new(users, TokenLimits::default()));
        let door = FlightDoor {
            engine: Arc::clone(&engine),
            metrics: Metrics::new(),
            authenticator: Arc::clone(&authenticator),
            slots: Arc::clone(&slots),
            allowed_ips: AllowList::default(),
            tls,
            max_statement_timeout: Duration::from_secs(30),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Arc::new(door), shutdown.clone()));
        let folders = [files, policy_folder, user_folder];
        Self { address, engine, authenticator, slots, shutdown, serving, _folders: folders }
    }

    async fn client(&self) -> Client {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
    }

    async fn login(&self, user: &str, password: &str) -> Client {
        let mut client = self.client().await;
        client.handshake(user, password).await.unwrap();
        client
    }
}

fn limits() -> EngineLimits {
    EngineLimits {
        complexity: ComplexityLimits {
            text: 1 << 24,
            tokens: 50_000,
            depth: 200,
            nodes: 20_000,
            relations: 500,
        },
        planning_timeout: Duration::from_secs(20),
        // One at a time: whoever does not free the place is noticed.
        max_concurrent_queries: 1,
        max_queued_queries: 4,
        max_open_cursors: 4,
        queue_timeout: Duration::from_secs(5),
        memory: MemoryLimits { process: 1 << 30, query: 1 << 28 },
        spill_dir: None,
        spill_size: 1 << 30,
        worker_threads: 2,
    }
}

/// Rows as `a|b;c|d`.
fn shown(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<_> = columns.iter().map(|c| c.value(row).to_string()).collect();
            lines.push(values.join("|"));
        }
    }
    lines.join(";")
}

async fn fetch(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, Status> {
    let promised = info.clone().try_decode_schema().unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows = client.do_get(ticket).await.map_err(to_status)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        batches.push(batch.map_err(Status::from)?);
    }
    assert_eq!(rows.schema().unwrap().fields(), promised.fields());
    Ok(batches)
}

fn to_status(error: impl Into<arrow_flight::error::FlightError>) -> Status {
    Status::from(error.into())
}

/// The rows, or `Code message`.
async fn run(client: &mut Client, sql: &str) -> String {
    let info = match client.execute(sql.to_owned(), None).await {
        Ok(info) => info,
        Err(error) => return told(&to_status(error)),
    };
    match fetch(client, info).await {
        Ok(batches) => shown(&batches),
        Err(status) => told(&status),
    }
}

fn told(status: &Status) -> String {
    format!("{:?} {}", status.code(), status.message())
}

async fn descriptor_status(client: &mut Client, command: Vec<u8>) -> Status {
    let token = client.token().cloned();
    let mut request = Request::new(FlightDescriptor::new_cmd(command));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    client.inner_mut().get_flight_info(request).await.unwrap_err()
}

#[tokio::test]
async fn only_a_password_opens_and_every_failure_looks_the_same() {
    let world = World::new().await;
    let text = "authentication failed (SQLSTATE 28000) \
                HINT: Log in with user and password; a token ends after a while.";
    for (user, password) in [("alice", "wrong"), ("nobody", "pencil"), ("", "")] {
        let error = world.client().await.handshake(user, password).await.unwrap_err().to_string();
        assert!(error.contains(text), "{user}: {error}");
    }
    let mut client = world.client().await;
    assert_eq!(run(&mut client, "SELECT 1").await, format!("Unauthenticated {text}"));
    client.set_token("guess".into());
    assert_eq!(run(&mut client, "SELECT 1").await, format!("Unauthenticated {text}"));
    client.clear_token();
    client.set_header("authorization", "Basic YWxpY2U6d3Jvbmc=");
    assert_eq!(run(&mut client, "SELECT 1").await, format!("Unauthenticated {text}"));
    client.set_header("authorization", "Basic YWxpY2U6cGVuY2ls");
    assert_eq!(run(&mut client, "SELECT 1").await, "1");

    let mut client = world.login("alice", "pencil").await;
    assert_eq!(run(&mut client, "SELECT 1").await, "1");
    // A token is no password: it can't get itself a successor.
    let mut request = Request::new(futures::stream::iter([]));
    let token = client.token().unwrap().clone();
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let refused = client.inner_mut().handshake(request).await.unwrap_err();
    assert_eq!(refused.message(), text);
}

#[tokio::test]
async fn calls_without_a_caller_are_refused() {
    let world = World::new().await;
    let mut client = world.client().await;
    let ticket = client.do_get(Ticket::new("x")).await.err().map(to_status).unwrap();
    let update = client.execute_update("SELECT 1".into(), None).await.unwrap_err();
    let inner = client.inner_mut();
    let empty = || Request::new(futures::stream::iter([]));
    for status in [
        ticket,
        to_status(update),
        inner.list_actions(arrow_flight::Empty {}).await.err().unwrap(),
        inner.list_flights(arrow_flight::Criteria::default()).await.err().unwrap(),
        inner.do_action(arrow_flight::Action::new("x", "")).await.err().unwrap(),
        inner.get_schema(FlightDescriptor::new_cmd("")).await.err().unwrap(),
        inner.poll_flight_info(FlightDescriptor::new_cmd("")).await.err().unwrap(),
        inner.do_exchange(empty()).await.err().unwrap(),
        inner.do_put(empty()).await.err().unwrap(),
    ] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
}

#[tokio::test]
async fn statements_answer_as_policy_and_sql_say() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    for (sql, expected) in [
        ("SELECT id, region FROM shop.public.orders ORDER BY id", "1|EU;2|US;3|EU"),
        ("SELECT id FROM shop.orders WHERE amount > 15 ORDER BY id;", "2;3"),
        ("SELECT * FROM shop.staff", "1|a***com"),
        ("SELECT 1 WHERE false", ""),
        ("SHOW statement_timeout", "0"),
        ("REFRESH CATALOG shop", ""),
        ("EXPLAIN SELECT 1 FROM shop.orders", "PermissionDenied"),
        ("SELECT salary FROM shop.staff", "InvalidArgument column \"salary\" does not exist"),
        ("SELECT * FROM shop.secret", "NotFound relation \"shop.secret\" does not exist (SQLSTATE"),
        ("SELECT * FROM shop.nothing", "NotFound relation \"shop.nothing\" does not exist (SQL"),
        ("SELEC 1", "InvalidArgument syntax error"),
        ("", "InvalidArgument the statement is empty (SQLSTATE 42601)"),
        ("SELECT 1; SELECT 2", "InvalidArgument cannot insert multiple commands"),
        ("CREATE TABLE t (a int)", "PermissionDenied cannot execute CREATE"),
        ("DELETE FROM shop.orders", "PermissionDenied cannot execute DELETE"),
        ("SELECT 1; DROP TABLE shop.orders", "PermissionDenied cannot execute DROP"),
        ("SET statement_timeout = '5s'", "Unimplemented SET and RESET are not supported"),
        ("BEGIN", "Unimplemented transactions are not supported"),
        ("COPY (SELECT 1) TO STDOUT", "Unimplemented COPY is not supported"),
        ("SELECT $1", "InvalidArgument the statement has 1 parameters, but 0 values were bound"),
        ("SELECT 1 / (id - 2) FROM shop.orders", "InvalidArgument division by zero (SQLSTATE 2201"),
    ] {
        let answer = run(&mut client, sql).await;
        match expected.chars().next() {
            Some(first) if first.is_uppercase() && answer != expected => {
                assert!(answer.starts_with(expected), "{sql}: {answer}");
            }
            _ => assert_eq!(answer, expected, "{sql}"),
        }
    }
    let mut stranger = world.login("mallory", "rubber").await;
    let answer = run(&mut stranger, "SELECT id FROM shop.orders").await;
    assert!(answer.starts_with("NotFound relation \"shop.orders\" does not exist"), "{answer}");
}

#[tokio::test]
async fn headers_set_the_scope_of_a_call() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    client.set_header("database", "shop");
    assert_eq!(run(&mut client, "SELECT count(*) FROM orders").await, "3");
    client.set_header("statement_timeout", "1ms");
    let slow = "SELECT count(*) FROM generate_series(1, 4000000000)";
    let answer = run(&mut client, slow).await;
    assert!(
        answer.starts_with("Cancelled canceling statement due to statement timeout"),
        "{answer}"
    );
    client.set_header("statement_timeout", "soon");
    let answer = run(&mut client, "SELECT 1").await;
    assert!(answer.starts_with("InvalidArgument invalid value for parameter"), "{answer}");
    client.set_header("database", "nowhere");
    client.set_header("statement_timeout", "5s");
    let answer = run(&mut client, "SELECT 1").await;
    assert!(answer.starts_with("NotFound database \"nowhere\" does not exist"), "{answer}");
}

#[tokio::test]
async fn a_ticket_is_for_the_one_who_asked() {
    let world = World::new().await;
    let mut alice = world.login("alice", "pencil").await;
    let mut mallory = world.login("mallory", "rubber").await;
    let info = alice.execute("SELECT id FROM shop.orders".into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let stolen = mallory.do_get(ticket.clone()).await.err().map(to_status).unwrap();
    assert_eq!(told(&stolen), "Unauthenticated invalid ticket (SQLSTATE 28000)");

    let any = Any::decode(ticket.ticket.as_ref()).unwrap();
    let signed: TicketStatementQuery = any.unpack().unwrap().unwrap();
    let mut changed = signed.statement_handle.to_vec();
    let sql = changed.windows(9).position(|word| word == b"SELECT id").unwrap();
    changed[sql + 7] ^= 1;
    let forged = TicketStatementQuery { statement_handle: changed.into() };
    let forged = Ticket::new(forged.as_any().encode_to_vec());
    let refused = alice.do_get(forged).await.err().map(to_status).unwrap();
    assert_eq!(told(&refused), "Unauthenticated invalid ticket (SQLSTATE 28000)");
    // The true one holds more than once.
    for _ in 0..2 {
        let rows: Vec<_> = alice.do_get(ticket.clone()).await.unwrap().try_collect().await.unwrap();
        assert_eq!(shown(&rows), "1;2;3");
    }
}

#[tokio::test]
async fn rows_end_with_the_user_who_reads_them() {
    let world = World::new().await;
    let mut alice = world.login("alice", "pencil").await;
    let sql = "SELECT o.id FROM shop.orders o, generate_series(1, 100000000) g";
    let info = alice.execute(sql.into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows = alice.do_get(ticket.clone()).await.unwrap();
    assert!(rows.try_next().await.unwrap().is_some());
    let name = crate::auth::UserName::parse("alice").unwrap();
    world.authenticator.users().set_disabled(&name, true).unwrap();
    let ended = loop {
        match rows.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the result ends as if it were whole"),
            Err(error) => break error,
        }
    };
    let ended = format!("{ended:?}");
    assert!(ended.contains("the user was removed or changed since login"), "{ended}");
    let refused = alice.do_get(ticket).await.err().map(to_status).unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
}

#[tokio::test]
async fn parameters_are_bound_with_the_types_that_were_sent() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    let sql = "SELECT id FROM shop.orders WHERE id >= $1 AND region = $2 ORDER BY id";
    let row = |id: arrow::array::ArrayRef, region: Option<&str>| {
        let region: arrow::array::ArrayRef = match region {
            Some(region) => Arc::new(StringArray::from(vec![region])),
            None => Arc::new(NullArray::new(1)),
        };
        RecordBatch::try_from_iter_with_nullable([("a", id, true), ("b", region, true)]).unwrap()
    };
    let integer = |id: i64| Arc::new(Int64Array::from(vec![id])) as arrow::array::ArrayRef;
    let mut prepared = client.prepare(sql.into(), None).await.unwrap();
    assert_eq!(prepared.parameter_schema().unwrap().fields().len(), 2);
    for (parameters, expected) in [
        (row(integer(1), Some("EU")), "1;3"),
        (row(integer(2), Some("EU")), "3"),
        // A fraction is not cut to the column's type.
        (row(Arc::new(Float64Array::from(vec![1.5])), Some("EU")), "3"),
        (row(integer(1), Some("' OR 1=1 --")), ""),
        (row(integer(1), None), ""),
    ] {
        prepared.set_parameters(parameters).unwrap();
        let info = prepared.execute().await.unwrap();
        assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), expected);
    }

    let one = RecordBatch::try_from_iter([("a", integer(1))]).unwrap();
    let two = row(integer(1), None);
    let both = arrow::compute::concat_batches(&two.schema(), [&two, &two]).unwrap();
    for (parameters, expected) in [
        (one, "InvalidArgument the statement has 2 parameters, but 1 values were bound"),
        (both, "Unimplemented only one row of parameters can be bound"),
    ] {
        prepared.set_parameters(parameters).unwrap();
        let status = to_status(prepared.execute().await.unwrap_err());
        assert!(told(&status).starts_with(expected), "{status:?}");
    }
    prepared.close().await.unwrap();

    let mut unbound = client.prepare("SELECT $1::bigint".into(), None).await.unwrap();
    let status = to_status(unbound.execute().await.unwrap_err());
    assert!(status.message().contains("but 0 values were bound"), "{status:?}");
    let refused = client.prepare("DROP TABLE x".into(), None).await.err().map(to_status).unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn updates_have_nothing_to_do() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    assert_eq!(client.execute_update("REFRESH CATALOG shop".into(), None).await.unwrap(), 0);
    for (sql, expected) in [
        ("INSERT INTO shop.orders VALUES (1)", Code::PermissionDenied),
        ("SELECT 1", Code::Unimplemented),
        ("SET a.b = 1", Code::Unimplemented),
        ("REFRESH CATALOG nowhere", Code::NotFound),
    ] {
        let status = to_status(client.execute_update(sql.into(), None).await.unwrap_err());
        assert_eq!(status.code(), expected, "{sql}: {status:?}");
    }
    assert_eq!(
        to_status(client.begin_transaction().await.unwrap_err()).code(),
        Code::Unimplemented
    );
    let update = CommandStatementUpdate { query: "SELECT 1".into(), transaction_id: None };
    for command in [b"\xff\xff".to_vec(), update.as_any().encode_to_vec()] {
        let status = descriptor_status(&mut client, command).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
}

#[tokio::test]
async fn metadata_shows_what_the_caller_may_see() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "shop");

    for (pattern, expected) in [(None, "shop|other;shop|public"), (Some("p%"), "shop|public")] {
        let request = CommandGetDbSchemas {
            catalog: None,
            db_schema_filter_pattern: pattern.map(str::to_owned),
        };
        let info = client.get_db_schemas(request).await.unwrap();
        assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), expected);
    }

    let all = CommandGetTables::default();
    let orders = "shop|public|orders|TABLE";
    for (request, expected) in [
        (all.clone(), "shop|other|more|TABLE;shop|public|orders|TABLE;shop|public|staff|TABLE"),
        (CommandGetTables { table_name_filter_pattern: Some("o%".into()), ..all.clone() }, orders),
        (CommandGetTables { table_name_filter_pattern: Some("secret".into()), ..all.clone() }, ""),
        (CommandGetTables { table_types: vec!["VIEW".into()], ..all.clone() }, ""),
        (CommandGetTables { catalog: Some("nowhere".into()), ..all.clone() }, ""),
    ] {
        let info = client.get_tables(request).await.unwrap();
        assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), expected);
    }

    let request = CommandGetTables {
        include_schema: true,
        table_name_filter_pattern: Some("staff".into()),
        ..all.clone()
    };
    let info = client.get_tables(request).await.unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    let bytes = batches[0].column(4).as_any().downcast_ref::<arrow::array::BinaryArray>().unwrap();
    let message = arrow_flight::IpcMessage(bytes.value(0).to_vec().into());
    let schema = arrow::datatypes::Schema::try_from(message).unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "email"]);

    let info = client.get_table_types().await.unwrap();
    let types = shown(&fetch(&mut client, info).await.unwrap());
    assert_eq!(types, "FOREIGN TABLE;MATERIALIZED VIEW;TABLE;VIEW");
    let keys = CommandGetPrimaryKeys { table: "orders".into(), ..Default::default() };
    let info = client.get_primary_keys(keys).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "");
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerReadOnly]).await.unwrap();
    assert_eq!(shown(&fetch(&mut client, info).await.unwrap()), "3|{bool_value=true}");
    let info = client.get_xdbc_type_info(Default::default()).await.unwrap();
    assert!(shown(&fetch(&mut client, info).await.unwrap()).contains("bigint"));

    let mut stranger = world.login("mallory", "rubber").await;
    let info = stranger.get_catalogs().await.unwrap();
    assert_eq!(shown(&fetch(&mut stranger, info).await.unwrap()), "");
    let info = stranger.get_tables(all).await.unwrap();
    assert_eq!(shown(&fetch(&mut stranger, info).await.unwrap()), "");
}

const ENDLESS: &str = "SELECT a, b, repeat('x', 200) AS pad \
                       FROM (SELECT value AS a FROM generate_series(1, 100000)) x \
                       CROSS JOIN (SELECT value AS b FROM generate_series(1, 100000)) y";

#[tokio::test]
async fn leaving_a_result_ends_its_query() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    for _ in 0..3 {
        let info = client.execute(ENDLESS.into(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let mut rows = client.do_get(ticket).await.unwrap();
        assert!(rows.next().await.unwrap().unwrap().num_rows() > 0);
        drop(rows);
    }
    // There is one place for queries: it must be free again.
    assert_eq!(run(&mut client, "SELECT 1").await, "1");
    for _ in 0..100 {
        if world.engine.memory.reserved() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} bytes are still reserved", world.engine.memory.reserved());
}

#[tokio::test]
async fn a_result_that_breaks_off_ends_with_an_error() {
    let world = World::new().await;
    let mut client = world.login("alice", "pencil").await;
    let sql = "SELECT 1 / (500000 - value) FROM generate_series(1, 1000000)";
    let info = client.execute(sql.into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows = client.do_get(ticket).await.unwrap();
    let mut count = 0;
    let status = loop {
        match rows.next().await {
            Some(Ok(batch)) => count += batch.num_rows(),
            Some(Err(error)) => break Status::from(error),
            None => panic!("{count} rows are taken for the whole result"),
        }
    };
    assert!(count > 100_000, "{count}");
    assert!(status.message().starts_with("division by zero (SQLSTATE 22012)"), "{status:?}");
    assert_eq!(status.metadata().get("sqlstate").unwrap(), "22012");
}

#[tokio::test]
async fn connections_have_places() {
    let world = World::with(1, None).await;
    let mut first = world.login("alice", "pencil").await;
    // Whoever has not logged in takes no place.
    let mut second = world.client().await;
    let refused = second.handshake("alice", "pencil").await.unwrap_err().to_string();
    assert!(refused.contains("too many clients already (SQLSTATE 53300)"), "{refused}");
    assert_eq!(run(&mut first, "SELECT 1").await, "1");
    drop(first);
    for _ in 0..100 {
        if world.slots.available_permits() == 1 {
            second.handshake("alice", "pencil").await.unwrap();
            assert_eq!(run(&mut second, "SELECT 1").await, "1");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a connection that was closed still has its place");
}

#[tokio::test]
async fn shutdown_lets_results_end_and_its_caller_bounds_that() {
    let World {
        address,
        shutdown,
        mut serving,
        engine: _engine,
        authenticator: _a,
        slots: _s,
        _folders,
    } = World::new().await;
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = FlightSqlServiceClient::new(endpoint.connect().await.unwrap());
    client.handshake("alice", "pencil").await.unwrap();
    let info = client.execute(ENDLESS.into(), None).await.unwrap();
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    rows.next().await.unwrap().unwrap();
    shutdown.cancel();
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut serving).await;
    assert!(waited.is_err(), "a result was cut off");
    rows.next().await.unwrap().unwrap();
    serving.abort();
    let status = loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break Status::from(error),
            None => panic!("a part is taken for the whole"),
        }
    };
    assert!(status.message().contains("(SQLSTATE 57P01)"), "{status:?}");
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_shutdown() {
    let World { address, shutdown, serving, _folders, .. } = World::new().await;
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = FlightSqlServiceClient::new(endpoint.connect().await.unwrap());
    client.handshake("alice", "pencil").await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured() {
    let folder = TempDir::new().unwrap();
    let files = self_signed(&folder, &rcgen::PKCS_ECDSA_P256_SHA256);
    let world = World::with(10, Some(ServerTls::load(&files, &["h2"]).unwrap())).await;
    let authority = Certificate::from_pem(std::fs::read(&files.certificate).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(authority).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{}", world.address)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut client = FlightSqlServiceClient::new(channel);
    client.handshake("alice", "pencil").await.unwrap();
    assert_eq!(run(&mut client, "SELECT count(*) FROM shop.orders").await, "3");

    let endpoint = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    let mut plain = FlightSqlServiceClient::new(endpoint.connect_lazy());
    plain.handshake("alice", "pencil").await.unwrap_err();
}

#[tokio::test]
async fn those_who_may_not_connect_are_cut_off() {
    let mut world = World::new().await;
    world.shutdown.cancel();
    (&mut world.serving).await.unwrap().unwrap();
    let (_folder, users) = user_store(&[("alice", "pencil")]);
    let door = FlightDoor {
        engine: Arc::clone(&world.engine),
        metrics: Metrics::new(),
        authenticator: Arc::new(Authenticator::new(users, TokenLimits::default())),
        slots: Arc::clone(&world.slots),
        allowed_ips: ["10.0.0.0/8".parse().unwrap()].into_iter().collect(),
        tls: None,
        max_statement_timeout: Duration::from_secs(30),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(listener, Arc::new(door), CancellationToken::new()));
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = FlightSqlServiceClient::new(endpoint.connect_lazy());
    client.handshake("alice", "pencil").await.unwrap_err();
    serving.abort();
}
