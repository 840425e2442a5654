//! The Postgres protocol, frame by frame: each step of `tests/wire/*.pt` is sent to PostgreSQL and
//! to weir, which must answer the same: messages, tags, SQLSTATEs, columns and states.
//!
//! A step is a group of lines, sent together; `#` is a comment, and `session` begins a new one.
//!
//!     Query SELECT 1
//!     Parse s (23) SELECT $1       statement, types; `-` has no name
//!     Bind p s (7, NULL) tb        portal, statement, values, formats of the results
//!     Describe P p
//!     Execute p 10                 0 or nothing: all rows
//!     Close S s
//!     Flush 3                      and so many messages come
//!     Sync
//!
//! Where weir means to answer otherwise, its answer follows below `----`, and PostgreSQL must give
//! another.

use std::time::{Duration, Instant};

use crate::harness::{
    World, tests_folder,
    wire::{Wire, frame},
    world,
};

#[derive(Debug, Default)]
struct Step {
    line: usize,
    lines: Vec<String>,
    /// How weir answers, if not as PostgreSQL.
    own: Option<Vec<String>>,
    begins_session: bool,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    for (number, line) in text.lines().enumerate() {
        let step = steps.last_mut().unwrap();
        match line.trim_end() {
            "" if step.lines.is_empty() => {}
            "" => steps.push(Step::default()),
            comment if comment.starts_with('#') => {}
            "session" => step.begins_session = true,
            "----" => step.own = Some(Vec::new()),
            line => match &mut step.own {
                Some(own) => own.push(line.to_owned()),
                None => {
                    if step.lines.is_empty() {
                        step.line = number + 1;
                    }
                    step.lines.push(line.to_owned());
                }
            },
        }
    }
    steps.retain(|step| !step.lines.is_empty());
    steps
}

/// Sends a step; what came back.
fn play(wire: &mut Wire, step: &Step) -> Vec<String> {
    let mut bytes = Vec::new();
    let (mut ready, mut more) = (0, 0);
    for line in &step.lines {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "Query" | "Sync" => ready += 1,
            "Flush" => more += rest.parse::<usize>().unwrap(),
            _ => {}
        }
        bytes.extend(encoded(kind, rest));
    }
    wire.write(&bytes);
    let mut replies: Vec<_> = (0..more).map(|_| wire.reply()).collect();
    replies.extend(wire.replies(ready));
    // Where COPY's data is cut is up to the server.
    replies.dedup_by(|next, last| match next.strip_prefix("CopyData ") {
        Some(data) if last.starts_with("CopyData ") => {
            last.push_str(data);
            true
        }
        _ => false,
    });
    replies
}

fn encoded(kind: &str, rest: &str) -> Vec<u8> {
    let name = |name: &str| format!("{}\0", if name == "-" { "" } else { name }).into_bytes();
    let words: Vec<&str> = rest.split(' ').collect();
    match kind {
        "Query" => frame(b'Q', format!("{}\0", rest.replace("\\n", "\n")).as_bytes()),
        "Sync" => frame(b'S', b""),
        "Flush" => frame(b'H', b""),
        "Parse" => {
            let (types, sql) = rest.split_once(" (").unwrap().1.split_once(") ").unwrap();
            let types = listed(types);
            let mut body = [name(words[0]), format!("{sql}\0").into_bytes()].concat();
            body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
            types.iter().for_each(|oid| body.extend(oid.parse::<u32>().unwrap().to_be_bytes()));
            frame(b'P', &body)
        }
        "Bind" => {
            let (values, formats) = rest.split_once('(').unwrap().1.split_once(')').unwrap();
            let values = listed(values);
            let mut body = [name(words[0]), name(words[1]), vec![0, 0]].concat();
            body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
            for value in values {
                if value == "NULL" {
                    body.extend((-1_i32).to_be_bytes());
                } else {
                    body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    body.extend(value.as_bytes());
                }
            }
            let formats = formats.trim();
            body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
            formats.chars().for_each(|format| body.extend([0, u8::from(format == 'b')]));
            frame(b'B', &body)
        }
        "Describe" | "Close" => {
            let kind = if kind == "Close" { b'C' } else { b'D' };
            frame(kind, &[words[0].as_bytes(), &name(words[1])].concat())
        }
        "Execute" => {
            let rows: u32 = words.get(1).map_or(0, |rows| rows.parse().unwrap());
            frame(b'E', &[name(words[0]), rows.to_be_bytes().to_vec()].concat())
        }
        _ => panic!("unknown message {kind}"),
    }
}

fn listed(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(", ").collect() }
}

fn weir(world: &World) -> Wire {
    let user = world.weir.user("admin");
    Wire::connect(world.weir.postgres, user.name, user.password, "sales")
}

fn postgres(world: &World) -> Wire {
    Wire::connect(world.cluster.port, "owner", "", "shop")
}

