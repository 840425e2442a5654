//! The frontend's side of PostgreSQL's protocol, frame by frame: a driver's library would hide what
//! is asked for and what comes back.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Far above what a statement takes on a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

pub struct Frontend {
    socket: TcpStream,
    received: Vec<u8>,
    /// `I`, `T` or `E`, as the last `ReadyForQuery` said.
    pub state: u8,
}

/// A statement as it goes over the wire.
#[derive(Debug, Clone)]
pub enum Message {
    Simple(String),
    /// Parse and Describe only, as drivers do that look at types first.
    Described {
        sql: String,
        types: Vec<u32>,
    },
    Executed {
        sql: String,
        types: Vec<u32>,
        values: Vec<Option<Vec<u8>>>,
        value_formats: Vec<i16>,
        result_formats: Vec<i16>,
        rows: i32,
    },
}

/// Everything up to `ReadyForQuery`.
#[derive(Debug, Default)]
pub struct Answer {
    pub error: Option<Refusal>,
    /// One for each statement of the message.
    pub results: Vec<ResultSet>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Default)]
pub struct ResultSet {
    pub columns: Option<Vec<Column>>,
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    /// What COPY sent.
    pub copied: Vec<u8>,
    pub tag: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
    pub format: i16,
}

impl Frontend {
    /// Logs in, with SCRAM-SHA-256 if it is asked for.
    pub fn connect(port: u16, user: &str, password: &str, database: &str) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut frontend = Self { socket, received: Vec::new(), state: b'I' };
        let mut startup = 196_608_i32.to_be_bytes().to_vec();
        for word in ["user", user, "database", database, "client_encoding", "UTF8", ""] {
            startup.extend_from_slice(word.as_bytes());
            startup.push(0);
        }
        let length = i32::try_from(startup.len() + 4).unwrap();
        frontend.socket.write_all(&[&length.to_be_bytes()[..], &startup].concat()).unwrap();
        frontend.authenticate(password);
        let answer = frontend.answer();
        assert_eq!(answer.error, None);
        frontend
    }

    pub fn ask(&mut self, message: &Message) -> Answer {
        let mut out = Vec::new();
        match message {
            Message::Simple(sql) => frame(&mut out, b'Q', &terminated(sql)),
            Message::Described { sql, types } => {
                frame(&mut out, b'P', &parse(sql, types));
                frame(&mut out, b'D', b"S\0");
                frame(&mut out, b'S', b"");
            }
            Message::Executed { sql, types, values, value_formats, result_formats, rows } => {
                frame(&mut out, b'P', &parse(sql, types));
                let mut bind = vec![0, 0];
                shorts(&mut bind, value_formats);
                bind.extend_from_slice(&count(values.len()).to_be_bytes());
                for value in values {
                    let length = value.as_ref().map_or(-1, |v| i32::try_from(v.len()).unwrap());
                    bind.extend_from_slice(&length.to_be_bytes());
                    bind.extend_from_slice(value.as_deref().unwrap_or_default());
                }
                shorts(&mut bind, result_formats);
                frame(&mut out, b'B', &bind);
                frame(&mut out, b'D', b"P\0");
                frame(&mut out, b'E', &[&[0], &rows.to_be_bytes()[..]].concat());
                frame(&mut out, b'S', b"");
            }
        }
        self.socket.write_all(&out).unwrap();
        self.answer()
    }

    /// The rows of one simple query, as text.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let answer = self.ask(&Message::Simple(sql.to_owned()));
        assert_eq!(answer.error, None, "{sql}");
        let text = |cell: Option<Vec<u8>>| String::from_utf8(cell.unwrap_or_default()).unwrap();
        let rows = answer.results.into_iter().flat_map(|result| result.rows);
        rows.map(|row| row.into_iter().map(text).collect()).collect()
    }

    fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        let mut result = ResultSet::default();
        loop {
            let (kind, body) = self.receive();
            match kind {
                b'T' => result.columns = Some(columns(&body)),
                b'D' => result.rows.push(cells(&body)),
                b'd' => result.copied.extend_from_slice(&body),
                b'C' | b's' | b'I' => {
                    result.tag = match kind {
                        b'C' => text(&body),
                        b's' => "suspended".to_owned(),
                        _ => "empty".to_owned(),
                    };
                    answer.results.push(std::mem::take(&mut result));
                }
                b'E' => answer.error = answer.error.or_else(|| Some(refusal(&body))),
                b'G' => {
                    let mut fail = Vec::new();
                    frame(&mut fail, b'f', b"nothing to copy\0");
                    self.socket.write_all(&fail).unwrap();
                }
                b'Z' => {
                    self.state = body[0];
                    if result.columns.is_some() {
                        answer.results.push(result);
                    }
                    return answer;
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some(length) = self.received.get(1..5) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + 1;
                if self.received.len() >= length {
                    let rest = self.received.split_off(length);
                    let frame = std::mem::replace(&mut self.received, rest);
                    return (frame[0], frame[5..].to_vec());
                }
            }
            let mut buffer = [0; 1 << 16];
            let count = self.socket.read(&mut buffer).expect("an answer in time");
            assert!(count > 0, "the server closed the connection");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    fn authenticate(&mut self, password: &str) {
        let first = format!("n=,r={NONCE}");
        let (mut said, mut out) = (String::new(), Vec::new());
        loop {
            let (kind, body) = self.receive();
            assert_eq!(kind, b'R', "{}", String::from_utf8_lossy(&body));
            out.clear();
            match i32::from_be_bytes(body[..4].try_into().unwrap()) {
                0 => return,
                10 => {
                    let message = format!("n,,{first}");
                    let length = i32::try_from(message.len()).unwrap().to_be_bytes();
                    let parts = [b"SCRAM-SHA-256\0", &length[..], message.as_bytes()];
                    frame(&mut out, b'p', &parts.concat());
                }
                11 => {
                    said = String::from_utf8(body[4..].to_vec()).unwrap();
                    frame(&mut out, b'p', proof(password, &first, &said).as_bytes());
                }
                12 => assert!(!said.is_empty()),
                other => panic!("authentication request {other}"),
            }
            self.socket.write_all(&out).unwrap();
        }
    }
}

/// RFC 5802, client-final-message.
fn proof(password: &str, first: &str, server_first: &str) -> String {
    let field = |name: &str| {
        let mut fields = server_first.split(',');
        fields.find_map(|field| field.strip_prefix(name)).unwrap().to_owned()
    };
    let salt = BASE64_STANDARD.decode(field("s=")).unwrap();
    let mut block = keyed(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
    let mut salted = block;
    for _ in 1..field("i=").parse::<u32>().unwrap() {
        block = keyed(password.as_bytes(), &block);
        salted.iter_mut().zip(block).for_each(|(all, one)| *all ^= one);
    }
    let last = format!("c=biws,r={}", field("r="));
    let client_key = keyed(&salted, b"Client Key");
    let stored_key = Sha256::digest(client_key);
    let signature = keyed(&stored_key, format!("{first},{server_first},{last}").as_bytes());
    let proof = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect::<Vec<_>>();
    format!("{last},p={}", BASE64_STANDARD.encode(proof))
}

fn keyed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn frame(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
}

fn parse(sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [&[0][..], &terminated(sql)].concat();
    body.extend_from_slice(&count(types.len()).to_be_bytes());
    types.iter().for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
    body
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn shorts(out: &mut Vec<u8>, numbers: &[i16]) {
    out.extend_from_slice(&count(numbers.len()).to_be_bytes());
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
}

fn count(length: usize) -> i16 {
    i16::try_from(length).unwrap()
}

fn text(body: &[u8]) -> String {
    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    String::from_utf8(body[..end].to_vec()).unwrap()
}

fn refusal(body: &[u8]) -> Refusal {
    let field = |kind: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        fields.find(|field| field.first() == Some(&kind)).map(|field| text(&field[1..]))
    };
    Refusal { code: field(b'C').unwrap(), message: field(b'M').unwrap() }
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while !rest.is_empty() {
        let name = text(rest);
        rest = &rest[name.len() + 1..];
        columns.push(Column {
            name,
            type_oid: u32::from_be_bytes(rest[6..10].try_into().unwrap()),
            modifier: i32::from_be_bytes(rest[12..16].try_into().unwrap()),
            format: i16::from_be_bytes(rest[16..18].try_into().unwrap()),
        });
        rest = &rest[18..];
    }
    columns
}

fn cells(body: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut rest = &body[2..];
    let mut cells = Vec::new();
    while !rest.is_empty() {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
        let (cell, after) = rest[4..].split_at(usize::try_from(length).unwrap_or(0));
        cells.push((length >= 0).then(|| cell.to_vec()));
        rest = after;
    }
    cells
}
