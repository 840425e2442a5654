use std::{fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{DFSchema, ScalarValue},
    error::{DataFusionError, Result},
    logical_expr::{Expr, ExprSchemable, ScalarUDF, cast, col, lit},
    prelude::{concat, left, repeat, right},
    sql::sqlparser::ast,
};
use secrecy::{ExposeSecret, SecretString};

use super::{ObjectPath, expression, functions::KeyedDigest, planner};
use crate::auth::{Principal, TenantName, hmac};

/// A mask as a rule writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum MaskRule {
    /// `null`
    Null,
    /// `const(text)`
    Constant(Arc<str>),
    /// `hmac`
    Hmac,
    /// `partial(first, last)`
    Partial { first: u8, last: u8 },
    /// Anything else: SQL over the row.
    Sql(Box<ast::Expr>),
}

impl MaskRule {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "null" => return Ok(Self::Null),
            "hmac" => return Ok(Self::Hmac),
            _ => {}
        }
        if let Some(value) = arguments(text, "const") {
            return Ok(Self::Constant(value.into()));
        }
        if let Some(numbers) = arguments(text, "partial") {
            let mut numbers = numbers.split(',').map(|number| number.trim().parse::<u8>());
            if let (Some(Ok(first)), Some(Ok(last)), None) =
                (numbers.next(), numbers.next(), numbers.next())
            {
                return Ok(Self::Partial { first, last });
            }
            return Err(format!("bad mask {text:?}, expected partial(first, last)"));
        }
        match expression::parse(text) {
            // A word alone is more likely a misspelt mask than another column.
            Ok(ast::Expr::Identifier(_)) => Err(format!(
                "unknown mask {text:?}, expected null, hmac, const(text), partial(first, last) or \
                 an SQL expression"
            )),
            Ok(expression) => Ok(Self::Sql(Box::new(expression))),
            Err(error) => Err(format!("bad mask {text:?}: {error}")),
        }
    }

    /// Of two masks that apply to one column, the one that shows less: null, const, hmac, partial,
    /// then SQL. Two that can't be compared show nothing.
    pub fn stronger(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        match (self.strength(), other.strength()) {
            (mine, others) if mine < others => self,
            (mine, others) if mine > others => other,
            _ => match (self, other) {
                (
                    Self::Partial { first, last },
                    Self::Partial { first: other_first, last: other_last },
                ) => Self::Partial { first: first.min(other_first), last: last.min(other_last) },
                _ => Self::Null,
            },
        }
    }

    fn strength(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Constant(_) => 1,
            Self::Hmac => 2,
            Self::Partial { .. } => 3,
            Self::Sql(_) => 4,
        }
    }

    /// The mask for one principal: with its tenant's key, and its attributes.
    pub fn bind(self, principal: &Principal, keys: &MaskKeys) -> Mask {
        match self {
            Self::Null => Mask::Null,
            Self::Constant(text) => Mask::Constant(text),
            Self::Hmac => Mask::Hmac(keys.of_tenant(&principal.tenant)),
            Self::Partial { first, last } => Mask::Partial { first, last },
            Self::Sql(sql) => Mask::Sql(Box::new(expression::bind_attributes(*sql, principal))),
        }
    }
}

/// The secret behind the masks `hmac` of all tenants.
#[derive(Clone)]
pub struct MaskKeys(SecretString);

impl MaskKeys {
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// For as long as this process lives: for what shows no rows, and tests.
    pub fn passing() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    fn of_tenant(&self, tenant: &TenantName) -> TenantKey {
        let label: &[u8] = b"weir mask hmac\0";
        TenantKey(hmac(self.0.expose_secret().as_bytes(), &[label, tenant.as_str().as_bytes()]))
    }
}

impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKeys")
    }
}

/// One tenant's key: values are equal within a tenant when their digests are, and nobody without
/// the key can try out values.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TenantKey([u8; 32]);

impl TenantKey {
    /// As 32 hexadecimal digits: half of the digest, and no two values of a table will meet.
    pub fn digest(&self, value: &str) -> String {
        let digest = hmac(&self.0, &[value.as_bytes()]);
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey")
    }
}

/// What a masked column shows in the place of its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Mask {
    /// NULL, for every type.
    Null,
    /// The same text for every row; text columns only, NULL elsewhere.
    Constant(Arc<str>),
    /// A keyed digest of text; NULL for other types, whose values are few enough to be found out.
    Hmac(TenantKey),
    /// The first and last characters of text, stars between; NULL for other types.
    Partial { first: u8, last: u8 },
    /// SQL over the row, checked and planned against the table when a query is authorized.
    Sql(Box<ast::Expr>),
}

