//! Stands between the socket and everything else: cuts the byte stream into frames, and reads each
//! frame's body with a cursor that knows its end.
//!
//! Invariant: a client's bytes can't make this panic, and can't make it hold more memory than twice
//! what has arrived of one frame and one chunk, whatever length they claim.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::encode::Format;
use crate::error::{Error, ErrorKind, Result};

/// The longest startup packet and the longest frame before login, as in PostgreSQL.
pub const MAX_STARTUP_BYTES: usize = 10_000;
/// The longest frame of those that carry no statement and no data.
const MAX_SMALL_BYTES: usize = 10_000;
/// What one read may bring, and what an idle connection keeps.
const CHUNK_BYTES: usize = 16 * 1024;
/// How far [`FrameReader::disconnected`] reads ahead of the session.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// How long a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Query, Parse, Bind and CopyData.
    pub statement_bytes: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { statement_bytes: 16 * 1024 * 1024 }
    }
}

/// A message of a client that has logged in.
#[derive(Debug)]
pub enum Frontend {
    Query(String),
    Parse {
        name: String,
        sql: String,
        /// Type OIDs; 0 leaves the type open.
        parameter_types: Vec<u32>,
    },
    Bind(Bind),
    Describe {
        target: Target,
        name: String,
    },
    Execute {
        portal: String,
        /// 0 asks for all rows.
        max_rows: u32,
    },
    Close {
        target: Target,
        name: String,
    },
    Flush,
    Sync,
    Terminate,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    /// The old function call; its body is not read.
    FunctionCall,
    /// A whole frame of this type byte whose body is wrong. As in PostgreSQL the statement fails
    /// and the connection lives: the frames after it are intact.
    Malformed {
        message: u8,
        error: Error,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    /// One for each value. Text values are checked: UTF-8 without a null character.
    pub formats: Vec<Format>,
    pub values: Vec<Option<Bytes>>,
    /// As sent: none means all text, one stands for every column.
    pub result_formats: Vec<Format>,
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Statement,
    Portal,
}

/// Reads a client's messages. Every method is safe to cancel: what has arrived of a frame stays.
///
/// An error of this type is fatal, because the next frame can't be found any more: tell the client
/// and close. `None` means that the client is gone, between two frames or within one.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
    limits: FrameLimits,
    is_gone: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(source: R, limits: FrameLimits) -> Self {
        Self { source, buffer: BytesMut::new(), limits, is_gone: false }
    }

