//! Decides which files make which table, by their paths alone.

use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;

use super::store::Listed;

/// How a file is written, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    Arrow,
    Csv,
    Ndjson,
    Parquet,
}

/// The files of one table.
#[derive(Debug, Clone)]
pub(super) struct TableFiles {
    pub schema: String,
    pub name: String,
    /// Sorted by path; the format is theirs all.
    pub contents: Result<Contents, String>,
}

#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub format: Format,
    pub files: Vec<MemberFile>,
    /// Names of the partition columns, in the order of the folders.
    pub partition_names: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct MemberFile {
    pub meta: ObjectMeta,
    /// What the path says for each partition column; `None` is NULL.
    pub partition_values: Vec<Option<String>>,
}

/// What a file's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Format(Format),
    /// Data in a form that we do not read.
    Unsupported(&'static str),
    /// Not a data file: a README, an image.
    Other,
}

/// Where a file lies: alone as a table, or as a part of a folder that is one.
struct Place<'a> {
    schema: &'a str,
    table: &'a str,
    /// Folders between the table's folder and the file; `None`: the file is the table.
    folders: Option<Vec<&'a str>>,
}

struct Candidate<'a> {
    file: &'a Listed,
    named: Named,
    folders: Option<Vec<&'a str>>,
}

/// Groups files into tables:
///
/// - `a.csv` is table `a` of the default schema, `s/a.csv` is table `s.a`;
/// - everything below `s/a/` is table `s.a`, and folders `key=value` become columns;
/// - a folder of the root that holds folders `key=value` is a table of the default schema.
///
/// A table whose files do not go together is listed with the reason. Two candidates for one name
/// are one such table: neither is chosen.
pub(super) fn tables(listed: &[Listed], default_schema: &str) -> Vec<TableFiles> {
    let partitioned = partitioned_root_folders(listed);
    let mut groups: BTreeMap<(&str, &str), Vec<Candidate<'_>>> = BTreeMap::new();
    for file in listed {
        let path = file.meta.location.as_ref();
        let Some((place, named)) = place(path, &partitioned, default_schema) else {
            continue;
        };
        groups.entry((place.schema, place.table)).or_default().push(Candidate {
            file,
            named,
            folders: place.folders,
        });
    }
    groups
        .into_iter()
        .filter_map(|((schema, name), mut candidates)| {
            // A folder of other things, such as images, is no table; beside data they count.
            let is_data = |candidate: &Candidate<'_>| candidate.named != Named::Other;
            if !candidates.iter().any(is_data) {
                return None;
            }
            candidates.sort_by(|a, b| a.file.meta.location.cmp(&b.file.meta.location));
            Some(TableFiles {
                schema: schema.to_owned(),
                name: name.to_owned(),
                contents: contents(&candidates),
            })
        })
        .collect()
}

fn partitioned_root_folders(listed: &[Listed]) -> BTreeSet<&str> {
    listed
        .iter()
        .filter_map(|file| {
            let mut parts = file.meta.location.as_ref().split('/');
            let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
            (third.is_some() && key_value(second).is_some()).then_some(first)
        })
        .collect()
}

fn place<'a>(
    path: &'a str,
    partitioned: &BTreeSet<&str>,
    default_schema: &'a str,
) -> Option<(Place<'a>, Named)> {
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.starts_with(['_', '.'])) {
        return None;
    }
    let (file, folders) = parts.split_last()?;
    let (stem, named) = named(file);
    let place = match folders {
        [] => Place { schema: default_schema, table: stem, folders: None },
        [first, rest @ ..] if partitioned.contains(first) => {
            Place { schema: default_schema, table: first, folders: Some(rest.to_vec()) }
        }
        [schema] => Place { schema, table: stem, folders: None },
        [schema, table, rest @ ..] => Place { schema, table, folders: Some(rest.to_vec()) },
    };
    // Beside tables, other files are not data. Inside a folder that is a table they are a question.
    if place.folders.is_none() && named == Named::Other {
        return None;
    }
    Some((place, named))
}

/// Splits a file name into stem and kind. Letter case does not matter.
fn named(file: &str) -> (&str, Named) {
    const COMPRESSED: &[&str] = &["gz", "gzip", "bz2", "zst", "zstd", "xz", "lz4", "zip"];
    let Some((stem, extension)) = file.rsplit_once('.') else {
        return (file, Named::Other);
    };
    let extension = extension.to_ascii_lowercase();
    let kind = match extension.as_str() {
        "csv" | "tsv" => Named::Format(Format::Csv),
        "parquet" => Named::Format(Format::Parquet),
        "ndjson" | "jsonl" | "json" => Named::Format(Format::Ndjson),
        "arrow" | "ipc" | "feather" => Named::Format(Format::Arrow),
        "xlsx" | "xls" | "ods" => Named::Unsupported("spreadsheets are not supported"),
        "avro" => Named::Unsupported("Avro files are not supported"),
        "orc" => Named::Unsupported("ORC files are not supported"),
        compressed if COMPRESSED.contains(&compressed) => match self::named(stem) {
            (_, Named::Other) => Named::Other,
            (inner, _) => {
                return (inner, Named::Unsupported("compressed files are not supported"));
            }
        },
        _ => Named::Other,
    };
    (stem, kind)
}

