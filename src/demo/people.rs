use std::{collections::BTreeMap, path::Path};

use secrecy::{ExposeSecret, SecretString};

use super::new_password;
use crate::{
    auth::{RoleName, TenantName, User, UserName, UserStore, private_file},
    error::{Error, ErrorKind, Result},
};

/// Holds the passwords in clear text, for the owner alone: the lines that are printed must work at
/// every start.
const FILE: &str = "demo-passwords.json";
const TENANT: &str = "demo";

struct Profile {
    name: &'static str,
    role: &'static str,
    regions: &'static [&'static str],
    sees: &'static str,
}

const PROFILES: [Profile; 3] = [
    Profile {
        name: "analyst",
        role: "analyst",
        regions: &[],
        sees: "everything; e-mail addresses and phone numbers are masked",
    },
    Profile {
        name: "manager_eu",
        role: "manager",
        regions: &["EU"],
        sees: "everything in retail, but of the sales only region EU",
    },
    Profile {
        name: "chatbot",
        role: "chatbot",
        regions: &[],
        sees: "products, stores, and sales without customer_id",
    },
];

/// A sample user.
#[derive(Debug)]
pub struct Person {
    pub name: &'static str,
    pub password: SecretString,
    pub sees: &'static str,
}

/// The sample users; the first sees the most.
#[derive(Debug)]
pub struct People(pub [Person; 3]);

impl People {
    /// Makes users and passwords at the first start. Later a password that was changed otherwise is
    /// set back, so that what is printed is true.
    pub fn settle(state: &Path) -> Result<Self> {
        let passwords = passwords(&state.join(FILE))?;
        let store = UserStore::open(state)?;
        let people = PROFILES.each_ref().map(|profile| Person {
            name: profile.name,
            password: passwords.get(profile.name).map_or_else(new_password, |p| p.as_str().into()),
            sees: profile.sees,
        });
        save(&state.join(FILE), &passwords, &people)?;
        for (profile, person) in PROFILES.iter().zip(&people) {
            let name = UserName::parse(profile.name)?;
            if store.find(profile.name)?.is_some() {
                store.set_password(&name, &person.password)?;
                continue;
            }
            let regions: Vec<_> = profile.regions.iter().map(|region| (*region).into()).collect();
            let attributes = match regions.is_empty() {
                true => BTreeMap::new(),
                false => BTreeMap::from([("regions".to_owned(), regions)]),
            };
            let roles = vec![RoleName::parse(profile.role)?];
            let tenant = TenantName::parse(TENANT)?;
            store.add(User::new(name, roles, tenant, attributes, &person.password)?)?;
        }
        Ok(Self(people))
    }
}

fn passwords(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    // What the parser says may quote the file.
    serde_json::from_slice(&private_file::read(path)?).map_err(|_| {
        Error::new(ErrorKind::Config, format!("{path:?} is not a list of passwords"))
            .with_hint("Remove it: new passwords are made then.")
    })
}

fn save(path: &Path, before: &BTreeMap<String, String>, people: &[Person; 3]) -> Result<()> {
    let now: BTreeMap<String, String> = people
        .iter()
        .map(|person| (person.name.to_owned(), person.password.expose_secret().to_owned()))
        .collect();
    if now == *before {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec_pretty(&now).map_err(Error::internal)?;
    bytes.push(b'\n');
    private_file::replace(path, &bytes)
}
