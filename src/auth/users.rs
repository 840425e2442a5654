//! The users, in `users.json` of the state folder.
//!
//! Invariant: a login is judged by the file as it is now (at most [`RECHECK`] old). A file that
//! can't be read or understood stops every login; the users of yesterday are not an answer.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Principal, RoleName, TenantName, UserName, private_file, scram::Verifier};
use crate::error::{Error, ErrorKind, Result};

const FORMAT_VERSION: u32 = 1;
/// How long a look at the file's change time holds.
const RECHECK: Duration = Duration::from_secs(1);

/// A user as the state folder keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: UserName,
    #[serde(default)]
    pub roles: Vec<RoleName>,
    pub tenant: TenantName,
    /// What row filters may ask for.
    #[serde(default)]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// A disabled user keeps its record and can't log in.
    #[serde(default, rename = "disabled")]
    pub is_disabled: bool,
    verifier: Verifier,
}

impl User {
    pub fn new(
        name: UserName,
        roles: Vec<RoleName>,
        tenant: TenantName,
        attributes: BTreeMap<String, Vec<String>>,
        password: &SecretString,
    ) -> Result<Self> {
        let verifier = new_verifier(password)?;
        Ok(Self { name, roles, tenant, attributes, is_disabled: false, verifier })
    }

    pub fn principal(&self) -> Principal {
        Principal {
            name: self.name.clone(),
            roles: self.roles.clone(),
            tenant: self.tenant.clone(),
            attributes: self.attributes.clone(),
        }
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

fn new_verifier(password: &SecretString) -> Result<Verifier> {
    let password_text = password.expose_secret();
    if password_text.is_empty() || password_text.contains('\0') {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            "a password must not be empty and must not contain a null character",
        ));
    }
    Ok(Verifier::new(password))
}

/// The users of a state folder; several processes may have it open.
#[derive(Debug)]
pub struct UserStore {
    path: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    users: Arc<Users>,
    stamp: Stamp,
    checked: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Users {
    mock_secret: Vec<u8>,
    by_name: BTreeMap<UserName, Arc<User>>,
}

/// Changes whenever the file is replaced or edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The file's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// Makes the salts that unknown users are asked with; it must outlive a restart, or salts that
    /// change would tell them apart.
    mock_secret: String,
    users: Vec<User>,
}

impl UserStore {
    /// Opens the store of a state folder; the first time makes the folder and an empty store.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(folder)
            .map_err(|error| private_file::io_error("could not create", folder, error))?;
        let path = folder.join("users.json");
        if !path.exists() {
            let _lock = lock(&path)?;
            // Another process may have been first.
            if !path.exists() {
                let mock_secret: [u8; 32] = rand::random();
                save(&path, &Users { mock_secret: mock_secret.into(), by_name: BTreeMap::new() })?;
            }
        }
        let (users, stamp) = load(&path)?;
        let cache = Cache { users: Arc::new(users), stamp, checked: Some(Instant::now()) };
        Ok(Self { path, cache: Mutex::new(cache) })
    }

    /// All users by name.
    pub fn list(&self) -> Result<Vec<Arc<User>>> {
        Ok(self.users()?.by_name.values().cloned().collect())
    }

    /// The user with this name; a name that no user can have is nobody's.
    pub fn find(&self, name: &str) -> Result<Option<Arc<User>>> {
        let users = self.users()?;
        Ok(UserName::parse(name).ok().and_then(|name| users.by_name.get(&name).cloned()))
    }

    /// What a client that claims to be `name` is asked with: the user's verifier, or one that looks
    /// like it and that nothing matches. Both cost the
    /// same, except for a verifier of other iterations that was brought from elsewhere.
    pub(super) fn verifier(&self, name: &str) -> Result<Verifier> {
        let mock = Verifier::mock(&self.users()?.mock_secret, name);
        Ok(self.find(name)?.map_or(mock, |user| user.verifier.clone()))
    }

    pub fn add(&self, user: User) -> Result<()> {
        self.change(|users| {
            if users.contains_key(&user.name) {
                return Err(Error::new(
                    ErrorKind::DuplicateObject,
                    format!("user \"{}\" already exists", user.name),
                ));
            }
            users.insert(user.name.clone(), Arc::new(user));
            Ok(())
        })
    }

    pub fn set_password(&self, name: &UserName, password: &SecretString) -> Result<()> {
        let verifier = new_verifier(password)?;
        self.change_user(name, |user| user.verifier = verifier)
    }

    pub fn set_disabled(&self, name: &UserName, is_disabled: bool) -> Result<()> {
        self.change_user(name, |user| user.is_disabled = is_disabled)
    }

    pub fn remove(&self, name: &UserName) -> Result<()> {
        self.change(|users| users.remove(name).map(drop).ok_or_else(|| missing(name)))
    }

    fn change_user(&self, name: &UserName, change: impl FnOnce(&mut User)) -> Result<()> {
        self.change(|users| {
            let user = users.get_mut(name).ok_or_else(|| missing(name))?;
            change(Arc::make_mut(user));
            Ok(())
        })
    }

    /// Changes the file as it is now, alone among all processes.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<UserName, Arc<User>>) -> Result<()>,
    ) -> Result<()> {
        let _lock = lock(&self.path)?;
        let (mut users, _) = load(&self.path)?;
        change(&mut users.by_name)?;
        save(&self.path, &users)?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).checked = None;
        Ok(())
    }

    /// The users, read again when the file has changed.
    fn users(&self) -> Result<Arc<Users>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.checked.is_some_and(|checked| checked.elapsed() < RECHECK) {
            return Ok(Arc::clone(&cache.users));
        }
        // Noted only when all went well: after a failure the next login looks again.
        let now = Instant::now();
        if stamp(&self.path)? != cache.stamp {
            let (users, stamp) = load(&self.path)?;
            cache.users = Arc::new(users);
            cache.stamp = stamp;
        }
        cache.checked = Some(now);
        Ok(Arc::clone(&cache.users))
    }
}

