//! Finds the secret behind `env:NAME` and `file:PATH`.
//!
//! Invariant: nothing here puts a secret, or a text that may be one, into a message.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    environment::NoValue,
    found::Found,
    kinds::{Kind, Refusal},
    reader::Reader,
};

/// Text that is never printed.
pub(super) struct Secret;

/// The word `"auto"`, or a secret of which a key can be made.
pub(super) struct GeneratedKey;

/// Text that may be printed, so that it must not hold a password.
pub(super) struct PlainText;

const HOW: &str = "write \"env:NAME\" for an environment variable or \"file:PATH\" for a file";

impl Kind for Secret {
    type Value = SecretString;

    fn expected(&self) -> String {
        "a secret".to_owned()
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<SecretString, Refusal> {
        let Some(text) = found.text() else {
            return Err(Refusal::because("expected text").with_hint(HOW));
        };
        if let Some(name) = text.strip_prefix("env:") {
            return from_environment(name, reader);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return from_file(&found.file.folder().join(path), reader);
        }
        let is_plain_address = text.contains("://") && !may_hold_password(text);
        if is_plain_address || found.file.is_private {
            return Ok(text.into());
        }
        Err(Refusal::because("a secret is written out in a file that others can read")
            .with_hint(format!("{HOW}, or make the file yours alone: chmod 600")))
    }
}

impl Kind for GeneratedKey {
    type Value = Option<SecretString>;

    fn expected(&self) -> String {
        "a secret, or \"auto\"".to_owned()
    }

    fn read(&self, found: &Found<'_>, reader: &mut Reader<'_>) -> Result<Self::Value, Refusal> {
        const FEWEST_BYTES: usize = 32;
        if found.text() == Some("auto") {
            return Ok(None);
        }
        let secret = Secret.read(found, reader)?;
        if secret.expose_secret().len() < FEWEST_BYTES {
            return Err(Refusal::because(format!("a key has at least {FEWEST_BYTES} characters"))
                .with_hint("make one, such as by: openssl rand -hex 32"));
        }
        Ok(Some(secret))
    }
}

impl Kind for PlainText {
    type Value = String;

    fn expected(&self) -> String {
        "text".to_owned()
    }

    fn read(&self, found: &Found<'_>, _: &mut Reader<'_>) -> Result<String, Refusal> {
        let text = found.text().ok_or(Refusal::Unexpected)?;
        if may_hold_password(text) {
            return Err(Refusal::because("this text is not kept secret, and holds a password")
                .with_hint("give the password in a key of its own"));
        }
        Ok(text.to_owned())
    }
}

fn from_environment(name: &str, reader: &mut Reader<'_>) -> Result<SecretString, Refusal> {
    reader.secret_variables.insert(name.to_owned());
    match reader.environment.get(name) {
        Ok("") => Err(Refusal::because(format!("environment variable {name} is empty"))),
        Ok(value) => Ok(value.into()),
        Err(NoValue::Unset) => {
            Err(Refusal::because(format!("environment variable {name} is not set")))
        }
        Err(NoValue::NotUnicode) => {
            Err(Refusal::because(format!("environment variable {name} is not valid Unicode")))
        }
    }
}

fn from_file(path: &Path, reader: &mut Reader<'_>) -> Result<SecretString, Refusal> {
    let shown = path.display();
    let text = read_short(path).map_err(|error| {
        Refusal::because(format!("can't read secret file \"{shown}\": {error}"))
    })?;
    // The newline that editors and `echo` add, and no more: a secret may end in a space.
    let secret =
        text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() {
        return Err(Refusal::because(format!("secret file \"{shown}\" is empty")));
    }
    warn_if_open(path, reader);
    Ok(secret.into())
}

/// Secrets that an orchestrator mounts are often open to all, so that this is no mistake.
pub(super) fn warn_if_open(path: &Path, reader: &mut Reader<'_>) {
    if permissions(path).is_some_and(|mode| mode & 0o007 != 0) {
        reader.warnings.push(format!(
            "every user of this machine can read the secret file \"{}\": chmod o= it",
            path.display()
        ));
    }
}

/// Reads a file of text that nobody has a reason to make large.
pub(super) fn read_short(path: &Path) -> io::Result<String> {
    const MOST_BYTES: u64 = 1 << 20;
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(text)
}

/// Whether nobody but its owner can read a file.
pub(super) fn is_private(path: &Path) -> bool {
    permissions(path).is_none_or(|mode| mode & 0o077 == 0)
}

/// `None` where files have no such modes.
#[cfg(unix)]
fn permissions(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    // A file that can't be looked at counts as open to all.
    Some(fs::metadata(path).map_or(0o777, |metadata| metadata.permissions().mode()))
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<u32> {
    None
}

/// Whether a text looks as if it held a password: in an address (`//user:password@host`), in its
/// parameters, or among settings (`host=h password=p`). In doubt, it does.
pub(super) fn may_hold_password(text: &str) -> bool {
    const TELLTALES: &[&str] =
        &["password", "passwd", "pwd", "secret", "token", "key", "signature"];
    let assigns = |part: &str| {
        let name = part.split_once('=').map(|(name, _)| name.trim().to_lowercase());
        name.is_some_and(|name| TELLTALES.iter().any(|telltale| name.ends_with(telltale)))
    };
    if text.replace(" =", "=").split(['?', '&', ';', ' ', ',']).any(assigns) {
        return true;
    }
    let Some((_, address)) = text.split_once("://") else {
        return false;
    };
    match Url::parse(text) {
        // An `@` that the parser does not take for the end of a user's name hides a password too.
        Ok(url) => url.password().is_some() || (url.username().is_empty() && text.contains('@')),
        Err(_) => address.contains('@'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_seen_wherever_it_hides() {
        for (text, expected) in [
            ("postgres://reader@db:5432/sales", false),
            ("postgres://db:5432/sales", false),
            ("postgres://reader@db/sales?sslmode=require&application_name=weir", false),
            ("s3://bucket/folder", false),
            ("public", false),
            ("a note, with an = sign", false),
            ("postgres://reader:hunter2@db:5432/sales", true),
            ("postgres://reader:@db/sales", false),
            ("postgres://:hunter2@db/sales", true),
            ("postgres://reader:hun/ter2@db:5432/sales", true),
            ("postgres://reader:hun#ter2@db/sales", true),
            ("postgres://reader@db/sales?password=hunter2", true),
            ("postgres://reader@db/sales?sslmode=require&PASSWORD=hunter2", true),
            ("host=db user=reader password=hunter2", true),
            ("host=db password = hunter2", true),
            ("Server=db;Pwd=hunter2", true),
            ("https://store/x?sig_token=hunter2", true),
            ("AccountName=a;AccountKey=hunter2", true),
        ] {
            assert_eq!(may_hold_password(text), expected, "{text}");
        }
    }
}
