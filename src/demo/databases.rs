//! Databases from the command line, as catalogs.
//!
//! Invariant: no message quotes an address, which may hold a password.

use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};
use weir_catalogs::CatalogName;

use super::{RETAIL, refused};
use crate::{
    config::CatalogConfig,
    error::{Error, ErrorKind, Result},
};

/// A catalog's name has no more bytes.
const MOST_BYTES: usize = 63;

/// One catalog for each address, named after its database.
pub fn catalogs(urls: &[SecretString]) -> Result<Vec<CatalogConfig>> {
    let mut taken = vec![RETAIL.to_owned()];
    urls.iter()
        .enumerate()
        .map(|(index, url)| {
            let place = format!("--postgres-url number {}", index + 1);
            let address = Address::parse(url).ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("{place} is not an address"))
                    .with_hint("It looks like postgres://user:password@host:5432/database.")
            })?;
            let name = unique(&address.database, &taken);
            taken.push(name.clone());
            let mut settings = vec![("url", address.url.as_str())];
            if let Some(password) = &address.password {
                settings.push(("password", password.expose_secret()));
            }
            if let Some(tls) = &address.tls {
                settings.push(("tls", tls));
            }
            CatalogConfig::new(&name, "postgres", &settings).map_err(|errors| {
                let error = refused(errors);
                Error { message: format!("{place}: {}", error.message), ..error }
            })
        })
        .collect()
}

/// An address whose secret and TLS setting are taken out, for they have keys of their own.
struct Address {
    url: String,
    password: Option<SecretString>,
    tls: Option<String>,
    database: String,
}

impl Address {
    fn parse(url: &SecretString) -> Option<Self> {
        let mut url = Url::parse(url.expose_secret()).ok()?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return None;
        }
        let password = url.password().map(decoded).map(SecretString::from);
        // Fails where there is no host, which then has no password either.
        if password.is_some() {
            url.set_password(None).ok()?;
        }
        let mut tls = None;
        let mut rest = Vec::new();
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => tls = Some(value.into_owned()),
                _ => rest.push((key.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
        let database = match url.path().trim_matches('/') {
            "" => decoded(url.username()),
            path => decoded(path),
        };
        Some(Self { url: url.into(), password, tls, database })
    }
}

/// Undoes `%40` and the like.
fn decoded(text: &str) -> String {
    // The form's own signs are plain here.
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// A name for a catalog that is not taken, as near to the database's as can be.
fn unique(database: &str, taken: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut base: String = database
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if is_plain(c) { c } else { '_' })
        // Room for what is added below.
        .take(MOST_BYTES - 8)
        .collect();
    if !base.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
        base.insert(0, '_');
    }
    if CatalogName::parse(&base).is_err() {
        base.push_str("_db");
    }
    let numbered = (2..).map(|number| format!("{base}_{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_database_gives_its_catalog_a_valid_and_unique_name() {
        for (database, taken, expected) in [
            ("sales", &[][..], "sales"),
            ("Sales-2024", &[], "sales_2024"),
            ("2024", &[], "_2024"),
            ("", &[], "_"),
            ("weir", &[], "weir_db"),
            ("public", &[], "public_db"),
            ("Ünï", &[], "_n_"),
            ("retail", &["retail"], "retail_2"),
            ("sales", &["sales", "sales_2"], "sales_3"),
        ] {
            let taken: Vec<_> = taken.iter().map(|name: &&str| (*name).to_owned()).collect();
            let name = unique(database, &taken);
            assert_eq!(name, expected, "{database}");
            CatalogName::parse(&name).unwrap();
        }
        CatalogName::parse(&unique(&"x".repeat(200), &[])).unwrap();
    }

    #[test]
    fn an_address_gives_its_secret_away_to_the_key_for_secrets_only() {
        for (url, plain, password, tls, database) in [
            ("postgres://a@h/x", "postgres://a@h/x", None, None, "x"),
            ("postgres://a:hunter2@h:5/x", "postgres://a@h:5/x", Some("hunter2"), None, "x"),
            ("postgresql://a:p%40+&=%2F@h/x", "postgresql://a@h/x", Some("p@+&=/"), None, "x"),
            (
                "postgres://a:b@h/x?sslmode=require",
                "postgres://a@h/x",
                Some("b"),
                Some("require"),
                "x",
            ),
            (
                "postgres://a@h/x?sslmode=disable&host=%2Frun",
                "postgres://a@h/x?host=%2Frun",
                None,
                Some("disable"),
                "x",
            ),
            ("postgres://reader@h", "postgres://reader@h", None, None, "reader"),
            ("postgres:///x?host=/run&user=a", "postgres:///x?host=%2Frun&user=a", None, None, "x"),
        ] {
            let address = Address::parse(&url.to_owned().into()).unwrap();
            assert_eq!(address.url, plain);
            assert_eq!(address.password.as_ref().map(ExposeSecret::expose_secret), password);
            assert_eq!(address.tls.as_deref(), tls);
            assert_eq!(address.database, database);
        }
    }

    #[test]
    fn addresses_become_catalogs_or_messages_without_them() {
        let urls = |urls: &[&str]| -> Vec<SecretString> {
            urls.iter().map(|url| (*url).to_owned().into()).collect()
        };
        let two = catalogs(&urls(&["postgres://a:hunter2@h/x", "postgres://b@g/x"])).unwrap();
        let names: Vec<_> = two.iter().map(|catalog| catalog.name.as_str()).collect();
        assert_eq!(names, ["x", "x_2"]);
        assert!(!format!("{two:?}").contains("hunter2"));
        for wrong in [
            "hunter2",
            "mysql://a:hunter2@h/x",
            "host=h password=hunter2",
            "postgres://a:hunter2@h/x?sslmode=never",
            "postgres://a@h/x?password=hunter2",
        ] {
            let error = catalogs(&urls(&["postgres://b@g/x", wrong])).unwrap_err();
            assert!(error.message.contains("--postgres-url number 2"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{wrong}: {error:?}");
        }
    }
}
