#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, sync::Arc};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use weir_catalogs::{
    CatalogName, OptionKind, OptionSpec, Options, Source, SourceError, SourceErrorKind,
};

use super::*;

const fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>) -> OptionSpec {
    OptionSpec { name, kind, required: false, default, meaning: "A key for tests." }
}

/// A source with an option of every kind.
const SAMPLE: SourceKind = SourceKind {
    name: "sample",
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::Secret,
            required: true,
            default: None,
            meaning: "Where it is.",
        },
        option("password", OptionKind::Secret, None),
        option("user", OptionKind::Text, Some("\"weir\"")),
        option("tls", OptionKind::Word(&["off", "verify"]), Some("\"verify\"")),
        option("schemas", OptionKind::List, Some("[]")),
        option("query_timeout", OptionKind::Duration, Some("\"300s\"")),
        option("pool_size", OptionKind::Integer { min: 1, max: 100 }, Some("20")),
        option("eager", OptionKind::Flag, Some("false")),
        option("root", OptionKind::Path, None),
    ],
    open,
};

fn open(_: &CatalogName, _: Options) -> weir_catalogs::Result<Arc<dyn Source>> {
    Err(SourceError::new(SourceErrorKind::Internal, "a sample has no source"))
}

static SOURCES: &[SourceKind] = &[SAMPLE];

/// A folder with a configuration that `load` accepts, until a test spoils it.
struct Site(TempDir);