fn contents(candidates: &[Candidate<'_>]) -> Result<Contents, String> {
    let path = |candidate: &Candidate<'_>| candidate.file.meta.location.to_string();
    let alone = candidates.iter().filter(|candidate| candidate.folders.is_none()).count();
    if alone > 1 || (alone == 1 && candidates.len() > 1) {
        let paths: Vec<_> = candidates.iter().take(4).map(|c| format!("\"{}\"", path(c))).collect();
        return Err(format!("several files claim this name: {}", paths.join(", ")));
    }
    let mut format = None;
    let mut partition_names: Option<Vec<String>> = None;
    let mut files = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let refuse = |why: &str| Err(format!("file \"{}\" can't be read: {why}", path(candidate)));
        if let Some(why) = &candidate.file.refused {
            return refuse(why);
        }
        let this = match candidate.named {
            Named::Format(format) => format,
            Named::Unsupported(why) => return refuse(why),
            Named::Other => return refuse("its name does not say that it is a data file"),
        };
        if *format.get_or_insert(this) != this {
            return refuse("its format is not that of the other files of the table");
        }
        let (names, partition_values) = partitions(candidate.folders.as_deref().unwrap_or(&[]));
        if *partition_names.get_or_insert_with(|| names.clone()) != names {
            return refuse("its folders do not name the same columns as those of other files");
        }
        files.push(MemberFile { meta: candidate.file.meta.clone(), partition_values });
    }
    let (Some(format), Some(partition_names)) = (format, partition_names) else {
        return Err("it has no files".to_owned());
    };
    let distinct: BTreeSet<_> = partition_names.iter().collect();
    if distinct.len() != partition_names.len() {
        return Err("its folders name a column twice".to_owned());
    }
    Ok(Contents { format, files, partition_names })
}

/// The `key=value` folders of a path; others only group files.
fn partitions(folders: &[&str]) -> (Vec<String>, Vec<Option<String>>) {
    folders.iter().filter_map(|folder| key_value(folder)).unzip()
}

fn key_value(folder: &str) -> Option<(String, Option<String>)> {
    let (key, value) = folder.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    // Hive writes this for NULL, and percent-encodes what a path can't hold.
    let value = (value != "__HIVE_DEFAULT_PARTITION__").then(|| percent_decoded(value));
    Some((percent_decoded(key), value))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use object_store::path::Path;

    use super::*;

    fn file(path: &str) -> Listed {
        let meta = ObjectMeta {
            location: Path::parse(path).unwrap(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: None,
            version: None,
        };
        Listed { meta, refused: None }
    }

    /// `schema.table(files)[partition columns]`, or `schema.table!reason`.
    fn shown(paths: &[&str]) -> Vec<String> {
        let listed: Vec<_> = paths.iter().map(|path| file(path)).collect();
        tables(&listed, "public")
            .iter()
            .map(|table| match &table.contents {
                Ok(contents) => format!(
                    "{}.{}({}){:?}",
                    table.schema,
                    table.name,
                    contents.files.len(),
                    contents.partition_names
                ),
                Err(why) => format!("{}.{}!{why}", table.schema, table.name),
            })
            .collect()
    }

    #[test]
    fn paths_make_tables() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["a.parquet"], &["public.a(1)[]"]),
            (&["A b.v2.CSV", "README.md"], &["public.A b.v2(1)[]"]),
            (&["sales/orders.csv", "sales/notes.txt"], &["sales.orders(1)[]"]),
            (&["sales/events/a.parquet", "sales/events/b.parquet"], &["sales.events(2)[]"]),
            (&["sales/events/2024/01/a.csv", "sales/events/x.tsv"], &["sales.events(2)[]"]),
            (
                &["s/e/year=2024/m=01/a.csv", "s/e/year=2025/m=02/b.csv"],
                &["s.e(2)[\"year\", \"m\"]"],
            ),
            (&["e/year=2024/a.csv", "e/year=2025/b.csv"], &["public.e(2)[\"year\"]"]),
            (&["_a.csv", ".b.csv", "s/_tmp/x.csv", "s/e/.x.crc", "s/e/a.csv"], &["s.e(1)[]"]),
            (&["s/pictures/a.png", "s/pictures/b.png"], &[]),
            (&["public/a.csv", "b.csv"], &["public.a(1)[]", "public.b(1)[]"]),
        ];
        for (paths, expected) in cases {
            assert_eq!(shown(paths), *expected, "{paths:?}");
        }
    }

    #[test]
    fn files_that_do_not_go_together_are_named() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["a.csv", "a.parquet"], "public.a!", "several files claim this name"),
            (&["a.csv", "public/a.csv"], "public.a!", "\"public/a.csv\""),
            (&["s/a.csv", "s/a/b.csv"], "s.a!", "\"s/a/b.csv\""),
            (&["s/a/x.csv", "s/a/y.parquet"], "s.a!", "\"s/a/y.parquet\""),
            (&["s/a/x.csv", "s/a/y.csv.gz"], "s.a!", "compressed files are not supported"),
            (&["s/a/x.csv", "s/a/part-0"], "s.a!", "\"s/a/part-0\""),
            (&["a.csv.gz"], "public.a!", "compressed files are not supported"),
            (&["a.XLSX"], "public.a!", "spreadsheets are not supported"),
            (&["s/a/k=1/x.csv", "s/a/y.csv"], "s.a!", "do not name the same columns"),
            (&["s/a/k=1/k=2/x.csv"], "s.a!", "name a column twice"),
        ];
        for (paths, start, part) in cases {
            let shown = shown(paths);
            assert_eq!(shown.len(), 1, "{paths:?}: {shown:?}");
            assert!(shown[0].starts_with(start) && shown[0].contains(part), "{shown:?}");
        }
    }

    #[test]
    fn partition_values_are_decoded() {
        let (names, values) = partitions(&["a%20b=x%2Fy", "plain", "n=__HIVE_DEFAULT_PARTITION__"]);
        assert_eq!(names, ["a b", "n"]);
        assert_eq!(values, [Some("x/y".to_owned()), None]);
    }
}
