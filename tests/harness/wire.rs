//! A client of the Postgres protocol that sends what it is told, frame by frame, and shows what
//! comes back as text.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Longer than any test's statement takes, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Wire {
    stream: TcpStream,
    /// Of BackendKeyData: what a cancel request shows.
    pub key: Vec<u8>,
    /// Of NegotiateProtocolVersion, if it came.
    pub negotiated: Option<Vec<u8>>,
}

/// A message's type and body.
pub type Frame = (u8, Vec<u8>);

impl Wire {
    pub fn connect(port: u16, user: &str, password: &str, database: &str) -> Self {
        Self::connect_with(port, user, password, database, 0)
    }

    /// With minor version `minor` of protocol 3.
    pub fn connect_with(port: u16, user: &str, password: &str, database: &str, minor: u32) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self { stream, key: Vec::new(), negotiated: None };
        let version = (3_u32 << 16 | minor).to_be_bytes();
        let parameters = format!("user\0{user}\0database\0{database}\0\0");
        let length = u32::try_from(parameters.len() + 8).unwrap().to_be_bytes();
        wire.write(&[&length, &version, parameters.as_bytes()].concat());
        loop {
            let (kind, body) = wire.read();
            match (kind, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => wire.log_in(password),
                (b'R' | b'S' | b'N', _) => {}
                (b'v', _) => wire.negotiated = Some(body),
                (b'K', _) => wire.key = body,
                (b'Z', _) => return wire,
                _ => panic!("{}", shown(kind, &body)),
            }
        }
    }

    /// RFC 5802 and 7677.
    fn log_in(&mut self, password: &str) {
        let bare = "n=,r=nonce-of-a-test";
        let first = format!("n,,{bare}");
        let length = u32::try_from(first.len()).unwrap().to_be_bytes();
        self.send(b'p', &[b"SCRAM-SHA-256\0", &length[..], first.as_bytes()].concat());
        let (_, challenge) = self.read();
        let challenge = String::from_utf8(challenge[4..].to_vec()).unwrap();
        let part = |name: &str| {
            challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned()
        };
        let (nonce, salt) = (part("r="), STANDARD.decode(part("s=")).unwrap());
        let mut round = mac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
        let mut salted = round.clone();
        for _ in 1..part("i=").parse::<u32>().unwrap() {
            round = mac(password.as_bytes(), &round);
            salted.iter_mut().zip(&round).for_each(|(sum, byte)| *sum ^= byte);
        }
        let client = mac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let told = format!("{bare},{challenge},{without_proof}");
        let signature = mac(&Sha256::digest(&client), told.as_bytes());
        let proof: Vec<u8> = client.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        self.send(b'p', last.as_bytes());
    }

    pub fn send(&mut self, kind: u8, body: &[u8]) {
        let frame = frame(kind, body);
        self.write(&frame);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn query(&mut self, sql: &str) {
        self.send(b'Q', &[sql.as_bytes(), b"\0"].concat());
    }

    pub fn read(&mut self) -> Frame {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).unwrap();
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (header[0], body)
    }

    /// The next message, as text. What the server says of its settings is passed over.
    pub fn reply(&mut self) -> String {
        loop {
            let (kind, body) = self.read();
            if kind != b'S' {
                return shown(kind, &body);
            }
        }
    }

    /// Up to ReadyForQuery, so many times.
    pub fn replies(&mut self, times: usize) -> Vec<String> {
        let (mut replies, mut seen) = (Vec::new(), 0);
        while seen < times {
            let reply = self.reply();
            seen += usize::from(reply.starts_with("Ready"));
            replies.push(reply);
        }
        replies
    }

    /// The answer to one query.
    pub fn ask(&mut self, sql: &str) -> Vec<String> {
        self.query(sql);
        self.replies(1)
    }
}

pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A message without what differs from server to server: messages' texts, the tables of columns.
fn shown(kind: u8, body: &[u8]) -> String {
    let mut rest = Body(body);
    match kind {
        b'1' => "ParseComplete".to_owned(),
        b'2' => "BindComplete".to_owned(),
        b'3' => "CloseComplete".to_owned(),
        b'n' => "NoData".to_owned(),
        b's' => "Suspended".to_owned(),
        b'I' => "Empty".to_owned(),
        b'c' => "CopyDone".to_owned(),
        b'C' => format!("Complete {}", rest.text()),
        b'Z' => format!("Ready {}", char::from(body[0])),
        b'E' => format!("Error {}", code(body)),
        b'N' => format!("Notice {}", code(body)),
        b'd' => format!("CopyData {}", body.escape_ascii()),
        b'H' => {
            let format = rest.take(1)[0];
            let columns = rest.list(|rest| rest.short());
            format!("CopyOut {format} {columns:?}")
        }
        b't' => format!("Parameters {:?}", rest.list(Body::long)),
        b'T' => {
            let columns = rest.list(|rest| {
                let name = rest.text();
                rest.take(6);
                let (oid, size, typmod) = (rest.long(), rest.short(), rest.long().cast_signed());
                format!("{name}:{oid}:{size}:{typmod}:{}", rest.short())
            });
            format!("Columns {}", columns.join(" "))
        }
        b'D' => {
            let values = rest.list(|rest| match rest.long().cast_signed() {
                -1 => "NULL".to_owned(),
                length => {
                    let value = rest.take(usize::try_from(length).unwrap());
                    match std::str::from_utf8(value) {
                        Ok(text) if !text.contains('\0') => format!("'{text}'"),
                        _ => format!("'{}'", value.escape_ascii()),
                    }
                }
            });
            format!("Row {}", values.join(" "))
        }
        _ => format!("{} {}", char::from(kind), body.escape_ascii()),
    }
}

fn code(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next().unwrap();
    String::from_utf8(code.to_vec()).unwrap()
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(self.take(end).to_vec()).unwrap();
        self.take(1);
        text
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.short();
        (0..count).map(|_| item(self)).collect()
    }
}