    /// The body of a packet without a type byte: the startup packet and what may come before it.
    /// Not a byte behind it is taken from the source.
    pub async fn next_startup(&mut self) -> Result<Option<Bytes>> {
        loop {
            let mut wanted = size_of::<u32>();
            if let Some(length) = self.buffer.first_chunk() {
                let length = u32::from_be_bytes(*length) as usize;
                // The length counts itself; every such packet begins with a code.
                if !(8..=MAX_STARTUP_BYTES).contains(&length) {
                    return Err(violation("invalid length of startup packet"));
                }
                wanted = length;
                if self.buffer.len() == length {
                    self.buffer.advance(4);
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
            if !self.fill_up_to(wanted).await {
                return Ok(None);
            }
        }
    }

    /// The body of the next message while the client logs in: a password or SASL message.
    pub async fn next_password(&mut self) -> Result<Option<Bytes>> {
        let is_password = |message| {
            (message == b'p').then_some(MAX_STARTUP_BYTES).ok_or_else(|| {
                violation(format!(
                    "expected a password message, got message type {}",
                    printable(message)
                ))
            })
        };
        Ok(self.next_frame(is_password).await?.map(|(_, body)| body))
    }

    /// The next message of a client that has logged in.
    pub async fn next(&mut self) -> Result<Option<Frontend>> {
        let limits = self.limits;
        let frame = self.next_frame(|message| max_bytes(message, limits)).await?;
        Ok(frame.map(|(message, body)| {
            decode(message, body).unwrap_or_else(|error| Frontend::Malformed { message, error })
        }))
    }

    /// Waits until the client is gone, while the session does something else. What arrives is kept
    /// for [`Self::next`]; from a client that sends very much ahead, its end is not heard.
    pub async fn disconnected(&mut self) {
        while !self.is_gone {
            if self.buffer.len() >= READ_AHEAD_BYTES {
                std::future::pending::<()>().await;
            }
            self.fill().await;
        }
    }

    /// Whether bytes of further messages are already here.
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    pub fn source(&self) -> &R {
        &self.source
    }

    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Changes the source and keeps what has arrived; gives also what the change leaves over.
    pub fn split<S, T>(self, split: impl FnOnce(R) -> (S, T)) -> (FrameReader<S>, T) {
        let Self { source, buffer, limits, is_gone } = self;
        let (source, rest) = split(source);
        (FrameReader { source, buffer, limits, is_gone }, rest)
    }

    async fn next_frame(
        &mut self,
        max_bytes: impl Fn(u8) -> Result<usize>,
    ) -> Result<Option<(u8, Bytes)>> {
        loop {
            if let Some(&message) = self.buffer.first() {
                let max_bytes = max_bytes(message)?;
                if let Some(length) = self.buffer[1..].first_chunk() {
                    let length = u32::from_be_bytes(*length) as usize;
                    if length < 4 || length - 4 > max_bytes {
                        return Err(violation(format!(
                            "invalid length {length} of message type {}",
                            printable(message)
                        ))
                        .with_detail(format!("The body may have 0 to {max_bytes} bytes.")));
                    }
                    if self.buffer.len() > length {
                        return Ok(Some((message, self.take(length + 1))));
                    }
                }
            }
            if !self.fill().await {
                return Ok(None);
            }
        }
    }

    /// Takes a whole frame of this size off the buffer, and gives its body.
    fn take(&mut self, frame_bytes: usize) -> Bytes {
        let mut frame = self.buffer.split_to(frame_bytes).freeze();
        frame.advance(5);
        if frame_bytes > CHUNK_BYTES {
            // The rest shares the large allocation, and would keep it for the connection's life.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        frame
    }

    /// Reads once; false when the client is gone.
    async fn fill(&mut self) -> bool {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(CHUNK_BYTES);
        }
        let read = self.source.read_buf(&mut self.buffer).await;
        self.note(read)
    }

    /// Reads once, and never beyond this length of the buffer.
    async fn fill_up_to(&mut self, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.buffer.len());
        let mut room = bytes::BufMut::limit(&mut self.buffer, missing);
        let read = self.source.read_buf(&mut room).await;
        self.note(read)
    }

    /// A broken connection and a closed one are the same: nobody is there to be answered.
    fn note(&mut self, read: std::io::Result<usize>) -> bool {
        self.is_gone = !matches!(read, Ok(1..));
        !self.is_gone
    }
}

fn max_bytes(message: u8, limits: FrameLimits) -> Result<usize> {
    match message {
        b'Q' | b'P' | b'B' | b'd' => Ok(limits.statement_bytes),
        b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'c' | b'f' | b'F' => Ok(MAX_SMALL_BYTES),
        _ => Err(violation(format!("invalid frontend message type {}", printable(message)))),
    }
}

fn decode(message: u8, body: Bytes) -> Result<Frontend> {
    let mut body = Body(body);
    let decoded = match message {
        b'Q' => Frontend::Query(body.string()?),
        b'P' => Frontend::Parse {
            name: body.string()?,
            sql: body.string()?,
            parameter_types: body.list(4, Body::u32)?,
        },
        b'B' => Frontend::Bind(bind(&mut body)?),
        b'D' => Frontend::Describe { target: body.target()?, name: body.string()? },
        b'E' => Frontend::Execute {
            portal: body.string()?,
            // PostgreSQL takes every count below one as all.
            max_rows: u32::try_from(body.u32()?.cast_signed()).unwrap_or(0),
        },
        b'C' => Frontend::Close { target: body.target()?, name: body.string()? },
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'X' => Frontend::Terminate,
        b'd' => return Ok(Frontend::CopyData(body.0)),
        b'c' => Frontend::CopyDone,
        b'f' => Frontend::CopyFail(body.string()?),
        b'F' => return Ok(Frontend::FunctionCall),
        _ => return Err(malformed()),
    };
    body.end()?;
    Ok(decoded)
}

fn bind(body: &mut Body) -> Result<Bind> {
    let portal = body.string()?;
    let statement = body.string()?;
    let sent_formats = body.list(2, Body::format)?;
    let values = body.list(4, Body::value)?;
    let result_formats = body.list(2, Body::format)?;

    let formats = match sent_formats.as_slice() {
        [] => vec![Format::Text; values.len()],
        [format] => vec![*format; values.len()],
        formats if formats.len() == values.len() => sent_formats,
        formats => {
            return Err(violation(format!(
                "bind message has {} parameter formats but {} parameters",
                formats.len(),
                values.len()
            )));
        }
    };
    for (format, value) in formats.iter().zip(&values) {
        if let (Format::Text, Some(value)) = (format, value) {
            utf8(value)?;
        }
    }
    Ok(Bind { portal, statement, formats, values, result_formats })
}

/// What is left of a frame's body.
struct Body(Bytes);

impl Body {
    fn string(&mut self) -> Result<String> {
        let length = self.0.iter().position(|&byte| byte == 0).ok_or_else(malformed)?;
        let text = utf8(&self.0[..length])?.to_owned();
        self.0.advance(length + 1);
        Ok(text)
    }

