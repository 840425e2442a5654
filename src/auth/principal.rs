use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Who asks. Fixed at login; nothing that a client can SET changes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    pub name: UserName,
    pub roles: Vec<RoleName>,
    pub tenant: TenantName,
    /// What row filters may ask for: `regions` → `EU`, `US`.
    pub attributes: BTreeMap<String, Vec<String>>,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Accepts 1 to 63 letters, digits and `_ - . @`; the first must be a letter, a digit
            /// or `_`. Everything that quotes, separates or comments in SQL, CSV or a log is out.
            pub fn parse(raw: &str) -> Result<Self> {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
                let starts_well = raw.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                if starts_well && raw.len() <= 63 && raw.chars().all(is_plain) {
                    return Ok(Self(raw.into()));
                }
                Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!(concat!("invalid ", $what, " name {:?}"), raw),
                )
                .with_hint("Use 1 to 63 letters, digits and _ - . @, and start with a letter, a digit or _."))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(raw: String) -> Result<Self> {
                Self::parse(&raw)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A user, as the policy names it after `user:`.
    UserName,
    "user"
);
name!(
    /// A role, as the policy names it after `role:`.
    RoleName,
    "role"
);
name!(
    /// A tenant: the policy's domain.
    TenantName,
    "tenant"
);
