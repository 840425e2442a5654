//! The scalar functions that read the system catalogs, bound to one session.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    error::{DataFusionError, Result as DataFusionResult},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        TypeSignature, Volatility,
    },
};
use weir_catalogs::field::{self, PG_TYPE};

use super::{
    PgCatalog, SERVER_VERSION, Shown,
    information_schema::Facets,
    objects::{self, FUNCTIONS, OWNER_OID, Objects, Reference, TableKey, quote_identifier},
    relations::Relation,
    rows::{self, Value},
    types,
};
use crate::error::{Error, ErrorKind, Result};

pub fn all(catalog: &PgCatalog) -> Vec<Arc<ScalarUDF>> {
    let session = |entry: &'static Entry| {
        let arities = entry.arguments.iter().map(|count| match count {
            0 => TypeSignature::Nullary,
            count => TypeSignature::Any(*count),
        });
        Arc::new(ScalarUDF::new_from_impl(SessionFunction {
            entry,
            catalog: catalog.clone(),
            signature: Signature::one_of(arities.collect(), Volatility::Stable),
        }))
    };
    ENTRIES.iter().map(session).collect()
}

/// One function: how many arguments it takes, what it returns, and its answer for one row. NULL
/// arguments give NULL, unless `takes_null`.
struct Entry {
    name: &'static str,
    arguments: &'static [usize],
    returns: Returns,
    takes_null: bool,
    eval: fn(&Seen<'_>, &[Value<'_>]) -> Result<Value<'static>>,
}

/// What a session sees.
struct Seen<'a> {
    shown: &'a Shown,
    objects: &'a Objects,
}

#[derive(Clone, Copy)]
enum Returns {
    Bool,
    Int4,
    Int8,
    Text,
    /// Shown as the type of this name: text underneath.
    TextOf(&'static str),
    /// Shown as the type of this name: an oid underneath.
    OidOf(&'static str),
    Names,
}

impl Returns {
    fn field(self, name: &str) -> Field {
        let (data_type, shown) = match self {
            Self::Bool => (DataType::Boolean, None),
            Self::Int4 => (DataType::Int32, None),
            Self::Int8 => (DataType::Int64, None),
            Self::Text => (DataType::Utf8, None),
            Self::TextOf(shown) => (DataType::Utf8, Some(shown)),
            Self::OidOf(shown) => (DataType::Int64, Some(shown)),
            Self::Names => (DataType::new_list(DataType::Utf8, true), Some("name[]")),
        };
        let metadata = shown.map(|shown| (PG_TYPE.to_owned(), shown.to_owned()));
        Field::new(name, data_type, true).with_metadata(metadata.into_iter().collect())
    }
}

#[derive(Clone)]
struct SessionFunction {
    entry: &'static Entry,
    catalog: PgCatalog,
    signature: Signature,
}

impl fmt::Debug for SessionFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name)
    }
}

impl PartialEq for SessionFunction {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name
            && Arc::ptr_eq(&self.catalog.state, &other.catalog.state)
    }
}

impl Eq for SessionFunction {}

