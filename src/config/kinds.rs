//! What a value may be: each kind turns what was written into a type, once.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZero,
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use super::{found::Found, machine, reader::Reader};

/// A kind of value, such as a duration or a count between two bounds.
pub(super) trait Kind {
    type Value;

    /// Ends the sentence "expected …".
    fn expected(&self) -> String;

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<Self::Value, Refusal>;
}

/// Why a value is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not of this kind: the mistake shows it, with what was expected.
    Unexpected,
    /// It is of this kind, but…; the value itself is shown only if the message does.
    Because { message: String, hint: Option<String> },
}

impl Refusal {
    pub(super) fn because(message: impl Into<String>) -> Self {
        Self::Because { message: message.into(), hint: None }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Unexpected => Self::Unexpected,
            Self::Because { message, .. } => Self::Because { message, hint: Some(hint.into()) },
        }
    }
}

/// The word `"off"`, or a value.
pub(super) struct Optional<K>(pub(super) K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn expected(&self) -> String {
        format!("{}, or \"off\"", self.0.expected())
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<Self::Value, Refusal> {
        if found.text() == Some("off") {
            return Ok(None);
        }
        self.0.read(found, reader).map(Some)
    }
}

/// `"127.0.0.1:5455"`, `"[::1]:5455"`.
pub(super) struct Address;

impl Kind for Address {
    type Value = SocketAddr;

    fn expected(&self) -> String {
        "an IP address and a port such as \"127.0.0.1:5455\"".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<SocketAddr, Refusal> {
        found.text().and_then(|text| text.parse().ok()).ok_or(Refusal::Unexpected)
    }
}

/// `["10.0.0.0/8", "::1"]`.
pub(super) struct Networks;

/// The networks that may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

impl AllowList {
    /// An empty list allows everybody. An IPv4 client of an IPv6 listener counts as IPv4.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `None` when one of the items is no address and no network.
    pub fn parse<'a>(items: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        items.into_iter().map(network).collect()
    }
}

impl FromIterator<IpNet> for AllowList {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Kind for Networks {
    type Value = AllowList;

    fn expected(&self) -> String {
        "a list of addresses or networks such as [\"10.0.0.0/8\", \"::1\"]".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<AllowList, Refusal> {
        AllowList::parse(found.list().ok_or(Refusal::Unexpected)?).ok_or(Refusal::Unexpected)
    }
}

/// An address alone is the network of that address. Bits behind the prefix (`10.0.0.1/8`) are a
/// mistake: whoever wrote them meant something else.
fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().ok()?,
    };
    (network == network.trunc()).then_some(network)
}

/// `"250ms"`, `"30s"`, `"5m"`, `"1h"`: at least a millisecond, at most a year.
pub(super) struct Period;

impl Kind for Period {
    type Value = Duration;

    fn expected(&self) -> String {
        "a duration such as \"250ms\", \"30s\", \"5m\" or \"1h\"".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<Duration, Refusal> {
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
        let period = found.text().and_then(period).ok_or(Refusal::Unexpected)?;
        if period.is_zero() || period > LONGEST {
            return Err(Refusal::because(format!(
                "found {}, expected more than nothing and at most a year",
                found.shown()
            )));
        }
        Ok(period)
    }
}

fn period(text: &str) -> Option<Duration> {
    let (digits, unit) = split_unit(text)?;
    let milliseconds_each: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    digits.checked_mul(milliseconds_each).map(Duration::from_millis)
}

/// `"16MiB"`, or a number of bytes.
pub(super) struct Bytes;

impl Kind for Bytes {
    type Value = usize;

    fn expected(&self) -> String {
        "a size such as \"512MiB\" or \"4GiB\"".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<usize, Refusal> {
        let size = found.integer().or_else(|| found.text().and_then(bytes));
        let size = size.and_then(|size| usize::try_from(size).ok()).ok_or(Refusal::Unexpected)?;
        if size == 0 {
            return Err(Refusal::because("found 0, expected at least 1 byte"));
        }
        Ok(size)
    }
}

/// Binary units only: `MB` means two things.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = split_unit(text)?;
    let bytes_each: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    digits.checked_mul(bytes_each)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit))
}

/// A part of something larger, or an absolute size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Percent(u8),
    Bytes(usize),
}

