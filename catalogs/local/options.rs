use std::path::PathBuf;

use crate::{
    OptionKind, OptionSpec, Options, Result, SourceError, SourceErrorKind, files::FileOptions,
};

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "root",
        kind: OptionKind::Path,
        required: true,
        default: None,
        meaning: "the folder to read; nothing outside it can be reached",
    },
    OptionSpec {
        name: "refresh_interval",
        kind: OptionKind::Duration,
        required: false,
        default: Some("\"5s\""),
        meaning: "how often new, changed and deleted files are looked for",
    },
    OptionSpec {
        name: "csv_delimiter",
        kind: OptionKind::Text,
        required: false,
        default: None,
        meaning: "one character between CSV fields; unset: a comma, or what the header uses",
    },
    OptionSpec {
        name: "max_files",
        kind: OptionKind::Integer { min: 1, max: 10_000_000 },
        required: false,
        default: Some("100000"),
        meaning: "more files than this below root are an error",
    },
];

#[derive(Debug)]
pub(super) struct LocalOptions {
    pub root: PathBuf,
    pub max_files: usize,
    pub files: FileOptions,
}

impl LocalOptions {
    pub(super) fn read(options: &Options) -> Result<Self> {
        let invalid = |message: &str| SourceError::new(SourceErrorKind::InvalidOption, message);
        let root = options.path("root").ok_or_else(|| invalid("option \"root\" is missing"))?;
        let csv_delimiter = match options.text("csv_delimiter").map(str::as_bytes) {
            None => None,
            Some(&[delimiter]) if !matches!(delimiter, b'"' | b'\n' | b'\r') && delimiter < 128 => {
                Some(delimiter)
            }
            Some(_) => {
                return Err(invalid(
                    "option \"csv_delimiter\" must be one ASCII character, \
                     not a quote or a line end",
                ));
            }
        };
        let max_files = options.integer("max_files").unwrap_or(100_000);
        Ok(Self {
            root: root.to_owned(),
            max_files: usize::try_from(max_files).unwrap_or(usize::MAX),
            files: FileOptions { csv_delimiter },
        })
    }
}
