//! `weir user`: the users of a state folder. A running weir sees a change within a second.

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    auth::{User, UserName, UserStore},
    cli::UserCommand,
    error::{Error, ErrorKind, Result},
};

const LEAST_CHARACTERS: usize = 8;
const MOST_BYTES: u64 = 1024;

/// Does what the command says. `password` is asked only when the command needs one.
pub fn run(
    command: UserCommand,
    store: &UserStore,
    password: impl FnOnce(&UserName) -> Result<SecretString>,
    out: &mut dyn Write,
) -> Result<()> {
    let said = match command {
        UserCommand::Add { name, roles, tenant, attributes, .. } => {
            // Before anybody types a password for nothing.
            if store.find(name.as_str())?.is_some() {
                return Err(Error::new(
                    ErrorKind::DuplicateObject,
                    format!("user \"{name}\" already exists"),
                ));
            }
            let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (key, value) in attributes {
                grouped.entry(key).or_default().push(value);
            }
            let password = checked(password(&name)?)?;
            store.add(User::new(name.clone(), roles, tenant, grouped, &password)?)?;
            format!("added user \"{name}\"\n")
        }
        UserCommand::List { .. } => table(store)?,
        UserCommand::Passwd { name, .. } => {
            if store.find(name.as_str())?.is_none() {
                return Err(Error::new(
                    ErrorKind::UndefinedObject,
                    format!("user \"{name}\" does not exist"),
                ));
            }
            store.set_password(&name, &checked(password(&name)?)?)?;
            format!("changed the password of user \"{name}\"\n")
        }
        UserCommand::Remove { name, .. } => {
            store.remove(&name)?;
            format!("removed user \"{name}\"\n")
        }
    };
    out.write_all(said.as_bytes()).map_err(Error::internal)
}

/// Reads a password: one line, whose end is not part of it.
pub fn read_password(input: impl BufRead) -> Result<SecretString> {
    let mut line = String::new();
    input
        .take(MOST_BYTES + 1)
        .read_line(&mut line)
        .map_err(|_| invalid("the password could not be read, or is not UTF-8"))?;
    if line.len() as u64 > MOST_BYTES {
        return Err(invalid("the password is longer than 1024 bytes"));
    }
    let password = line.strip_suffix('\n').unwrap_or(&line);
    Ok(password.strip_suffix('\r').unwrap_or(password).into())
}

fn checked(password: SecretString) -> Result<SecretString> {
    if password.expose_secret().chars().count() < LEAST_CHARACTERS {
        return Err(invalid("the password is too short")
            .with_hint(format!("It needs at least {LEAST_CHARACTERS} characters.")));
    }
    Ok(password)
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}

/// One line for each user, in columns.
fn table(store: &UserStore) -> Result<String> {
    let users = store.list()?;
    if users.is_empty() {
        return Ok("there are no users yet: see weir user add --help\n".to_owned());
    }
    let mut rows = vec![["NAME", "TENANT", "ROLES", "ATTRIBUTES"].map(str::to_owned)];
    rows.extend(users.iter().map(|user| {
        let roles: Vec<_> = user.roles.iter().map(ToString::to_string).collect();
        let attributes = user.attributes.iter().map(|(key, values)| {
            // Values are anybody's text; a terminal must not obey it.
            format!("{}={}", key.escape_debug(), values.join(",").escape_debug())
        });
        let mut attributes: Vec<_> = attributes.collect();
        if user.is_disabled {
            attributes.push("(disabled)".to_owned());
        }
        [user.name.to_string(), user.tenant.to_string(), roles.join(","), attributes.join(" ")]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    let lines = rows.iter().map(|[name, tenant, roles, attributes]| {
        let [first, second, third] = widths;
        let line = format!("{name:first$}  {tenant:second$}  {roles:third$}  {attributes}");
        format!("{}\n", line.trim_end())
    });
    Ok(lines.collect())
}