impl Hash for SessionFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.name.hash(state);
    }
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.entry.returns.field("").data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let strange =
            arguments.arg_fields.iter().find(|field| !rows::is_readable(field.data_type()));
        if let Some(field) = strange {
            let message =
                format!("function {}({}) does not exist", self.entry.name, field.data_type());
            return Err(external(Error::new(ErrorKind::UndefinedFunction, message)));
        }
        Ok(Arc::new(self.entry.returns.field(self.entry.name)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let seen = Seen { shown: self.catalog.shown(), objects: self.catalog.objects() };
        let is_constant =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let count = if is_constant { 1 } else { arguments.number_rows };
        let arrays = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(count))
            .collect::<DataFusionResult<Vec<ArrayRef>>>()?;
        let answers = (0..count).map(|row| {
            let values =
                arrays.iter().map(|array| rows::value(array.as_ref(), row)).collect::<Vec<_>>();
            if !self.entry.takes_null && values.contains(&Value::Null) {
                return Ok(Value::Null);
            }
            (self.entry.eval)(&seen, &values)
        });
        let array = rows::array(arguments.return_field.data_type(), answers).map_err(external)?;
        Ok(if is_constant {
            ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

pub fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

type Answer = Result<Value<'static>>;

const fn entry(
    name: &'static str,
    arguments: &'static [usize],
    returns: Returns,
    eval: fn(&Seen<'_>, &[Value<'_>]) -> Answer,
) -> Entry {
    Entry { name, arguments, returns, takes_null: false, eval }
}

/// A function about something that does not exist here: NULL for every argument.
const fn unknown(name: &'static str, arguments: &'static [usize], returns: Returns) -> Entry {
    Entry { name, arguments, returns, takes_null: false, eval: |_, _| Ok(Value::Null) }
}

const NAME: Returns = Returns::TextOf("name");
const OID: Returns = Returns::OidOf("oid");

static ENTRIES: &[Entry] = &[
    // The session.
    entry("current_database", &[0], NAME, |seen, _| text(&seen.shown.database)),
    entry("current_catalog", &[0], NAME, |seen, _| text(&seen.shown.database)),
    entry("current_schema", &[0], NAME, |seen, _| Ok(seen.objects.path.first().cloned().into())),
    entry("current_schemas", &[1], Returns::Names, current_schemas),
    entry("current_user", &[0], NAME, |seen, _| text(&seen.shown.user)),
    entry("current_role", &[0], NAME, |seen, _| text(&seen.shown.user)),
    entry("session_user", &[0], NAME, |seen, _| text(&seen.shown.user)),
    entry("user", &[0], NAME, |seen, _| text(&seen.shown.user)),
    entry("version", &[0], Returns::Text, |_, _| {
        let own = env!("CARGO_PKG_VERSION");
        text(&format!("PostgreSQL {SERVER_VERSION} (weir {own})"))
    }),
    entry("pg_is_in_recovery", &[0], Returns::Bool, |_, _| Ok(false.into())),
    entry("pg_my_temp_schema", &[0], OID, |_, _| Ok(0.into())),
    entry("pg_is_other_temp_schema", &[1], Returns::Bool, |_, _| Ok(false.into())),
    entry("row_security_active", &[1], Returns::Bool, |_, _| Ok(false.into())),
    // Names.
    entry("pg_get_userbyid", &[1], NAME, |seen, values| {
        let oid = oid(&values[0])?;
        let name = seen.objects.role_name(oid).map(str::to_owned);
        Ok(name.unwrap_or_else(|| format!("unknown (OID={oid})")).into())
    }),
    Entry {
        name: "format_type",
        arguments: &[2],
        returns: Returns::Text,
        takes_null: true,
        eval: |_, values| match (&values[0], &values[1]) {
            (Value::Null, _) => Ok(Value::Null),
            (kind, Value::Null) => Ok(types::format_type(oid(kind)?, None).into()),
            (kind, modifier) => Ok(types::format_type(oid(kind)?, Some(integer(modifier)?)).into()),
        },
    },
    entry("quote_ident", &[1], Returns::Text, |_, values| {
        Ok(quote_identifier(string(&values[0])?).into_owned().into())
    }),
    entry("parse_ident", &[1], Returns::Names, |_, values| {
        Ok(objects::parse_identifiers(string(&values[0])?)?.into())
    }),
    entry("to_regclass", &[1], Returns::OidOf("regclass"), |seen, values| {
        found(seen.objects.parse_regclass(seen.shown, string(&values[0])?))
    }),
    entry("to_regtype", &[1], Returns::OidOf("regtype"), |_, values| {
        found(objects::parse_regtype(string(&values[0])?))
    }),
    entry("to_regproc", &[1], Returns::OidOf("regproc"), |_, values| {
        found(FUNCTIONS.parse_regproc(string(&values[0])?))
    }),
    entry("to_regnamespace", &[1], Returns::OidOf("regnamespace"), |seen, values| {
        found(reg_oid(seen, "regnamespace", &values[0]))
    }),
    entry("to_regrole", &[1], Returns::OidOf("regrole"), |seen, values| {
        found(reg_oid(seen, "regrole", &values[0]))
    }),
    // What casts are rewritten to.
    entry("weir_oid", &[1], OID, |_, values| Ok(oid(&values[0])?.into())),
    entry("weir_char", &[1], Returns::TextOf("\"char\""), |_, values| {
        text(&as_text(&values[0]).chars().take(1).collect::<String>())
    }),
    entry("weir_name", &[1], NAME, |_, values| text(&cut_name(&as_text(&values[0])))),
    entry("weir_regclass", &[1], Returns::OidOf("regclass"), |seen, values| {
        Ok(reg_oid(seen, "regclass", &values[0])?.into())
    }),
    entry("weir_regtype", &[1], Returns::OidOf("regtype"), |seen, values| {
        Ok(reg_oid(seen, "regtype", &values[0])?.into())
    }),
    entry("weir_regproc", &[1], Returns::OidOf("regproc"), |seen, values| {
        Ok(reg_oid(seen, "regproc", &values[0])?.into())
    }),
    entry("weir_regnamespace", &[1], Returns::OidOf("regnamespace"), |seen, values| {
        Ok(reg_oid(seen, "regnamespace", &values[0])?.into())
    }),
    entry("weir_regrole", &[1], Returns::OidOf("regrole"), |seen, values| {
        Ok(reg_oid(seen, "regrole", &values[0])?.into())
    }),
    Entry {
        name: "weir_json_object",
        arguments: &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20],
        returns: Returns::TextOf("json"),
        takes_null: true,
        eval: |_, values| json_object(values),
    },
    entry("weir_reg_name", &[2], Returns::Text, |seen, values| {
        let (kind, oid) = (string(&values[0])?, oid(&values[1])?);
        let name = reg_name(seen.shown, seen.objects, kind, oid);
        Ok(name.unwrap_or_else(|| oid.to_string()).into())
    }),
    // Visibility: whether the bare name finds the object.
    entry("pg_table_is_visible", &[1], Returns::Bool, |seen, values| {
        Ok(seen.objects.is_relation_visible(seen.shown, oid(&values[0])?).into())
    }),
    entry("pg_type_is_visible", &[1], Returns::Bool, |_, values| {
        Ok(types::by_oid(oid(&values[0])?).map(|_| true).into())
    }),
    entry("pg_function_is_visible", &[1], Returns::Bool, |_, values| {
        Ok(FUNCTIONS.by_oid.get(&oid(&values[0])?).map(|_| true).into())
    }),
    entry("pg_collation_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_conversion_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_opclass_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_operator_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_opfamily_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_statistics_obj_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_ts_config_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_ts_dict_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_ts_parser_is_visible", &[1], Returns::Bool, built_in),
    entry("pg_ts_template_is_visible", &[1], Returns::Bool, built_in),
    // Comments.
    entry("obj_description", &[1, 2], Returns::Text, obj_description),
    entry("col_description", &[2], Returns::Text, col_description),
    unknown("shobj_description", &[2], Returns::Text),
    // Definitions.
    entry("pg_get_constraintdef", &[1, 2], Returns::Text, |seen, values| {
        let oid = oid(&values[0])?;
        if let Some(reference) = seen.objects.reference(oid) {
            return Ok(reference_definition(seen.shown, seen.objects, reference).into());
        }
        let key = seen.objects.constraint(oid);
        Ok(key.map(|key| constraint_definition(seen.shown, seen.objects, key)).into())
    }),
    entry("pg_get_indexdef", &[1, 3], Returns::Text, |seen, values| {
        let Some(key) = seen.objects.index(oid(&values[0])?) else { return Ok(Value::Null) };
        let column = values.get(1).map_or(Ok(0), integer)?;
        if column == 0 {
            return Ok(index_definition(seen.shown, seen.objects, key).into());
        }
        let columns = key_columns(seen.shown, seen.objects, key);
        let column = usize::try_from(column - 1).ok().and_then(|column| columns.get(column));
        Ok(column.cloned().unwrap_or_default().into())
    }),
    unknown("pg_get_expr", &[2, 3], Returns::Text),
    unknown("pg_get_functiondef", &[1], Returns::Text),
    unknown("pg_get_function_arg_default", &[2], Returns::Text),
    unknown("pg_get_function_sqlbody", &[1], Returns::Text),
    unknown("pg_get_partkeydef", &[1], Returns::Text),
    unknown("pg_get_partition_constraintdef", &[1], Returns::Text),
    unknown("pg_get_ruledef", &[1, 2], Returns::Text),
    unknown("pg_get_serial_sequence", &[2], Returns::Text),
    unknown("pg_get_statisticsobjdef", &[1], Returns::Text),
    unknown("pg_get_statisticsobjdef_columns", &[1], Returns::Text),
    unknown("pg_get_triggerdef", &[1, 2], Returns::Text),
    unknown("pg_get_viewdef", &[1, 2], Returns::Text),
    entry("pg_get_function_result", &[1], Returns::Text, |_, values| {
        let function = FUNCTIONS.by_oid.get(&oid(&values[0])?);
        Ok(function
            .map(|function| {
                let result = types::format_type(function.result, None);
                if function.returns_set { format!("SETOF {result}") } else { result.into_owned() }
            })
            .into())
    }),
    entry("pg_get_function_arguments", &[1], Returns::Text, function_arguments),
    entry("pg_get_function_identity_arguments", &[1], Returns::Text, function_arguments),
    // Encodings, places, sizes.
    entry("pg_encoding_to_char", &[1], NAME, |_, values| {
        let number = integer(&values[0])?;
        text(ENCODINGS.iter().find(|(known, _)| *known == number).map_or("", |(_, name)| name))
    }),
    entry("pg_char_to_encoding", &[1], Returns::Int4, |_, values| {
        let name = string(&values[0])?.replace(['-', '_'], "");
        let known = ENCODINGS.iter();
        let mut known =
            known.filter(|(_, known)| known.replace('_', "").eq_ignore_ascii_case(&name));
        Ok(known.next().map_or(-1, |(number, _)| *number).into())
    }),
    entry("getdatabaseencoding", &[0], NAME, |_, _| text("UTF8")),
    entry("pg_client_encoding", &[0], NAME, |_, _| text("UTF8")),
    entry("pg_tablespace_location", &[1], Returns::Text, |_, _| text("")),
    entry("pg_relation_size", &[1, 2], Returns::Int8, relation_size),
    entry("pg_table_size", &[1], Returns::Int8, relation_size),
    entry("pg_total_relation_size", &[1], Returns::Int8, relation_size),
    unknown("pg_indexes_size", &[1], Returns::Int8),
    unknown("pg_database_size", &[1], Returns::Int8),
    unknown("pg_tablespace_size", &[1], Returns::Int8),
    entry("pg_size_pretty", &[1], Returns::Text, |_, values| {
        Ok(size_pretty(integer(&values[0])?).into())
    }),
    unknown("pg_stat_get_numscans", &[1], Returns::Int8),
    // What these signal is not there to be seen.
    entry("pg_cancel_backend", &[1], Returns::Bool, |_, _| Ok(false.into())),
    entry("pg_terminate_backend", &[1, 2], Returns::Bool, |_, _| Ok(false.into())),
    // Of information_schema.
    entry("_pg_numeric_precision", &[2], Returns::Int4, |_, values| {
        Ok(facets(values)?.precision.into())
    }),
    entry("_pg_numeric_scale", &[2], Returns::Int4, |_, values| Ok(facets(values)?.scale.into())),
    entry("_pg_char_max_length", &[2], Returns::Int4, |_, values| {
        Ok(facets(values)?.character_length.into())
    }),
    entry("_pg_datetime_precision", &[2], Returns::Int4, |_, values| {
        Ok(facets(values)?.datetime_precision.into())
    }),
    entry("pg_relation_is_publishable", &[1], Returns::Bool, |_, _| Ok(false.into())),
    entry("pg_relation_is_updatable", &[2], Returns::Int4, |_, _| Ok(0.into())),
    entry("pg_column_is_updatable", &[3], Returns::Bool, |_, _| Ok(false.into())),
    // Privileges: to read what is visible, and nothing else.
    entry("has_table_privilege", &[2, 3], Returns::Bool, has_table_privilege),
    entry("has_any_column_privilege", &[2, 3], Returns::Bool, has_table_privilege),
    entry("has_column_privilege", &[3, 4], Returns::Bool, has_column_privilege),
    entry("has_schema_privilege", &[2, 3], Returns::Bool, |seen, values| {
        has_privilege(seen, values, &["USAGE"], &["CREATE"], |seen, object| match object {
            Value::Text(name) => match seen.objects.schema_oid(name) {
                Some(_) => Ok(Some(true)),
                None => Err(missing(ErrorKind::InvalidSchema, "schema", name)),
            },
            other => Ok(seen.objects.schema_name(oid(other)?).map(|_| true)),
        })
    }),
    entry("has_database_privilege", &[2, 3], Returns::Bool, |seen, values| {
        let denied = ["CREATE", "TEMPORARY", "TEMP"];
        has_privilege(seen, values, &["CONNECT"], &denied, |seen, object| match object {
            Value::Text(name) => match seen.shown.databases.iter().any(|known| known == name) {
                true => Ok(Some(true)),
                false => Err(missing(ErrorKind::InvalidCatalog, "database", name)),
            },
            other => {
                let oid = oid(other)?;
                Ok(seen.objects.databases.iter().any(|known| known.oid == oid).then_some(true))
            }
        })
    }),
    entry("has_function_privilege", &[2, 3], Returns::Bool, |seen, values| {
        has_privilege(seen, values, &["EXECUTE"], &[], |_, object| match object {
            Value::Text(name) => {
                let bare = name.split('(').next().unwrap_or(name);
                FUNCTIONS.parse_regproc(bare).map(|_| Some(true))
            }
            other => Ok(FUNCTIONS.by_oid.get(&oid(other)?).map(|_| true)),
        })
    }),
    entry("has_type_privilege", &[2, 3], Returns::Bool, |seen, values| {
        has_privilege(seen, values, &["USAGE"], &[], |_, object| match object {
            Value::Text(name) => objects::parse_regtype(name).map(|_| Some(true)),
            other => Ok(types::by_oid(oid(other)?).map(|_| true)),
        })
    }),
    entry("has_language_privilege", &[2, 3], Returns::Bool, |_, _| Ok(false.into())),
    entry("has_sequence_privilege", &[2, 3], Returns::Bool, |_, _| Ok(false.into())),
    entry("has_tablespace_privilege", &[2, 3], Returns::Bool, |_, _| Ok(false.into())),
    entry("has_server_privilege", &[2, 3], Returns::Bool, |_, _| Ok(false.into())),
    entry("has_foreign_data_wrapper_privilege", &[2, 3], Returns::Bool, |_, _| Ok(false.into())),
    entry("pg_has_role", &[2, 3], Returns::Bool, |seen, values| {
        let role = &values[values.len() - 2];
        let name = match role {
            Value::Text(name) => Cow::Borrowed(name.as_ref()),
            other => seen.objects.role_name(oid(other)?).map(Cow::Borrowed).unwrap_or_default(),
        };
        let is_member =
            *name == seen.shown.user || seen.shown.roles.iter().any(|role| *role == name);
        Ok((is_member && is_about_me(seen, values)?).into())
    }),
];

const ENCODINGS: &[(i64, &str)] = &[(0, "SQL_ASCII"), (6, "UTF8"), (8, "LATIN1"), (24, "WIN1252")];

/// Whether a function about privileges asks for the session's own user.
fn is_about_me(seen: &Seen<'_>, values: &[Value<'_>]) -> Result<bool> {
    // With an explicit user there is one argument more; callers put the object and the privilege
    // last.
    let [user, _, _, ..] = values else { return Ok(true) };
    Ok(match user {
        Value::Text(name) => *name == seen.shown.user,
        other => seen.objects.role_oid(&seen.shown.user) == Some(oid(other)?),
    })
}