    fn u8(&mut self) -> Result<u8> {
        self.0.try_get_u8().map_err(|_| malformed())
    }

    fn u16(&mut self) -> Result<u16> {
        self.0.try_get_u16().map_err(|_| malformed())
    }

    fn u32(&mut self) -> Result<u32> {
        self.0.try_get_u32().map_err(|_| malformed())
    }

    fn format(&mut self) -> Result<Format> {
        match self.u16()? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("unsupported format code: {}", other.cast_signed()),
            )),
        }
    }

    fn target(&mut self) -> Result<Target> {
        match self.u8()? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(violation(format!("invalid message subtype {}", printable(other)))),
        }
    }

    /// A value with its length in front, where -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>> {
        let length = self.u32()?.cast_signed();
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed())?;
        if length > self.0.len() {
            return Err(malformed());
        }
        Ok(Some(self.0.split_to(length)))
    }

    /// A list with its count in front, of items that have at least so many bytes each.
    fn list<T>(
        &mut self,
        least_bytes: usize,
        item: impl Fn(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = usize::from(self.u16()?);
        // A few bytes must not make room for thousands of items.
        if count * least_bytes > self.0.len() {
            return Err(malformed());
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed()) }
    }
}

/// Text as PostgreSQL takes it: UTF-8, never silently repaired, without a null character.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str> {
    let bad = match std::str::from_utf8(bytes) {
        Ok(text) => match text.bytes().position(|byte| byte == 0) {
            None => return Ok(text),
            Some(position) => position..position + 1,
        },
        Err(error) => {
            let start = error.valid_up_to();
            start..error.error_len().map_or(bytes.len(), |length| start + length)
        }
    };
    let hex: Vec<String> = bytes[bad].iter().map(|byte| format!("0x{byte:02x}")).collect();
    Err(Error::new(
        ErrorKind::InvalidEncoding,
        format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" ")),
    ))
}

pub(super) fn violation(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::ProtocolViolation, message)
}

fn malformed() -> Error {
    violation("invalid message format")
}