impl Share {
    /// In bytes.
    pub fn of(self, whole_bytes: usize) -> usize {
        match self {
            // Divided first: the rest of a byte matters less than an overflow.
            Self::Percent(percent) => whole_bytes / 100 * usize::from(percent),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// `"25%"`, or what [`Bytes`] takes.
pub(super) struct PartOf(pub(super) &'static str);

impl Kind for PartOf {
    type Value = Share;

    fn expected(&self) -> String {
        format!("a part of {} such as \"60%\", or a size such as \"4GiB\"", self.0)
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<Share, Refusal> {
        let Some(percent) = found.text().and_then(|text| text.strip_suffix('%')) else {
            return Bytes.read(found, reader).map(Share::Bytes);
        };
        match percent.parse() {
            Ok(percent @ 1..=100) => Ok(Share::Percent(percent)),
            Ok(_) => Err(Refusal::because(format!(
                "found {}, expected a percentage from 1% to 100%",
                found.shown()
            ))),
            Err(_) => Err(Refusal::Unexpected),
        }
    }
}

/// A part of this machine's memory, in bytes.
pub(super) struct MachineMemory;

impl Kind for MachineMemory {
    type Value = usize;

    fn expected(&self) -> String {
        PartOf("this machine's memory").expected()
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<usize, Refusal> {
        let whole = usize::try_from(machine::memory_bytes()).unwrap_or(usize::MAX);
        Ok(PartOf("this machine's memory").read(found, reader)?.of(whole))
    }
}

/// A number between two bounds, both included.
pub(super) struct Count(pub(super) RangeInclusive<u64>);

impl Kind for Count {
    type Value = usize;

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<usize, Refusal> {
        let number = found.integer().filter(|number| self.0.contains(number));
        number.and_then(|number| usize::try_from(number).ok()).ok_or(Refusal::Unexpected)
    }
}

/// `"auto"` (one for each core), or a number.
pub(super) struct Threads;

impl Kind for Threads {
    type Value = usize;

    fn expected(&self) -> String {
        "\"auto\", or a whole number from 1 to 1024".to_owned()
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<usize, Refusal> {
        if found.text() == Some("auto") {
            return Ok(std::thread::available_parallelism().map_or(2, NonZero::get));
        }
        Count(1..=1024).read(found, reader)
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<bool, Refusal> {
        found.flag().ok_or(Refusal::Unexpected)
    }
}

/// One of a few words, each with its meaning.
pub(super) struct Word<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy> Kind for Word<T> {
    type Value = T;

    fn expected(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        one_of(&words)
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<T, Refusal> {
        let text = found.text().ok_or(Refusal::Unexpected)?;
        let known = self.0.iter().find(|(word, _)| *word == text);
        known.map(|(_, meaning)| *meaning).ok_or(Refusal::Unexpected)
    }
}

pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(" or ")
}

/// A path that may still be made; relative to the folder of the file that names it.
pub(super) struct Folder;

impl Kind for Folder {
    type Value = PathBuf;

    fn expected(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<PathBuf, Refusal> {
        let text = found.text().filter(|text| !text.is_empty() && !text.contains('\0'));
        Ok(found.file.folder().join(text.ok_or(Refusal::Unexpected)?))
    }
}

/// A path to a file that is there.
pub(super) struct ExistingFile;

impl Kind for ExistingFile {
    type Value = PathBuf;

    fn expected(&self) -> String {
        "the path of a file".to_owned()
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<PathBuf, Refusal> {
        let path = Folder.read(found, reader)?;
        if found.file.targets_must_exist && (!path.exists() || path.is_dir()) {
            return Err(Refusal::because(format!("there is no file \"{}\"", path.display())));
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_are_written_with_a_unit() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(Duration::from_secs(30))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("30 s", None),
            ("30S", None),
            ("30s ", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("٣s", None),
        ] {
            assert_eq!(period(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_use_binary_units() {
        for (text, expected) in [
            ("1B", Some(1)),
            ("16MiB", Some(16 << 20)),
            ("4GiB", Some(4 << 30)),
            ("4GB", None),
            ("4gib", None),
            ("GiB", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_share_of_the_largest_whole_does_not_overflow() {
        assert_eq!(Share::Percent(25).of(1000), 250);
        assert_eq!(Share::Percent(100).of(usize::MAX), usize::MAX / 100 * 100);
        assert_eq!(Share::Bytes(7).of(1000), 7);
    }

    #[test]
    fn an_allow_list_sees_through_mapped_addresses() {
        let list: AllowList = ["10.0.0.0/8", "::1/128"].into_iter().filter_map(network).collect();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::1", true),
            ("11.0.0.1", false),
            ("::ffff:11.0.0.1", false),
            ("::2", false),
        ] {
            assert_eq!(list.allows(address.parse().unwrap()), expected, "{address}");
            assert!(AllowList::default().allows(address.parse().unwrap()));
        }
    }

    #[test]
    fn a_network_has_no_bits_behind_its_prefix() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1", Some("::1/128")),
            ("fd00::/8", Some("fd00::/8")),
            ("10.0.0.1/8", None),
            ("10.0.0.0/33", None),
            ("localhost", None),
            ("", None),
        ] {
            let shown = network(text).map(|network| network.to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }
}