fn has_privilege(
    seen: &Seen<'_>,
    values: &[Value<'_>],
    granted: &[&str],
    denied: &[&str],
    exists: impl Fn(&Seen<'_>, &Value<'_>) -> Result<Option<bool>>,
) -> Answer {
    let [.., object, privileges] = values else { return Ok(Value::Null) };
    let Some(is_there) = exists(seen, object)? else { return Ok(Value::Null) };
    let has = any_granted(string(privileges)?, granted, denied)?;
    Ok((is_there && has && is_about_me(seen, values)?).into())
}

/// Reads a list such as `SELECT, INSERT WITH GRANT OPTION`; one that is held is enough.
fn any_granted(privileges: &str, granted: &[&str], denied: &[&str]) -> Result<bool> {
    let mut is_granted = false;
    for privilege in privileges.split(',') {
        let privilege = privilege.trim().to_ascii_uppercase();
        let (name, is_grant_option) = match privilege.strip_suffix(" WITH GRANT OPTION") {
            Some(name) => (name, true),
            None => (privilege.as_str(), false),
        };
        if granted.contains(&name) {
            is_granted |= !is_grant_option;
        } else if !denied.contains(&name) {
            let message = format!("unrecognized privilege type: \"{name}\"");
            return Err(Error::new(ErrorKind::InvalidParameter, message));
        }
    }
    Ok(is_granted)
}

const TABLE_DENIED: &[&str] = &["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

fn has_table_privilege(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    has_privilege(seen, values, &["SELECT"], TABLE_DENIED, |seen, object| {
        let oid = reg_oid(seen, "regclass", object)?;
        Ok(seen.objects.relation_name(seen.shown, oid).map(|_| true))
    })
}

fn has_column_privilege(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let [users @ .., table, column, privileges] = values else { return Ok(Value::Null) };
    let oid = reg_oid(seen, "regclass", table)?;
    let names: Vec<&str> = match (seen.objects.table(oid), Relation::find_oid(oid)) {
        (Some(table), _) => {
            let fields = table.shown(seen.shown).columns.fields();
            fields.iter().map(|field| field.name().as_str()).collect()
        }
        (None, Some(relation)) => relation.columns.iter().map(|column| column.name).collect(),
        (None, None) => return Ok(Value::Null),
    };
    match column {
        Value::Text(name) if !names.contains(&name.as_ref()) => {
            let relation = seen.objects.relation_name(seen.shown, oid).unwrap_or_default().1;
            let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
            return Err(Error::new(ErrorKind::UndefinedColumn, message));
        }
        Value::Text(_) => {}
        number => {
            let number = usize::try_from(integer(number)?).unwrap_or_default();
            if number == 0 || number > names.len() {
                return Ok(Value::Null);
            }
        }
    }
    let has = any_granted(string(privileges)?, &["SELECT"], TABLE_DENIED)?;
    let is_me = match users.first() {
        Some(user) => is_about_me(seen, &[user.clone(), Value::Null, Value::Null])?,
        None => true,
    };
    Ok((has && is_me).into())
}

fn current_schemas(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let with_implicit = matches!(values[0], Value::Bool(true));
    let implicit = with_implicit.then(|| super::PG_CATALOG.to_owned());
    let names = implicit.into_iter().chain(seen.objects.path.iter().cloned());
    Ok(names.collect::<Vec<_>>().into())
}

fn built_in(_: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let oid = oid(&values[0])?;
    Ok((oid > 0 && oid < 16384).then_some(true).into())
}

fn obj_description(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let oid = oid(&values[0])?;
    let class = values.get(1).map(string).transpose()?;
    if matches!(class, None | Some("pg_class"))
        && let Some(table) = seen.objects.table(oid)
    {
        return Ok(table.shown(seen.shown).comment.clone().into());
    }
    let described = STATIC_DESCRIPTIONS.get(&oid).map(Vec::as_slice).unwrap_or_default();
    let class_oid = class.and_then(|class| Relation::find(super::PG_CATALOG, class));
    let description = described
        .iter()
        .find(|(described_class, _)| match (class, class_oid) {
            (None, _) => true,
            (Some(_), Some(relation)) => relation.oid == *described_class,
            (Some(_), None) => false,
        })
        .map(|(_, description)| *description);
    Ok(description.map(str::to_owned).into())
}

/// Object, then its class and its description.
static STATIC_DESCRIPTIONS: LazyLock<HashMap<i64, Vec<(i64, &'static str)>>> =
    LazyLock::new(|| {
        let mut descriptions: HashMap<_, Vec<_>> = HashMap::new();
        for line in include_str!("static/pg_description.tsv").lines() {
            let cells = line.split('\t').collect::<Vec<_>>();
            if let [object, class, _, description] = cells.as_slice()
                && let (Ok(object), Ok(class)) = (object.parse(), class.parse())
            {
                descriptions.entry(object).or_default().push((class, *description));
            }
        }
        descriptions
    });

fn col_description(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let Some(table) = seen.objects.table(oid(&values[0])?) else { return Ok(Value::Null) };
    let position = usize::try_from(integer(&values[1])? - 1).ok();
    let fields = table.shown(seen.shown).columns.fields();
    let field = position.and_then(|position| fields.get(position));
    Ok(field.and_then(|field| field::comment(field)).map(str::to_owned).into())
}

fn function_arguments(_: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let function = FUNCTIONS.by_oid.get(&oid(&values[0])?);
    Ok(function
        .map(|function| {
            let last = function.arguments.len().saturating_sub(1);
            let arguments = function.arguments.iter().enumerate().map(|(position, argument)| {
                let is_variadic = function.variadic != 0 && position == last;
                let prefix = if is_variadic { "VARIADIC " } else { "" };
                format!("{prefix}{}", types::format_type(*argument, None))
            });
            arguments.collect::<Vec<_>>().join(", ")
        })
        .into())
}

fn relation_size(seen: &Seen<'_>, values: &[Value<'_>]) -> Answer {
    let oid = reg_oid(seen, "regclass", &values[0])?;
    let bytes = seen.objects.table(oid).and_then(|table| table.shown(seen.shown).bytes);
    Ok(bytes.and_then(|bytes| i64::try_from(bytes).ok()).into())
}

/// PostgreSQL's rounding: a unit is left at 10 times the next one (dbsize.c).
fn size_pretty(size: i64) -> String {
    let mut size = i128::from(size);
    if size.abs() < 10 * 1024 {
        return format!("{size} bytes");
    }
    size /= 1 << 9;
    let mut units = ["kB", "MB", "GB", "TB", "PB"].iter().peekable();
    while let Some(unit) = units.next() {
        if size.abs() < 20 * 1024 - 1 || units.peek().is_none() {
            return format!("{} {unit}", (size + if size < 0 { -1 } else { 1 }) / 2);
        }
        size /= 1 << 10;
    }
    String::new()
}

fn key_columns(shown: &Shown, objects: &Objects, key: &TableKey) -> Vec<String> {
    let fields = objects.tables[key.table].shown(shown).columns.fields();
    let columns = key.shown(objects, shown).columns.iter();
    columns
        .filter_map(|column| fields.get(*column))
        .map(|field| quote_identifier(field.name()).into_owned())
        .collect()
}

fn constraint_definition(shown: &Shown, objects: &Objects, key: &TableKey) -> String {
    let kind = if key.shown(objects, shown).is_primary { "PRIMARY KEY" } else { "UNIQUE" };
    format!("{kind} ({})", key_columns(shown, objects, key).join(", "))
}

fn reference_definition(shown: &Shown, objects: &Objects, reference: &Reference) -> String {
    let names = |table: usize, columns: &[usize]| {
        let fields = objects.tables[table].shown(shown).columns.fields();
        let fields = columns.iter().filter_map(|column| fields.get(*column));
        let names = fields.map(|field| quote_identifier(field.name()).into_owned());
        names.collect::<Vec<_>>().join(", ")
    };
    let key = reference.shown(objects, shown);
    let referenced = objects.tables[reference.referenced_table].oid;
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        names(reference.table, &key.columns),
        objects.regclass_name(shown, referenced).unwrap_or_default(),
        names(reference.referenced_table, &reference.referenced_columns)
    );
    if key.match_type == 'f' {
        text.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != 'a' {
            text.push_str(&format!(" ON {event} {}", referential_action(action)));
        }
    }
    text
}

/// What `pg_constraint` abbreviates.
pub fn referential_action(letter: char) -> &'static str {
    match letter {
        'r' => "RESTRICT",
        'c' => "CASCADE",
        'n' => "SET NULL",
        'd' => "SET DEFAULT",
        _ => "NO ACTION",
    }
}

