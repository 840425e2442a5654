//! The structure of the project, as rules that are checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::harness::{files, repository};

/// Of a source folder; a SQL source has the second set, a source of files the third.
const SOURCE_FILES: &[&str] = &["mod.rs", "options.rs", "README.md"];
const SQL_SOURCE_FILES: &[&str] = &["client.rs", "dialect.rs", "types.rs"];
const FILE_SOURCE_FILES: &[&str] = &["store.rs"];
/// Folders of `catalogs/` that are not sources.
const SHARED_FOLDERS: &[&str] = &["files", "sql"];

/// Modules that every other may use.
const LEAVES: &[&str] = &["config", "error", "telemetry"];
/// Modules around the path of a query: they put its parts together.
const AROUND: &[&str] = &["cli", "demo", "proxy"];

/// What a module may use although `src/lib.rs` lists it before; each with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("engine", "admission", "a query holds its place and its memory for as long as it runs"),
    ("policy", "auth", "the principal, of whom the rules speak"),
    ("session", "auth", "the principal, whose session it is"),
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = files(&repository().join(folder));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

fn sources() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("catalogs")).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| {
        path.is_dir() && !SHARED_FOLDERS.iter().any(|shared| path.ends_with(shared))
    });
    folders.sort();
    folders
}

#[test]
fn every_source_folder_has_the_same_files() {
    let sources = sources();
    assert!(sources.len() > 1, "{sources:?}");
    for folder in sources {
        let entrance = read(&folder.join("mod.rs"));
        let kind = if entrance.contains("sql::") { SQL_SOURCE_FILES } else { FILE_SOURCE_FILES };
        for name in SOURCE_FILES.iter().chain(kind) {
            assert!(folder.join(name).exists(), "{} has no {name}", shown(&folder));
        }
    }
}

#[test]
fn no_source_imports_a_sibling() {
    let sources = sources();
    let names: Vec<_> =
        sources.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for (folder, own) in sources.iter().zip(&names) {
        for path in files(folder).iter().filter(|path| path.extension().is_some_and(|e| e == "rs"))
        {
            let text = read(path);
            for name in names.iter().filter(|name| *name != own) {
                let import = format!("crate::{name}");
                assert!(!text.contains(&import), "{} uses {import}", shown(path));
            }
        }
    }
}

#[test]
fn every_option_of_a_source_is_in_its_readme() {
    for folder in sources() {
        let (options, readme) = (read(&folder.join("options.rs")), read(&folder.join("README.md")));
        let names: Vec<_> = options
            .match_indices("        name: \"")
            .map(|(at, opening)| options[at + opening.len()..].split('"').next().unwrap())
            .collect();
        assert!(!names.is_empty(), "{}", shown(&folder));
        for name in names {
            assert!(readme.contains(name), "{}: README.md lacks {name}", shown(&folder));
        }
    }
}

/// `src/lib.rs` lists the modules as a query meets them; each uses only the ones after it.
#[test]
fn modules_use_only_later_ones() {
    let order: Vec<String> = read(&repository().join("src/lib.rs"))
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    let place = |name: &str| order.iter().position(|module| module == name);
    let mut wrong = BTreeMap::new();
    for path in rust_files("src") {
        let inside = path.strip_prefix(repository().join("src")).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") || AROUND.contains(&module) {
            continue;
        }
        for used in uses(&without_tests(&path)) {
            let is_later = place(&used) > place(module);
            let is_known = EXCEPTIONS.iter().any(|(from, to, _)| (*from, *to) == (module, &used));
            if used == module
                || LEAVES.contains(&used.as_str())
                || is_later && !AROUND.contains(&used.as_str())
            {
                continue;
            }
            if place(&used).is_some() && !is_known {
                wrong.insert((module.to_owned(), used), shown(&path));
            }
        }
    }
    assert!(wrong.is_empty(), "a module uses an earlier one: {wrong:#?}");
}

/// The code before the module of unit tests; files that are tests alone are empty here.
fn without_tests(path: &Path) -> String {
    let name = path.file_stem().unwrap();
    if name == "tests" || name == "oracle" || name == "testing" {
        return String::new();
    }
    let text = read(path);
    let end = ["", "pub(crate) ", "pub(super) "]
        .iter()
        .filter_map(|visibility| text.find(&format!("#[cfg(test)]\n{visibility}mod tests {{")))
        .min();
    text[..end.unwrap_or(text.len())].to_owned()
}