fn missing(name: &UserName) -> Error {
    Error::new(ErrorKind::UndefinedObject, format!("user \"{name}\" does not exist"))
}

/// The stamp is taken first: a change in between is seen at the next look.
fn load(path: &Path) -> Result<(Users, Stamp)> {
    let stamp = stamp(path)?;
    let bytes = private_file::read(path)?;
    let invalid = |what: String| Error::new(ErrorKind::Config, format!("invalid {path:?}: {what}"));

    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } =
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    if version != FORMAT_VERSION {
        return Err(invalid(format!("unknown format version {version}"))
            .with_hint("It was written by another version of weir."));
    }
    let document: Document =
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let mock_secret = BASE64
        .decode(&document.mock_secret)
        .ok()
        .filter(|secret| secret.len() >= 32)
        .ok_or_else(|| invalid("mock_secret is not 32 bytes in base64".into()))?;
    let mut by_name = BTreeMap::new();
    for user in document.users {
        if let Some(user) = by_name.insert(user.name.clone(), Arc::new(user)) {
            return Err(invalid(format!("user \"{}\" occurs twice", user.name)));
        }
    }
    Ok((Users { mock_secret, by_name }, stamp))
}

fn save(path: &Path, users: &Users) -> Result<()> {
    let document = Document {
        version: FORMAT_VERSION,
        mock_secret: BASE64.encode(&users.mock_secret),
        users: users.by_name.values().map(|user| User::clone(user)).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&document).map_err(Error::internal)?;
    bytes.push(b'\n');
    private_file::replace(path, &bytes)
}