pub fn index_definition(shown: &Shown, objects: &Objects, key: &TableKey) -> String {
    let table = &objects.tables[key.table];
    format!(
        "CREATE UNIQUE INDEX {} ON {}.{} USING btree ({})",
        quote_identifier(&key.shown(objects, shown).name),
        quote_identifier(&objects.schemas[table.schema].name),
        quote_identifier(&table.shown(shown).name),
        key_columns(shown, objects, key).join(", ")
    )
}

/// How a value of a `reg…` type prints; `None` when nothing has the oid.
pub fn reg_name(shown: &Shown, objects: &Objects, kind: &str, oid: i64) -> Option<String> {
    if oid == 0 {
        return Some("-".to_owned());
    }
    match kind {
        "regclass" => objects.regclass_name(shown, oid),
        "regtype" => types::by_oid(oid).map(|_| types::format_type(oid, None).into_owned()),
        "regproc" => FUNCTIONS.regproc_name(oid),
        "regnamespace" => objects.schema_name(oid).map(|name| quote_identifier(name).into_owned()),
        "regrole" => objects.role_name(oid).map(|name| quote_identifier(name).into_owned()),
        _ => None,
    }
}

/// Reads a value of a `reg…` type: an oid, a number in text, or a name.
fn reg_oid(seen: &Seen<'_>, kind: &str, value: &Value<'_>) -> Result<i64> {
    let Value::Text(name) = value else { return oid(value) };
    if name == "-" {
        return Ok(0);
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
        return oid(value);
    }
    let one_name = || {
        let parts = objects::parse_identifiers(name)?;
        match <[String; 1]>::try_from(parts) {
            Ok([name]) => Ok(name),
            Err(_) => Err(Error::new(ErrorKind::InvalidText, "invalid name syntax")),
        }
    };
    match kind {
        "regclass" => seen.objects.parse_regclass(seen.shown, name),
        "regtype" => objects::parse_regtype(name),
        "regproc" => FUNCTIONS.parse_regproc(name),
        "regnamespace" => {
            let name = one_name()?;
            let found = seen.objects.schema_oid(&name);
            found.ok_or_else(|| missing(ErrorKind::InvalidSchema, "schema", &name))
        }
        _ => {
            let name = one_name()?;
            let found = seen.objects.role_oid(&name);
            found.ok_or_else(|| missing(ErrorKind::UndefinedObject, "role", &name))
        }
    }
}