#[test]
fn weir_answers_frame_by_frame_as_postgresql() {
    let world = world();
    let (mut count, mut wrong) = (0, Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(tests_folder("wire"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (mut weir, mut postgres) = (self::weir(&world), self::postgres(&world));
        for step in steps(&std::fs::read_to_string(&file).unwrap()) {
            count += 1;
            if step.begins_session {
                (weir, postgres) = (self::weir(&world), self::postgres(&world));
            }
            let (found, theirs) = (play(&mut weir, &step), play(&mut postgres, &step));
            let is_right = match &step.own {
                Some(own) => found == *own && theirs != *own,
                None => found == theirs,
            };
            if !is_right {
                let sent = step.lines.join("\n");
                wrong.push(format!(
                    "{name}:{}: {sent}\n-- weir\n{}\n-- PostgreSQL\n{}\n",
                    step.line,
                    found.join("\n"),
                    theirs.join("\n")
                ));
                // The two may be in different states now.
                for wire in [&mut weir, &mut postgres] {
                    wire.query("ROLLBACK");
                    wire.replies(1);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} steps:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150, "only {count} steps");
}

/// Waits until PostgreSQL runs so many of weir's statements.
fn until_busy(world: &World, busy: &str) {
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE application_name LIKE 'weir %' AND state = 'active' AND query ~ 'naps|numbers'";
    let mut direct = postgres(world);
    let started = Instant::now();
    while direct.ask(sql)[1] != format!("Row '{busy}'") {
        assert!(started.elapsed() < Duration::from_secs(20), "{busy} never ran at once");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `naps` sleeps at each row.
const SLOW: &str = "DECLARE slow CURSOR FOR SELECT nap FROM naps";

#[test]
fn a_client_that_vanishes_in_a_fetch_frees_the_source() {
    let world = World::start();
    let mut client = weir(&world);
    client.query(&format!("BEGIN; {SLOW}; FETCH ALL FROM slow"));
    until_busy(&world, "1");
    drop(client);
    until_busy(&world, "0");
    // So does one that leaves between two fetches.
    let mut client = weir(&world);
    client.ask("BEGIN; DECLARE c CURSOR FOR SELECT id FROM numbers; FETCH 1 FROM c");
    until_busy(&world, "1");
    drop(client);
    until_busy(&world, "0");
}

#[test]
fn a_cancel_request_ends_a_fetch() {
    let world = World::start();
    let user = world.weir.user("admin");
    // Protocol 3.2 has keys of 32 bytes where older clients have 4.
    for (minor, bytes) in [(0, 4), (2, 32)] {
        let port = world.weir.postgres;
        let mut client = Wire::connect_with(port, user.name, user.password, "sales", minor);
        assert_eq!(client.key.len(), 4 + bytes);
        assert!(client.negotiated.is_none());
        client.query(&format!("BEGIN; {SLOW}; FETCH ALL FROM slow"));
        until_busy(&world, "1");
        let asked = Instant::now();
        let length = u32::try_from(client.key.len() + 8).unwrap().to_be_bytes();
        let request = [&length[..], &80_877_102_u32.to_be_bytes(), &client.key].concat();
        let mut canceller = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        std::io::Write::write_all(&mut canceller, &request).unwrap();
        let replies = client.replies(1);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert_eq!(replies[replies.len() - 2..], ["Error 57014", "Ready E"]);
        until_busy(&world, "0");
        assert_eq!(client.ask("ROLLBACK"), ["Complete ROLLBACK", "Ready I"]);
    }
    let newer = Wire::connect_with(world.weir.postgres, user.name, user.password, "sales", 9);
    assert_eq!(newer.negotiated.unwrap()[..4], [0, 3, 0, 2]);
    assert_eq!(newer.key.len(), 36);
}

/// The time of a statement is each FETCH's own, not the cursor's.
#[test]
fn a_timeout_ends_one_fetch() {
    let world = World::start();
    let mut client = weir(&world);
    client.ask("SET statement_timeout = '3s'");
    client.ask("BEGIN; DECLARE c CURSOR FOR SELECT id FROM numbers");
    for _ in 0..4 {
        assert_eq!(client.ask("FETCH 1 FROM c").len(), 4);
        std::thread::sleep(Duration::from_secs(1));
    }
    client.ask(SLOW);
    let replies = client.ask("FETCH ALL FROM slow");
    assert_eq!(replies[replies.len() - 2..], ["Error 57014", "Ready E"]);
    assert_eq!(client.ask("ROLLBACK"), ["Complete ROLLBACK", "Ready I"]);
    until_busy(&world, "0");
}

/// As many cursors as may wait do not keep others from running, nor does one stay for ever.
#[test]
fn an_idle_cursor_holds_no_place_and_then_nothing() {
    let world = World::start_with(|weir| {
        weir.limit("max_concurrent_queries", "1")
            .limit("max_open_cursors", "2")
            .limit("queue_timeout", "\"1s\"")
            .limit("cursor_idle_timeout", "\"2s\"")
    });
    let mut client = weir(&world);
    client.ask("BEGIN");
    for name in ["a", "b"] {
        client.ask(&format!("DECLARE {name} CURSOR FOR SELECT id FROM numbers"));
        assert_eq!(client.ask(&format!("FETCH 1 FROM {name}"))[1], "Row '1'");
    }
    let mut other = weir(&world);
    assert_eq!(other.ask("SELECT count(*) FROM customers")[1], "Row '5'");
    until_busy(&world, "0");
    assert_eq!(client.ask("FETCH 1 FROM a"), ["Error 55000", "Ready E"]);
}

#[test]
fn a_long_cursor_takes_little_memory() {
    let world = World::start();
    let mut client = weir(&world);
    client.ask("BEGIN; DECLARE c CURSOR FOR SELECT id, label FROM numbers");
    client.ask("FETCH 20000 FROM c");
    world.weir.forget_peak();
    let (before, _) = world.weir.memory();
    for page in 2..=100 {
        let replies = client.ask("MOVE 19000 IN c; FETCH 1000 FROM c");
        let row = format!("Row '{id}' 'row {id}'", id = page * 20_000);
        assert_eq!(replies[replies.len() - 3..], [&row, "Complete FETCH 1000", "Ready T"]);
    }
    assert_eq!(client.ask("FETCH 1 FROM c")[1], "Complete FETCH 0");
    let (_, peak) = world.weir.memory();
    assert!(peak.saturating_sub(before) < 64 << 20, "{} MiB", (peak - before) >> 20);
}