fn stamp(path: &Path) -> Result<Stamp> {
    let metadata = fs::metadata(path)
        .map_err(|error| private_file::io_error("could not read", path, error))?;
    Ok(Stamp {
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Waits for the right to write; it ends with the handle, also when the process dies.
fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("lock");
    let failed = |error| private_file::io_error("could not lock", &path, error);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// A store with these users, all in role `analyst` of tenant `acme`.
    pub(crate) fn store(users: &[(&str, &str)]) -> (TempDir, UserStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = UserStore::open(folder.path()).unwrap();
        users.iter().for_each(|(name, password)| store.add(user(name, password)).unwrap());
        (folder, store)
    }

    fn user(name: &str, password: &str) -> User {
        User::new(
            UserName::parse(name).unwrap(),
            vec![RoleName::parse("analyst").unwrap()],
            TenantName::parse("acme").unwrap(),
            BTreeMap::from([("regions".into(), vec!["EU".into(), "US".into()])]),
            &password.to_owned().into(),
        )
        .unwrap()
    }

    /// Makes the next look read the file, as a second's wait would.
    fn forget(store: &UserStore) {
        store.cache.lock().unwrap().checked = None;
    }

    #[test]
    fn users_survive_a_restart() {
        let (folder, store) = store(&[("alice", "pencil"), ("bob", "paper")]);
        let alice = UserName::parse("alice").unwrap();
        assert_eq!(store.add(user("alice", "x")).unwrap_err().kind, ErrorKind::DuplicateObject);
        let before = store.find("alice").unwrap().unwrap();
        store.set_password(&alice, &"rubber".to_owned().into()).unwrap();
        store.set_disabled(&alice, true).unwrap();
        store.remove(&UserName::parse("bob").unwrap()).unwrap();

        let again = UserStore::open(folder.path()).unwrap();
        assert_eq!(again.list().unwrap(), store.list().unwrap());
        let after = again.find("alice").unwrap().unwrap();
        assert!(after.is_disabled && after.verifier != before.verifier);
        assert_eq!(after.principal(), before.principal());
        assert!(again.find("bob").unwrap().is_none());
        assert!(again.find("no body; --").unwrap().is_none());
        assert_eq!(
            again.remove(&UserName::parse("bob").unwrap()).unwrap_err().kind,
            ErrorKind::UndefinedObject
        );
        assert_eq!(again.verifier("bob").unwrap(), store.verifier("bob").unwrap());
    }

    #[test]
    fn another_process_is_seen() {
        let (folder, server) = store(&[]);
        assert!(server.find("alice").unwrap().is_none());
        UserStore::open(folder.path()).unwrap().add(user("alice", "pencil")).unwrap();
        forget(&server);
        assert!(server.find("alice").unwrap().is_some());
    }

    #[test]
    fn a_look_holds_for_a_second() {
        let (folder, server) = store(&[]);
        assert!(server.find("alice").unwrap().is_none());
        UserStore::open(folder.path()).unwrap().add(user("alice", "pencil")).unwrap();
        std::thread::sleep(RECHECK + Duration::from_millis(50));
        assert!(server.find("alice").unwrap().is_some());
    }

    #[test]
    fn concurrent_writers_lose_nothing() {
        let (folder, store) = store(&[]);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    let name = format!("user{number}");
                    UserStore::open(folder).unwrap().add(user(&name, "pencil")).unwrap();
                });
            }
        });
        forget(&store);
        assert_eq!(store.list().unwrap().len(), 8);
    }

    #[test]
    fn a_file_in_doubt_stops_every_login() {
        let (folder, store) = store(&[("alice", "pencil")]);
        let path = folder.path().join("users.json");
        let good = fs::read_to_string(&path).unwrap();
        let twice = {
            let mut document: serde_json::Value = serde_json::from_str(&good).unwrap();
            let alice = document["users"][0].clone();
            document["users"].as_array_mut().unwrap().push(alice);
            document.to_string()
        };
        for (bad, complaint) in [
            (String::new(), "EOF"),
            (good.replace("\"version\": 1", "\"version\": 2"), "unknown format version 2"),
            (good.replace("\"tenant\"", "\"tennant\""), "tennant"),
            (good.replace("\"acme\"", "\"ac me\""), "invalid tenant name"),
            (good.replace("SCRAM-SHA-256$", "md5$"), "invalid SCRAM-SHA-256 verifier"),
            (twice, "occurs twice"),
        ] {
            fs::write(&path, &bad).unwrap();
            // The second try must not fall back to what was read before.
            for _ in 0..2 {
                forget(&store);
                let error = store.find("alice").unwrap_err();
                assert!(error.message.contains(complaint), "{complaint}: {error}");
            }
            assert!(store.verifier("alice").is_err() && store.verifier("alice").is_err());
            assert!(UserStore::open(folder.path()).is_err());
        }
        fs::write(&path, &good).unwrap();
        assert!(store.find("alice").unwrap().is_some());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        forget(&store);
        assert!(store.find("alice").unwrap_err().hint.unwrap().contains("chmod 600"));
        fs::remove_file(&path).unwrap();
        assert!(store.find("alice").is_err());
    }

    #[test]
    fn useless_passwords_are_refused() {
        let (_folder, store) = store(&[("alice", "pencil")]);
        for password in ["", "a\0b"] {
            let password = password.to_owned().into();
            assert!(store.set_password(&UserName::parse("alice").unwrap(), &password).is_err());
        }
    }

    #[test]
    fn the_file_holds_no_password() {
        let (folder, _store) = store(&[("alice", "correct horse")]);
        let text = fs::read_to_string(folder.path().join("users.json")).unwrap();
        assert!(!text.contains("correct horse") && text.contains("SCRAM-SHA-256$15000:"));
        assert_eq!(fs::metadata(folder.path().join("users.json")).unwrap().mode() & 0o777, 0o600);
    }
}