/// Of a type's oid and modifier.
fn facets(values: &[Value<'_>]) -> Result<Facets> {
    Ok(Facets::of((oid(&values[0])?, integer(&values[1])?)))
}

/// `json_build_object`, of values that catalogs have.
fn json_object(values: &[Value<'_>]) -> Answer {
    let mut members = Vec::new();
    for pair in values.chunks_exact(2) {
        if pair[0] == Value::Null {
            let message = "argument 1: key must not be null";
            return Err(Error::new(ErrorKind::InvalidParameter, message));
        }
        let key = serde_json::Value::from(as_text(&pair[0]));
        let value = match &pair[1] {
            Value::Text(text) => serde_json::Value::from(text.as_ref()),
            Value::Int(number) => serde_json::Value::from(*number),
            Value::Bool(value) => serde_json::Value::from(*value),
            Value::Null => serde_json::Value::Null,
            other => return Err(mismatch("text", other)),
        };
        members.push(format!("{key} : {value}"));
    }
    Ok(format!("{{{}}}", members.join(", ")).into())
}

fn missing(kind: ErrorKind, what: &str, name: &str) -> Error {
    Error::new(kind, format!("{what} \"{name}\" does not exist"))
}

/// NULL where the name finds nothing; other errors stay.
fn found(result: Result<i64>) -> Answer {
    match result {
        Ok(oid) => Ok(oid.into()),
        Err(error) => match error.kind {
            ErrorKind::UndefinedTable
            | ErrorKind::UndefinedObject
            | ErrorKind::UndefinedFunction
            | ErrorKind::InvalidSchema => Ok(Value::Null),
            _ => Err(error),
        },
    }
}

fn text(text: &str) -> Answer {
    Ok(text.to_owned().into())
}

/// An identifier holds 63 bytes.
fn cut_name(name: &str) -> String {
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

fn as_text<'a>(value: &'a Value<'_>) -> Cow<'a, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text.as_ref()),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Float(number) => Cow::Owned(number.to_string()),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::Null | Value::Ints(_) | Value::Texts(_) | Value::Raw(_) => Cow::Borrowed(""),
    }
}