impl Site {
    fn new(weir_toml: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("weir.toml", weir_toml);
        site.write("policy/model.conf", "");
        site.write("policy/policy.csv", "");
        fs::create_dir_all(site.0.path().join("catalogs")).unwrap();
        site
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o644);
    }

    fn with(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    fn load(&self, environment: &Environment) -> Result<Config, ConfigErrors> {
        Config::load_with(&self.0.path().join("weir.toml"), environment, SOURCES)
    }

    /// The mistakes, with paths as they are inside the folder.
    fn mistakes(&self, environment: &Environment) -> Vec<String> {
        let errors = self.load(environment).expect_err("mistakes were expected");
        let folder = format!("{}/", self.0.path().display());
        errors.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn no_environment() -> Environment {
    Environment::default()
}

#[test]
fn the_shipped_file_says_the_same_as_an_empty_one() {
    let shipped = Site::new(include_str!("../../config/weir.toml"));
    let empty = Site::new("");
    let shown = |site: &Site| {
        let config = site.load(&no_environment()).unwrap();
        format!("{config:#?}").replace(&site.0.path().display().to_string(), "")
    };
    assert_eq!(shown(&shipped), shown(&empty));

    let config = empty.load(&no_environment()).unwrap();
    assert_eq!(config.postgres[0].address.to_string(), "127.0.0.1:5455");
    assert_eq!(config.flight[0].address.to_string(), "127.0.0.1:5456");
    assert_eq!(config.http[0].address.to_string(), "127.0.0.1:5457");
    assert_eq!(config.limits.query_timeout, Duration::from_secs(300));
    assert_eq!(config.limits.query_memory_bytes(), config.limits.memory / 100 * 25);
    assert_eq!(config.policy.policy, empty.0.path().join("policy/policy.csv"));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn defaults_need_no_files() {
    let config = Config::defaults_in(Path::new("/nowhere")).unwrap();
    assert_eq!(config.state.dir, Path::new("/nowhere/state"));
    assert_eq!(config.policy.model, Path::new("/nowhere/policy/model.conf"));
    assert!(config.catalogs.is_empty());
}

#[test]
fn sections_and_catalogs_become_types() {
    let site = Site::new(
        r#"
[[postgres]]
listen = "127.0.0.1:1"
[[postgres]]
listen = "[::1]:1"
tls_cert = "server.crt"
tls_key = "/dev/null"
require_tls = true
allowed_ips = ["10.0.0.0/8", "::1"]
[http]
listen = "off"
[limits]
memory = "1GiB"
query_memory = "256MiB"
max_tokens = 1_000
worker_threads = 3
spill_dir = "off"
[log]
level = "warn"
format = "json"
"#,
    )
    .with("server.crt", "")
    .with("pw", "hunter2 \r\n")
    .with("catalogs/lake.toml", "source = 'sample'\nurl = 'x://host/db'\nroot = '../data'\n")
    .with(
        "catalogs/sales.toml",
        "source = 'sample'\nurl = 'env:SALES_URL'\npassword = 'file:../pw'\nschemas = ['a']\n\
         query_timeout = '5m'\npool_size = 7\neager = true\n",
    )
    .with("catalogs/old.toml.example", "nonsense")
    .with("catalogs/.draft.toml", "nonsense");
    let environment = Environment::from([("SALES_URL", "x://u:p@host")]);
    let config = site.load(&environment).unwrap();

    assert_eq!(config.postgres.len(), 2);
    assert_eq!(config.postgres[0].tls, None);
    let tls = config.postgres[1].tls.as_ref().unwrap();
    assert_eq!(tls.cert, site.0.path().join("server.crt"));
    assert_eq!(tls.key, Path::new("/dev/null"));
    assert!(config.postgres[1].requires_tls);
    assert!(config.postgres[1].allowed_ips.allows("10.9.9.9".parse().unwrap()));
    assert!(!config.postgres[1].allowed_ips.allows("11.9.9.9".parse().unwrap()));
    assert!(config.http.is_empty());
    assert_eq!(config.limits.memory, 1 << 30);
    assert_eq!(config.limits.query_memory_bytes(), 256 << 20);
    assert_eq!(config.limits.max_tokens, 1000);
    assert_eq!(config.limits.worker_threads, 3);
    assert_eq!(config.limits.spill_dir, None);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Warn, LogFormat::Json));

    let [lake, sales] = &config.catalogs[..] else { panic!("two catalogs") };
    assert_eq!((lake.name.as_str(), lake.kind.name), ("lake", "sample"));
    assert_eq!(lake.options.path("root"), Some(&*site.0.path().join("catalogs/../data")));
    assert_eq!(lake.options.text("user"), Some("weir"));
    assert_eq!(lake.options.integer("pool_size"), Some(20));
    assert_eq!(lake.options.flag("eager"), Some(false));
    assert!(lake.options.secret("password").is_none());
    assert_eq!(sales.options.secret("url").unwrap().expose_secret(), "x://u:p@host");
    assert_eq!(sales.options.secret("password").unwrap().expose_secret(), "hunter2 ");
    assert_eq!(sales.options.list("schemas"), Some(&["a".to_owned()][..]));
    assert_eq!(sales.options.duration("query_timeout"), Some(Duration::from_secs(300)));
    assert_eq!(config.warnings.len(), 2, "an open key, an open secret: {:?}", config.warnings);
}

/// A spoilt `weir.toml`, and all that is said about it.
#[test]
fn each_mistake_names_its_line_what_was_found_and_what_was_expected() {
    const CASES: &[(&str, &[&str])] = &[
        (
            "[postgres]\nlistn = \"127.0.0.1:1\"\n",
            &["weir.toml:2: unknown key \"listn\" in [postgres] (did you mean \"listen\"?)"],
        ),
        (
            "[limit]\n",
            &["weir.toml:1: unknown section or key \"limit\" (did you mean \"limits\"?)"],
        ),
        (
            "query_timeout = '1s'\n",
            &["weir.toml:1: unknown section or key \"query_timeout\" (it is a key of [limits])"],
        ),
        (
            "[http]\n\nlisten = 'localhost:80'\n",
            &[
                "weir.toml:3: \"http.listen\": found \"localhost:80\", expected an IP address and a \
               port such as \"127.0.0.1:5455\", or \"off\"",
            ],
        ),
        (
            "[limits]\nquery_timeout = 300\nidle_timeout = '0s'\nmax_connections = 0\nmemory = '101%'\n\
             query_memory = '1GB'\nworker_threads = 'all'\n",
            &[
                "weir.toml:2: \"limits.query_timeout\": found 300, expected a duration such as \
                 \"250ms\", \"30s\", \"5m\" or \"1h\"",
                "weir.toml:3: \"limits.idle_timeout\": found \"0s\", expected more than nothing and \
                 at most a year",
                "weir.toml:4: \"limits.max_connections\": found 0, expected a whole number from 1 to \
                 100000",
                "weir.toml:5: \"limits.memory\": found \"101%\", expected a percentage from 1% to 100%",
                "weir.toml:6: \"limits.query_memory\": found \"1GB\", expected a part of \
                 limits.memory such as \"60%\", or a size such as \"4GiB\"",
                "weir.toml:7: \"limits.worker_threads\": found \"all\", expected \"auto\", or a whole \
                 number from 1 to 1024",
            ],
        ),
        (
            "[limits]\nmemory = '1MiB'\nquery_memory = '2MiB'\n",
            &[
                "weir.toml:3: \"limits.query_memory\": one statement may have more than all together \
               (\"limits.memory\" is 1048576 bytes)",
            ],
        ),
        (
            "[log]\nlevel = 'loud'\nformat = ['json']\n",
            &[
                "weir.toml:2: \"log.level\": found \"loud\", expected \"error\" or \"warn\" or \
                 \"info\" or \"debug\" or \"trace\"",
                "weir.toml:3: \"log.format\": found [\"json\"], expected \"text\" or \"json\"",
            ],
        ),
        (
            "[flight]\nallowed_ips = ['10.0.0.1/8']\n",
            &["weir.toml:2: \"flight.allowed_ips\": found [\"10.0.0.1/8\"], expected a list of \
               addresses or networks such as [\"10.0.0.0/8\", \"::1\"]"],
        ),
        (
            "[[postgres]]\nlisten = '127.0.0.1:1'\n[[postgres]]\nlisten = '0.0.0.0:1'\n[http]\nlisten \
             = '[::1]:1'\n",
            &["weir.toml:4: \"postgres.listen\": found \"0.0.0.0:1\", which another listener has \
               (\"127.0.0.1:1\" of weir.toml:2)"],
        ),
        (
            "[[postgres]]\nlisten = '127.0.0.1:0'\n[[postgres]]\nlisten = '127.0.0.1:0'\n[[log]]\n",
            &[
                "weir.toml:5: \"log\": found a list with something else than text, expected a section \
               [log]",
            ],
        ),
        (
            "[postgres]\ntls_cert = 'weir.toml'\n[flight]\ntls_client_ca = 'weir.toml'\n",
            &[
                "weir.toml:2: \"postgres.tls_cert\" is given without tls_key",
                "weir.toml:4: \"flight.tls_client_ca\" is given without tls_cert and tls_key",
            ],
        ),
        (
            "[postgres]\nrequire_tls = true\n[flight]\ntls_key = 'gone.key'\n",
            &[
                "weir.toml:2: \"postgres.require_tls\" is set, but there is no certificate (give \
                 tls_cert and tls_key)",
                "weir.toml:4: \"flight.tls_key\": there is no file \"gone.key\"",
            ],
        ),
        (
            "[catalogs]\ndir = 'gone'\n[policy]\nmodel = ''\n",
            &[
                "weir.toml:2: \"catalogs.dir\": can't read the folder \"gone\": No such file or \
                 directory (os error 2)",
                "weir.toml:4: \"policy.model\": found \"\", expected the path of a file",
            ],
        ),
        (
            "[log]\nlevel = 'info\n[limits]\nmax_depth = 1\nmax_nodes = \n",
            &[
                "weir.toml:2: invalid literal string, expected `'`",
                "weir.toml:4: \"limits.max_depth\": found 1, expected a whole number from 10 to 1000",
                "weir.toml:5: string values must be quoted, expected literal string",
            ],
        ),
        ("[log]\nlevel = 'info'\nlevel = 'warn'\n", &["weir.toml:3: duplicate key"]),
        (
            "[postgres]\nlisten = 'off'\n[flight]\nlisten = 'off'\n",
            &[
                "weir.toml: every door for queries is off, expected [postgres] or [flight] to listen",
            ],
        ),
        (
            "postgres = 5455\n",
            &[
                "weir.toml:1: \"postgres\": found 5455, expected a section [postgres] or [[postgres]]",
            ],
        ),
    ];
    for (text, expected) in CASES {
        assert_eq!(Site::new(text).mistakes(&no_environment()), *expected, "{text}");
    }
}

#[test]
fn mistakes_of_all_files_come_together() {
    let site = Site::new("[log]\nlevel = 'loud'\n[limits]\nmax_depth = 'deep'\n")
        .with("catalogs/a.toml", "source = 'smaple'\n")
        .with("catalogs/b.toml", "# nothing\n")
        .with("catalogs/c.toml", "source = 'sample'\n\npol_size = 1\npool_size = 101\n")
        .with("catalogs/Data-1.toml", "source = 'sample'\nurl = 'x://h'\n")
        .with("catalogs/d.toml", "source = 1\n")
        .with("catalogs/system.toml", "source = 'sample'\nurl = 'x://h'\ntls = 'on'\n");
    assert_eq!(
        site.mistakes(&Environment::from([("WEIR_LOG_FORMAT", "xml")])),
        [
            "catalogs/Data-1.toml: catalog name \"Data-1\" must be lower-case letters, digits and _, \
             must not start with a digit, and have at most 63 bytes (a catalog has the name of its \
             file)",
            "catalogs/a.toml:1: \"source\": found \"smaple\", expected \"sample\" (did you mean \
             \"sample\"?)",
            "catalogs/b.toml: there is no key \"source\", expected \"sample\"",
            "catalogs/c.toml: there is no key \"url\", which this source needs (Where it is.)",
            "catalogs/c.toml:3: unknown key \"pol_size\" (did you mean \"pool_size\"?)",
            "catalogs/c.toml:4: \"pool_size\": found 101, expected a whole number from 1 to 100",
            "catalogs/d.toml:1: \"source\": found 1, expected \"sample\"",
            "catalogs/system.toml: catalog name \"system\" is reserved (a catalog has the name of \
             its file)",
            "catalogs/system.toml:3: \"tls\": found \"on\", expected \"off\" or \"verify\"",
            "weir.toml:2: \"log.level\": found \"loud\", expected \"error\" or \"warn\" or \"info\" \
             or \"debug\" or \"trace\"",
            "weir.toml:4: \"limits.max_depth\": found \"deep\", expected a whole number from 10 to \
             1000",
            "environment variable WEIR_LOG_FORMAT: \"log.format\": found \"xml\", expected \"text\" \
             or \"json\"",
        ]
    );
}

#[test]
fn a_missing_file_is_one_mistake() {
    let errors = Config::load(Path::new("/nowhere/weir.toml")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/nowhere/weir.toml: can't read this file: No such file or directory (os error 2) \
         (--config names another)"
    );
}

#[test]
fn variables_override_keys() {
    let site = Site::new("[limits]\nquery_timeout = 'nonsense'\n");
    let config = site
        .load(&Environment::from([
            ("WEIR_LIMITS_QUERY_TIMEOUT", "9s"),
            ("WEIR_LIMITS_MAX_DEPTH", "77"),
            ("WEIR_POSTGRES_LISTEN", "127.0.0.1:9"),
            ("WEIR_POSTGRES_ALLOWED_IPS", "10.0.0.0/8, ::1"),
            ("WEIR_FLIGHT_LISTEN", "off"),
            // What Kubernetes sets for services called `weir` and `weir-postgres`.
            ("WEIR_SERVICE_HOST", "10.0.0.1"),
            ("WEIR_PORT", "tcp://10.0.0.1:5455"),
            ("WEIR_POSTGRES_SERVICE_PORT", "5455"),
            ("WEIR_POSTGRES_PORT_5455_TCP", "tcp://10.0.0.1:5455"),
        ]))
        .unwrap();
    assert_eq!(config.limits.query_timeout, Duration::from_secs(9));
    assert_eq!(config.limits.max_depth, 77);
    assert_eq!(config.postgres[0].address.port(), 9);
    assert!(config.postgres[0].allowed_ips.allows("::1".parse().unwrap()));
    assert!(!config.postgres[0].allowed_ips.allows("127.0.0.1".parse().unwrap()));
    assert!(config.flight.is_empty());
}

#[test]
fn a_variable_for_no_key_is_a_mistake_unless_a_secret_uses_it() {
    let site = Site::new("[[postgres]]\n[[postgres]]\nlisten = '127.0.0.1:1'\n")
        .with("catalogs/a.toml", "source = 'sample'\nurl = 'env:WEIR_POSTGRES_URL'\n");
    let environment = Environment::from([
        ("WEIR_LIMITS_QUERY_TIMEOT", "9s"),
        ("WEIR_LIMIT_MAX_DEPTH", "77"),
        ("WEIR_POSTGRES_LISTEN", "127.0.0.1:9"),
        ("WEIR_POSTGRES_URL", "x://h"),
        ("WEIR_HOME", "/srv"),
    ]);
    assert_eq!(
        site.mistakes(&environment),
        [
            "environment variable WEIR_LIMITS_QUERY_TIMEOT: there is no key for this variable (did \
             you mean \"WEIR_LIMITS_QUERY_TIMEOUT\"?)",
            "environment variable WEIR_LIMIT_MAX_DEPTH: there is no key for this variable (did you \
             mean \"WEIR_LIMITS_MAX_DEPTH\"?)",
            "environment variable WEIR_POSTGRES_LISTEN: there are several [[postgres]] that it could \
             mean",
        ]
    );
}

/// The mistake that a catalog `a` with these lines makes; `None`: none.
fn secret_mistake(lines: &str, mode: u32) -> Option<String> {
    let site = Site::new("")
        .with("empty", "\n")
        .with("catalogs/a.toml", &format!("source = 'sample'\n{lines}\n"));
    fs::write(site.0.path().join("binary"), [0xff, 0xfe]).unwrap();
    set_mode(&site.0.path().join("catalogs/a.toml"), mode);
    let environment = Environment::from([("EMPTY", "")]);
    site.load(&environment).is_err().then(|| site.mistakes(&environment).join("\n"))
}

#[test]
fn a_secret_that_cannot_be_had_is_explained() {
    const HOW: &str = "write \"env:NAME\" for an environment variable or \"file:PATH\" for a file";
    for (url, mode, expected) in [
        ("env:UNSET", 0o600, Some("environment variable UNSET is not set".to_owned())),
        ("env:EMPTY", 0o600, Some("environment variable EMPTY is empty".to_owned())),
        (
            "file:../gone",
            0o600,
            Some(
                "can't read secret file \"catalogs/../gone\": No such file or directory (os error 2)"
                    .to_owned(),
            ),
        ),
        ("file:../empty", 0o600, Some("secret file \"catalogs/../empty\" is empty".to_owned())),
        (
            "file:../binary",
            0o600,
            Some(
                "can't read secret file \"catalogs/../binary\": stream did not contain valid UTF-8"
                    .to_owned(),
            ),
        ),
        ("x://user@host/db", 0o644, None),
        ("x://user:hunter2@host/db", 0o600, None),
        (
            "x://user:hunter2@host/db",
            0o640,
            Some(format!(
                "a secret is written out in a file that others can read ({HOW}, or make the file \
                 yours alone: chmod 600)"
            )),
        ),
    ] {
        let expected = expected.map(|message| format!("catalogs/a.toml:2: \"url\": {message}"));
        assert_eq!(secret_mistake(&format!("url = '{url}'"), mode), expected, "{url}");
    }
}

#[test]
fn the_key_of_masks_is_a_long_secret_or_made() {
    let long = "0123456789abcdef0123456789abcdef";
    let environment = Environment::from([("LONG", long), ("SHORT", &long[1..])]);
    for (written, expected) in [
        ("auto", Ok(false)),
        ("env:LONG", Ok(true)),
        ("env:SHORT", Err("a key has at least 32 characters")),
        ("env:NONE", Err("environment variable NONE is not set")),
        (long, Err("a secret is written out in a file that others can read")),
    ] {
        let site = Site::new(&format!("[policy]\nmask_key = \"{written}\"\n"));
        match (site.load(&environment), expected) {
            (Ok(config), Ok(is_given)) => {
                assert_eq!(config.policy.mask_key.is_some(), is_given, "{written}");
            }
            (Err(errors), Err(expected)) => {
                assert!(errors.to_string().contains(expected), "{written}: {errors}");
            }
            (found, _) => panic!("{written}: {found:?}"),
        }
    }
}

#[test]
fn no_report_and_no_debug_output_shows_a_secret() {
    const CANARY: &str = "hunter2-canary";
    // Loads well, mostly: then the configuration itself is searched.
    let lines = [
        "url = 'x://user:CANARY@host'",
        "url = 'env:SECRET'",
        "url = 'file:../secret'",
        "url = 'x://h'\npassword = 'CANARY'",
        "url = 'x://h'\npassword = 'CANARY'\npool_size = 1000",
        "url = 'x://h'\npassword = ['CANARY']",
        "url = 'x://h'\npassword = { value = 'CANARY' }",
        "url = 'x://h'\npassword = 'CANARY",
        "url = 'x://h'\npassword = CANARY",
        "url = 'x://h'\npassword = \"CANARY\\q\"",
        "url = 'x://h'\npassword 'CANARY'",
        "url = 'x://h'\npassword = '''CANARY\n\n",
        "url = 'x://h'\npassword = 'CANARY' 'CANARY'",
        "url = 'x://h'\npassword = 'a'\npassword = 'CANARY'",
        "url = 'x://h'\npasword = 'CANARY'",
        "url = 'x://h'\nuser = 'x://user:CANARY@host'",
        "url = 'x://h'\nschemas = 'x://user:CANARY@host'",
        "url = 'x://h'\nschemas = ['a', 'x://user:CANARY@host']",
        "url = 'x://h'\nquery_timeout = 'password=CANARY'",
        "url = 'x://h'\npool_size = ['x://user:CANARY@host']",
        "url = 'x://h'\ntls = 'x://user:CANARY@host'",
        "url = 'x://h'\nuser = 'host=h password=CANARY'",
    ];
    let environment = Environment::from([("SECRET", CANARY)]);
    for line in lines {
        for mode in [0o600, 0o644] {
            let line = line.replace("CANARY", CANARY);
            let text = format!("source = 'sample'\n{line}\n");
            let site = Site::new("").with("secret", CANARY).with("catalogs/a.toml", &text);
            set_mode(&site.0.path().join("catalogs/a.toml"), mode);
            let (display, debug) = match site.load(&environment) {
                Ok(config) => (config.warnings.join("\n"), format!("{config:?}")),
                Err(errors) => (errors.to_string(), format!("{errors:?}")),
            };
            assert!(!display.contains("canary"), "{line} ({mode:o}): {display}");
            assert!(!debug.contains("canary"), "{line} ({mode:o}): {debug}");
        }
    }
}

#[test]
fn an_open_door_is_a_warning() {
    let site = Site::new(
        "[postgres]\nlisten = '0.0.0.0:1'\n[flight]\nlisten = '0.0.0.0:2'\n[http]\nlisten = \
         '0.0.0.0:3'\n",
    );
    assert_eq!(site.load(&no_environment()).unwrap().warnings.len(), 3);
}

#[test]
fn the_command_line_can_make_a_catalog() {
    let make = |settings: &[(&str, &str)]| {
        CatalogConfig::from_settings(&no_environment(), SOURCES, "live", "sample", settings)
    };
    let catalog = make(&[("url", "x://user:hunter2@host"), ("pool_size", "3")]).unwrap();
    assert_eq!(catalog.options.secret("url").unwrap().expose_secret(), "x://user:hunter2@host");
    assert_eq!(catalog.options.integer("pool_size"), Some(3));
    assert_eq!(catalog.options.text("user"), Some("weir"));
    assert!(!format!("{catalog:?}").contains("hunter2"));

    for (settings, expected) in [
        (
            &[("pool_size", "many")][..],
            "command line: \"pool_size\": found \"many\", expected a whole number from 1 to 100\n\
             command line: there is no key \"url\", which this source needs (Where it is.)",
        ),
        (
            &[("url", "x://h"), ("sped", "1")],
            "command line: unknown key \"sped\" of source \"sample\"",
        ),
    ] {
        assert_eq!(make(settings).unwrap_err().to_string(), expected);
    }
    let catalog = CatalogConfig::from_settings(&no_environment(), SOURCES, "Live", "smple", &[]);
    assert_eq!(catalog.unwrap_err().mistakes().len(), 2);
}

/// A source's own defaults are written as TOML and must be of their kind.
#[test]
fn the_defaults_of_every_source_can_be_read() {
    for kind in weir_catalogs::SOURCES {
        let required: Vec<_> = kind.options.iter().filter(|option| option.required).collect();
        let text: String = required
            .iter()
            .map(|option| {
                let value = match option.kind {
                    OptionKind::Word(words) => format!("'{}'", words[0]),
                    OptionKind::List => "[]".to_owned(),
                    OptionKind::Duration => "'1s'".to_owned(),
                    OptionKind::Integer { min, .. } => min.to_string(),
                    OptionKind::Flag => "true".to_owned(),
                    OptionKind::Text | OptionKind::Secret | OptionKind::Path => {
                        "'x://host'".to_owned()
                    }
                };
                format!("{} = {value}\n", option.name)
            })
            .collect();
        let site =
            Site::new("").with("catalogs/a.toml", &format!("source = '{}'\n{text}", kind.name));
        let path = site.0.path().join("weir.toml");
        let config = Config::load_with(&path, &no_environment(), weir_catalogs::SOURCES);
        assert!(config.is_ok(), "{}: {config:?}", kind.name);
    }
}

/// A newcomer copies one of these.
#[test]
fn the_examples_of_catalogs_can_be_loaded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/catalogs");
    let mut sources: Vec<_> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(file) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".example")
        else {
            continue;
        };
        let site =
            Site::new("").with(&format!("catalogs/{file}"), &fs::read_to_string(&path).unwrap());
        let config = Config::load_with(
            &site.0.path().join("weir.toml"),
            &Environment::from([("SALES_PASSWORD", "secret")]),
            weir_catalogs::SOURCES,
        );
        sources.push(config.unwrap().catalogs[0].kind.name);
    }
    let mut known: Vec<_> = weir_catalogs::SOURCES.iter().map(|kind| kind.name).collect();
    sources.sort();
    known.sort();
    assert_eq!(sources, known, "each source has an example");
}