/// The modules of this crate that a text names: `crate::a`, and `use crate::{a::…, b}`.
fn uses(text: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut found = BTreeSet::new();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (at, opening) in code.match_indices("crate::") {
        let rest = &code[at + opening.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut is_start = true;
        for (index, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_start = true,
                c if is_start && c.is_ascii_lowercase() => {
                    found.insert(word(&group[index..]));
                    is_start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn uses_are_found() {
    let text = "use crate::{auth::{A, b}, error::Result,\n    policy};\nlet x = crate::engine::y;\n// crate::no\n";
    assert_eq!(uses(text).into_iter().collect::<Vec<_>>(), ["auth", "engine", "error", "policy"]);
}

/// The project stands alone: nothing in it speaks of the place where it was made.
#[test]
fn no_file_speaks_of_its_workplace() {
    // Spelt so that this file does not hold them.
    let words = [
        concat!("/wo", "rk/"),
        concat!("../sha", "red"),
        concat!("/tmp/", "wt"),
        concat!("/tmp/", "brief"),
        concat!("/root", "/"),
        concat!("pypi", ".org"),
    ];
    for path in tracked() {
        let Ok(text) = fs::read_to_string(repository().join(&path)) else { continue };
        for word in words {
            assert!(!text.contains(word), "{path} holds {word}");
        }
    }
}

fn tracked() -> Vec<String> {
    let listed = std::process::Command::new("git")
        .args(["-C", repository().to_str().unwrap(), "ls-files"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {listed:?}");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A folder's entrance says what the folder answers for; so does every test of the suite.
#[test]
fn every_entrance_has_a_story() {
    for folder in ["src", "catalogs", "udfs", "tests"] {
        for path in rust_files(folder) {
            let is_entrance =
                path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs")
                    || folder == "tests";
            let first = read(&path).lines().next().unwrap_or_default().to_owned();
            assert!(!is_entrance || first.starts_with("//! "), "{} begins {first:?}", shown(&path));
        }
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words = [
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    for folder in ["src", "catalogs", "udfs", "tests"] {
        for path in rust_files(folder) {
            let text = read(&path);
            for word in words {
                assert!(!text.contains(word), "{} holds {word}", shown(&path));
            }
        }
    }
}

/// Outside tests a lint is switched off with a reason, beside it or above it.
#[test]
fn no_lint_is_off_without_a_reason() {
    let mut silent = Vec::new();
    for folder in ["src", "catalogs", "udfs"] {
        for path in rust_files(folder) {
            let text = without_tests(&path);
            let lines: Vec<&str> = text.lines().collect();
            for (index, line) in lines.iter().enumerate() {
                let is_off = line.trim_start().starts_with("#[allow(")
                    || line.trim_start().starts_with("#![allow(")
                    || line.trim_start().starts_with("#[expect(");
                let above = index.checked_sub(1).map_or("", |above| lines[above].trim_start());
                let has_reason =
                    line.contains("reason =") || line.contains("//") || above.starts_with("//");
                if is_off && !has_reason {
                    silent.push(format!("{}:{}", shown(&path), index + 1));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// One version each: two would make two worlds of types that do not meet. `deny.toml` says the same
/// to cargo-deny.
#[test]
fn there_is_one_version_of_what_must_be_one() {
    let lock: toml::Table = read(&repository().join("Cargo.lock")).parse().unwrap();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let is_single = |name: &str| {
        name.starts_with("datafusion")
            || name == "arrow"
            || name.starts_with("arrow-")
            || [
                "parquet",
                "object_store",
                "sqlparser",
                "tonic",
                "prost",
                "rustls",
                "tokio",
                "hyper",
                "pgwire",
            ]
            .contains(&name)
    };
    let doubled: Vec<_> =
        versions.iter().filter(|(name, found)| is_single(name) && found.len() > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    for name in ["openssl", "openssl-sys", "native-tls"] {
        assert!(!versions.contains_key(name), "{name}: TLS is rustls here");
    }
}

/// Links of the documents lead somewhere.
#[test]
fn documents_name_files_that_exist() {
    for path in tracked().iter().filter(|path| path.ends_with(".md")) {
        let folder = repository().join(path).parent().unwrap().to_owned();
        let text = read(&repository().join(path));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(folder.join(target).exists(), "{path} links to {target}");
        }
    }
}