impl Mask {
    /// The expression that shows a column masked, in the column's own type.
    pub fn expression(
        &self,
        column: &Field,
        schema: &DFSchema,
        table: &ObjectPath,
    ) -> Result<Expr> {
        let data_type = column.data_type();
        let is_text =
            matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let raw = || col(datafusion::common::Column::from_name(column.name()));
        let shown = match self {
            Self::Sql(sql) => return planner::plan_mask(sql, schema, column, table),
            Self::Constant(text) if is_text => lit(text.as_ref()),
            Self::Hmac(key) if is_text => {
                ScalarUDF::from(KeyedDigest::new(key.clone())).call(vec![raw()])
            }
            Self::Partial { first, last } if is_text => partial(raw(), *first, *last),
            Self::Null | Self::Constant(_) | Self::Hmac(_) | Self::Partial { .. } => {
                return Ok(lit(ScalarValue::try_from(data_type)?));
            }
        };
        Ok(cast(shown, data_type.clone()))
    }
}

/// Values too short to keep anything secret are stars alone; the number of stars is fixed, so that
/// the length of the value does not show.
fn partial(raw: Expr, first: u8, last: u8) -> Expr {
    let kept = i64::from(first) + i64::from(last);
    let length = datafusion::prelude::character_length(raw.clone());
    let shown = concat(vec![
        left(raw.clone(), lit(i64::from(first))),
        lit("***"),
        right(raw.clone(), lit(i64::from(last))),
    ]);
    let stars = repeat(lit("*"), lit(3_i64));
    Expr::Case(datafusion::logical_expr::expr::Case {
        expr: None,
        when_then_expr: vec![
            (Box::new(raw.clone().is_null()), Box::new(lit(ScalarValue::Utf8(None)))),
            (Box::new(cast(length, DataType::Int64).gt(lit(kept + 2))), Box::new(shown)),
        ],
        else_expr: Some(Box::new(stars)),
    })
}

fn arguments<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

/// The mask must not change the column's type: a client has seen it in Describe.
pub(super) fn check_type(expression: &Expr, expected: &DataType, schema: &DFSchema) -> Result<()> {
    let found = expression.get_type(schema)?;
    if found == *expected {
        return Ok(());
    }
    Err(DataFusionError::Internal(format!("mask of type {found} on a column of type {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_masks_the_stronger_wins() {
        let parse = |text| MaskRule::parse(text).unwrap();
        for (a, b, expected) in [
            ("null", "partial(1, 4)", "null"),
            ("null", "hmac", "null"),
            ("const(x)", "hmac", "const(x)"),
            ("const(x)", "partial(1, 4)", "const(x)"),
            ("const(x)", "const(x)", "const(x)"),
            ("const(x)", "const(y)", "null"),
            ("hmac", "hmac", "hmac"),
            ("hmac", "partial(1, 4)", "hmac"),
            ("hmac", "upper(a)", "hmac"),
            ("partial(1, 4)", "partial(2, 0)", "partial(1, 0)"),
            ("partial(1, 4)", "left(a, 2)", "partial(1, 4)"),
            ("left(a, 2)", "left(a, 2)", "left(a, 2)"),
            ("left(a, 2)", "left(a, 3)", "null"),
        ] {
            assert_eq!(parse(a).stronger(parse(b)), parse(expected), "{a} {b}");
            assert_eq!(parse(b).stronger(parse(a)), parse(expected), "{b} {a}");
        }
    }

    #[test]
    fn only_masks_and_known_expressions_are_taken() {
        for (text, expected) in [
            ("blur", "unknown mask"),
            ("nul", "unknown mask"),
            ("partial(1)", "expected partial(first, last)"),
            ("partail(1, 4)", "function partail is not for policies"),
            ("md5(email)", "function md5 is not for policies"),
            ("(SELECT 1)", "no subqueries"),
            ("left(email,", "bad mask"),
            ("left(email, 1) x", "bad mask"),
            ("current_attr(email)", "takes one text literal"),
        ] {
            let error = MaskRule::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn digests_are_the_tenants_own() {
        let tenant = |name| TenantName::parse(name).unwrap();
        let keys = MaskKeys::new("a secret".to_owned().into());
        let digest = |keys: &MaskKeys, name, value| keys.of_tenant(&tenant(name)).digest(value);
        let ann = digest(&keys, "acme", "ann@example.com");
        assert_eq!(ann.len(), 32);
        assert!(ann.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{ann}");
        assert_eq!(ann, digest(&keys, "acme", "ann@example.com"));
        assert_ne!(ann, digest(&keys, "acme", "bob@example.com"));
        assert_ne!(ann, digest(&keys, "globex", "ann@example.com"));
        assert_ne!(ann, digest(&MaskKeys::passing(), "acme", "ann@example.com"));
        assert!(!format!("{:?}", keys.of_tenant(&tenant("acme"))).contains(char::is_numeric));
    }
}