fn printable(message: u8) -> String {
    if message.is_ascii_graphic() {
        format!("\"{}\"", char::from(message))
    } else {
        message.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::time::Duration;

    use rand::{RngExt, SeedableRng};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Every type byte that a client may send after login.
    const TYPES: &[u8] = b"QPBDECHSXdcfF";

    fn frame(message: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[message], length.to_be_bytes().as_slice(), body].concat()
    }

    fn reader(bytes: &[u8]) -> FrameReader<&[u8]> {
        FrameReader::new(bytes, FrameLimits::default())
    }

    async fn decode_one(message: u8, body: &[u8]) -> Frontend {
        reader(&frame(message, body)).next().await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn every_message_is_read() {
        for (message, body, expected) in [
            (b'Q', b"SELECT 'caf\xc3\xa9'\0".as_slice(), r#"Query("SELECT 'café'")"#),
            (b'Q', b"\0", r#"Query("")"#),
            (
                b'P',
                b"s1\0SELECT $1\0\0\x02\0\0\0\x17\0\0\0\0",
                r#"Parse { name: "s1", sql: "SELECT $1", parameter_types: [23, 0] }"#,
            ),
            (b'D', b"Sname\0", r#"Describe { target: Statement, name: "name" }"#),
            (b'D', b"P\0", r#"Describe { target: Portal, name: "" }"#),
            (b'C', b"P\0", r#"Close { target: Portal, name: "" }"#),
            (b'E', b"p\0\0\0\0\x0a", r#"Execute { portal: "p", max_rows: 10 }"#),
            (b'E', b"\0\xff\xff\xff\xff", r#"Execute { portal: "", max_rows: 0 }"#),
            (b'H', b"", "Flush"),
            (b'S', b"", "Sync"),
            (b'X', b"", "Terminate"),
            (b'c', b"", "CopyDone"),
            (b'd', b"\xff\0", r#"CopyData(b"\xff\0")"#),
            (b'f', b"why\0", r#"CopyFail("why")"#),
            (b'F', b"anything", "FunctionCall"),
            (
                b'B',
                b"p\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\x01\0\x01",
                r#"Bind(Bind { portal: "p", statement: "s", formats: [Text, Binary], values: [Some(b"a"), None], result_formats: [Binary] })"#,
            ),
            (
                b'B',
                b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01\xff\0\0\0\0\0\0",
                r#"Bind(Bind { portal: "", statement: "", formats: [Binary, Binary], values: [Some(b"\xff"), Some(b"")], result_formats: [] })"#,
            ),
            (
                b'B',
                b"\0\0\0\0\0\x01\0\0\0\x01a\0\0",
                r#"Bind(Bind { portal: "", statement: "", formats: [Text], values: [Some(b"a")], result_formats: [] })"#,
            ),
        ] {
            assert_eq!(format!("{:?}", decode_one(message, body).await), expected);
        }
    }

    #[tokio::test]
    async fn wrong_bodies_fail_the_statement_and_keep_the_connection() {
        let huge = [b"\0\0\0\0".as_slice(), b"\xff\xff", b"\0\0"].concat();
        for (message, body, sqlstate) in [
            (b'Q', b"".as_slice(), "08P01"),
            (b'Q', b"SELECT 1", "08P01"),
            (b'Q', b"SELECT 1\0more\0", "08P01"),
            (b'Q', b"SELECT '\xff\xfe\xc0'\0", "22021"),
            (b'Q', b"SELECT '\xed\xa0\x80'\0", "22021"),
            (b'Q', b"SELECT '\xc3\0", "22021"),
            (b'P', b"s\0SELECT 1\0", "08P01"),
            (b'P', b"s\0SELECT 1\0\0\x01\0\0", "08P01"),
            (b'P', b"s\0SELECT 1\0\xff\xff", "08P01"),
            (b'P', b"s\xff\0SELECT 1\0\0\0", "22021"),
            (b'P', b"s\0SELECT 1\0\0\0\0", "08P01"),
            (b'B', &huge, "08P01"),
            (b'B', b"\0\0\0\x02\0\0\0\0\0\0\0\0", "08P01"),
            (b'B', b"\0\0\0\x01\0\x02\0\0\0\0", "22023"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0", "08P01"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", "08P01"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x01\xff\0\0", "22021"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0", "22021"),
            (b'B', b"\0\0\0\0\0\0\0\x01\0\x07", "22023"),
            (b'D', b"", "08P01"),
            (b'D', b"S", "08P01"),
            (b'D', b"X\0", "08P01"),
            (b'C', b"\0\0", "08P01"),
            (b'E', b"p\0\0\0\0", "08P01"),
            (b'E', b"p\0\0\0\0\x01\x01", "08P01"),
            (b'S', b"x", "08P01"),
            (b'H', b"\0", "08P01"),
            (b'X', b"\0", "08P01"),
            (b'c', b"\0", "08P01"),
            (b'f', b"why", "08P01"),
        ] {
            let bytes = [frame(message, body), frame(b'S', b"")].concat();
            let mut reader = reader(&bytes);
            let Some(Frontend::Malformed { message: found, error }) = reader.next().await.unwrap()
            else {
                panic!("{} {body:?} was taken", char::from(message));
            };
            assert_eq!((found, error.kind.sqlstate()), (message, sqlstate), "{body:?}");
            assert!(matches!(reader.next().await.unwrap(), Some(Frontend::Sync)));
            assert!(reader.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn wrong_lengths_and_types_are_fatal() {
        let zeros = [0; 64];
        for &message in TYPES {
            for length in [0, 1, 2, 3, 0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff] {
                let bytes = [&[message], length.to_be_bytes().as_slice(), &zeros].concat();
                let error = reader(&bytes).next().await.unwrap_err();
                assert_eq!(error.kind, ErrorKind::ProtocolViolation, "{message} {length:x}");
                assert!(reader(&bytes).next_password().await.is_err());
            }
            // One more than the limit is refused by its header alone.
            let limit = max_bytes(message, FrameLimits::default()).unwrap();
            let length = u32::try_from(limit + 5).unwrap();
            let bytes = [&[message], length.to_be_bytes().as_slice()].concat();
            assert!(reader(&bytes).next().await.is_err());
        }
        for message in (0..=255).filter(|message| !TYPES.contains(message)) {
            assert!(reader(&[message]).next().await.is_err(), "{message}");
        }
        for length in [0, 1, 2, 3, 10_005, 0x7fff_ffff_u32, 0xffff_ffff] {
            let bytes = [b"p", length.to_be_bytes().as_slice(), &zeros].concat();
            assert!(reader(&bytes).next_password().await.is_err(), "{length}");
        }
        for length in [0, 1, 3, 4, 7, 10_001, 0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff] {
            let bytes = [length.to_be_bytes().as_slice(), &zeros].concat();
            assert!(reader(&bytes).next_startup().await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn a_frame_of_exactly_the_limit_is_read() {
        let limits = FrameLimits { statement_bytes: 100_000 };
        for (length, is_read) in [(100_000, true), (100_001, false)] {
            let mut body = vec![b'x'; length];
            body[length - 1] = 0;
            let bytes = frame(b'Q', &body);
            let mut reader = FrameReader::new(bytes.as_slice(), limits);
            assert_eq!(reader.next().await.is_ok(), is_read);
        }
    }

    #[tokio::test]
    async fn a_claimed_length_takes_no_memory() {
        let (mut client, server) = duplex(1 << 20);
        let mut reader = FrameReader::new(server, FrameLimits::default());
        let header = [b"Q", (16_u32 << 20).to_be_bytes().as_slice()].concat();
        client.write_all(&header).await.unwrap();
        let mut arrived = header.len();
        for _ in 0..20 {
            client.write_all(&[b'x'; 50_000]).await.unwrap();
            arrived += 50_000;
            let waited = tokio::time::timeout(Duration::from_millis(10), reader.next()).await;
            assert!(waited.is_err());
            assert!(reader.buffer.capacity() <= 2 * arrived + CHUNK_BYTES);
        }
    }

    #[tokio::test]
    async fn a_large_frame_does_not_stay() {
        let mut body = vec![b'x'; 4 << 20];
        body.push(0);
        let bytes = [frame(b'Q', &body), frame(b'S', b"")].concat();
        let mut reader = reader(&bytes);
        assert!(matches!(reader.next().await.unwrap(), Some(Frontend::Query(_))));
        assert!(reader.buffer.capacity() <= 2 * CHUNK_BYTES);
        assert!(matches!(reader.next().await.unwrap(), Some(Frontend::Sync)));
        assert!(reader.buffer.capacity() <= 2 * CHUNK_BYTES);
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let (mut client, server) = duplex(1024);
        let mut reader = FrameReader::new(server, FrameLimits::default());
        for byte in frame(b'Q', b"SELECT 1\0") {
            let waited = tokio::time::timeout(Duration::from_millis(1), reader.next()).await;
            assert!(waited.is_err());
            client.write_all(&[byte]).await.unwrap();
        }
        let query = reader.next().await.unwrap().unwrap();
        assert!(matches!(query, Frontend::Query(sql) if sql == "SELECT 1"));

        for byte in b"\0\0\0\x09\0\x03\0\0x" {
            let waited =
                tokio::time::timeout(Duration::from_millis(1), reader.next_startup()).await;
            assert!(waited.is_err());
            client.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(reader.next_startup().await.unwrap().unwrap(), b"\0\x03\0\0x".as_slice());
    }

    #[tokio::test]
    async fn a_startup_packet_takes_nothing_behind_it() {
        let bytes = b"\0\0\0\x08\x04\xd2\x16\x2fbehind";
        let mut reader = reader(bytes);
        assert_eq!(reader.next_startup().await.unwrap().unwrap(), b"\x04\xd2\x16\x2f".as_slice());
        assert!(!reader.has_buffered());
        assert_eq!(*reader.source(), b"behind");
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed() {
        for sent in [b"".as_slice(), b"\0\0", b"\0\0\0\x09\0\x03\0"] {
            assert!(reader(sent).next_startup().await.is_ok_and(|packet| packet.is_none()));
        }
        for sent in [b"".as_slice(), b"Q", b"Q\0\0\0\x09SEL"] {
            assert!(reader(sent).next().await.unwrap().is_none());
        }

        let (mut client, server): (DuplexStream, _) = duplex(1024);
        let mut reader = FrameReader::new(server, FrameLimits::default());
        client.write_all(&frame(b'S', b"")).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(10), reader.disconnected()).await;
        assert!(waited.is_err() && reader.has_buffered());
        drop(client);
        reader.disconnected().await;
        assert!(matches!(reader.next().await.unwrap(), Some(Frontend::Sync)));
        assert!(reader.next().await.unwrap().is_none());
    }

    /// Random bodies, and good ones with random changes, for every type.
    #[tokio::test]
    async fn random_bytes_never_panic() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let good: &[&[u8]] = &[
            b"s1\0SELECT $1\0\0\x02\0\0\0\x17\0\0\0\0",
            b"p\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x01a\xff\xff\xff\xff\0\x01\0\x01",
            b"Sname\0",
            b"p\0\0\0\0\x0a",
        ];
        let mut read = 0;
        for round in 0..200_000 {
            let mut body = if round % 2 == 0 {
                let length = random.random_range(0..64);
                (0..length).map(|_| random.random()).collect::<Vec<u8>>()
            } else {
                good[random.random_range(0..good.len())].to_vec()
            };
            for _ in 0..random.random_range(0..3) {
                if !body.is_empty() {
                    let position = random.random_range(0..body.len());
                    body[position] = *[0, 1, 0x7f, 0x80, 0xff, random.random()]
                        .get(random.random_range(0..6))
                        .unwrap();
                }
            }
            let message = TYPES[random.random_range(0..TYPES.len())];
            read += usize::from(decode(message, body.into()).is_ok());
        }
        assert!(read > 1_000, "the changes leave hardly a good body: {read}");

        // Whole streams of noise end, one way or the other.
        for _ in 0..2_000 {
            let noise: Vec<u8> =
                (0..random.random_range(0..200)).map(|_| random.random()).collect();
            let mut reader = reader(&noise);
            while let Ok(Some(_)) = reader.next().await {}
            let _ = self::reader(&noise).next_startup().await;
        }
    }
}