fn string<'a>(value: &'a Value<'_>) -> Result<&'a str> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(mismatch("text", other)),
    }
}

fn integer(value: &Value<'_>) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Text(text) => text.trim().parse().map_err(|_| invalid("bigint", text)),
        other => Err(mismatch("integer", other)),
    }
}

/// An oid is an unsigned number of 32 bits.
fn oid(value: &Value<'_>) -> Result<i64> {
    match value {
        Value::Text(text) => {
            text.trim().parse::<u32>().map(i64::from).map_err(|_| invalid("oid", text))
        }
        Value::Int(number) if u32::try_from(*number).is_ok() => Ok(*number),
        // A negative int4 is the oid with the same bits.
        Value::Int(number) => match i32::try_from(*number) {
            Ok(number) => Ok(i64::from(number.cast_unsigned())),
            Err(_) => Err(Error::new(ErrorKind::NumericOutOfRange, "OID out of range")),
        },
        other => Err(mismatch("oid", other)),
    }
}

fn invalid(kind: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {kind}: \"{text}\""))
}

fn mismatch(wanted: &str, value: &Value<'_>) -> Error {
    let given = match value {
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) => "double precision",
        Value::Text(_) | Value::Raw(_) => "text",
        Value::Ints(_) | Value::Texts(_) => "an array",
        Value::Null => "null",
    };
    let message = format!("an argument of type {wanted} was expected, and is {given}");
    Error::new(ErrorKind::DatatypeMismatch, message)
}

const _: () = assert!(OWNER_OID == 10, "the static files name role 10 as the owner");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_postgresql_rounds_them() {
        for (size, shown) in [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (10752, "11 kB"),
            (10_485_248, "10 MB"),
            (10_484_735, "10239 kB"),
            (-10240, "-10 kB"),
            (1 << 40, "1024 GB"),
            (i64::MAX, "8192 PB"),
        ] {
            assert_eq!(size_pretty(size), shown, "{size}");
        }
    }
}
