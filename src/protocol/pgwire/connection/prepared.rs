//! Prepared statements: Parse and Bind, PREPARE and EXECUTE. Their names are one set.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::{
    scalar::ScalarValue,
    sql::sqlparser::ast::{self, Value},
};

use super::{Connection, Flow, no_parameter, portal::Portal};
use crate::{
    engine::{Execute, Prepare, Statement},
    error::{Error, ErrorKind, Result},
    protocol::pgwire::{
        Bind, Format, Parameter, PgColumn, Zone, arrow_type, decode_parameter, reply::Done,
    },
    session::Prepared,
};

const MAX_STATEMENTS: usize = 1000;

#[derive(Debug)]
pub(super) struct PreparedStatement {
    pub prepared: Prepared,
    /// As ParameterDescription says them.
    pub parameter_oids: Vec<u32>,
}

impl PreparedStatement {
    /// A parameter's type is what the client declared, or else what its type in the statement is
    /// called.
    pub fn new(prepared: Prepared, declared: &[u32]) -> Self {
        let oid = |(index, field): (usize, &FieldRef)| match declared.get(index) {
            Some(oid) if arrow_type(*oid).is_some() => *oid,
            _ => PgColumn::of(field).oid,
        };
        let parameter_oids = prepared.parameters().iter().enumerate().map(oid).collect();
        Self { prepared, parameter_oids }
    }
}

impl Connection<'_> {
    pub(super) async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Flow {
        if name.is_empty() {
            self.statements.remove("");
        }
        self.room_for_statement(&name)?;
        let mut statements = self.session.parse(sql).await?;
        let statement = statements.pop().unwrap_or(Statement::Empty);
        if !statements.is_empty() {
            return Err(Error::new(
                ErrorKind::Syntax,
                "cannot insert multiple commands into a prepared statement",
            )
            .into());
        }
        self.refuse_in_failed_transaction(&statement)?;
        let declared = oids.iter().map(|oid| arrow_type(*oid)).collect();
        let prepared = self.session.prepare(statement, declared).await?;
        self.statements.insert(name, Arc::new(PreparedStatement::new(prepared, oids)));
        Ok(self.replies.done(Done::Parse)?)
    }

    fn room_for_statement(&self, name: &str) -> Result<()> {
        if self.statements.contains_key(name) {
            return Err(Error::new(
                ErrorKind::DuplicateStatement,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.statements.len() >= MAX_STATEMENTS {
            return Err(Error::new(
                ErrorKind::ProgramLimitExceeded,
                format!("at most {MAX_STATEMENTS} statements can be prepared at once"),
            ));
        }
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Result<&Arc<PreparedStatement>> {
        self.statements.get(name).ok_or_else(|| {
            let shown = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Error::new(ErrorKind::InvalidStatementName, shown)
        })
    }

    pub(super) fn bind(&mut self, bind: Bind) -> Flow {
        let statement = Arc::clone(self.statement(&bind.statement)?);
        self.refuse_in_failed_transaction(statement.prepared.statement())?;
        if bind.portal.is_empty() {
            self.portals.remove("");
        }
        self.room_for_portal(&bind.portal)?;
        let values = self.values(&bind, &statement)?;
        let formats = match self.columns_of(&statement.prepared) {
            Some(schema) => Format::for_columns(&bind.result_formats, schema.fields().len())?,
            None => Vec::new(),
        };
        let portal = Portal::bound(statement, values, formats, self.savepoints.len());
        self.portals.insert(bind.portal, portal);
        Ok(self.replies.done(Done::Bind)?)
    }

    fn values(&self, bind: &Bind, statement: &PreparedStatement) -> Flow<Vec<ScalarValue>> {
        let expected = statement.prepared.parameters();
        if bind.values.len() != expected.len() {
            return Err(Error::new(
                ErrorKind::ProtocolViolation,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                    bind.values.len(),
                    bind.statement,
                    expected.len()
                ),
            )
            .into());
        }
        let zone = self.zone()?;
        let mut values = Vec::with_capacity(expected.len());
        for (index, field) in expected.iter().enumerate() {
            let parameter = Parameter {
                oid: statement.parameter_oids[index],
                format: bind.formats.get(index).copied().unwrap_or(Format::Text),
                bytes: bind.values[index].as_deref(),
            };
            values.push(decode(parameter, field.data_type(), &zone, index)?);
        }
        Ok(values)
    }

    /// PREPARE.
    pub(super) async fn prepare(&mut self, prepare: &Prepare) -> Flow {
        self.room_for_statement(&prepare.name)?;
        let declared = self.session.types(&prepare.types).await?;
        let statement = Statement::Query(prepare.query.clone());
        let prepared = self.session.prepare(statement, declared).await?;
        let statement = Arc::new(PreparedStatement::new(prepared, &[]));
        self.statements.insert(prepare.name.clone(), statement);
        Ok(self.replies.command_complete("PREPARE")?)
    }

    pub(super) fn deallocate(&mut self, name: Option<&String>) -> Flow {
        let tag = match name {
            Some(name) => {
                self.statement(name)?;
                self.statements.remove(name);
                "DEALLOCATE"
            }
            None => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
        };
        Ok(self.replies.command_complete(tag)?)
    }

    /// What EXECUTE runs: a prepared query, with the values of its arguments.
    pub(super) async fn bound_by(
        &self,
        execute: &Execute,
    ) -> Flow<(Arc<PreparedStatement>, Vec<ScalarValue>)> {
        let statement = Arc::clone(self.statement(&execute.name)?);
        let prepared = &statement.prepared;
        if !prepared.returns_rows() {
            return Err(Error::new(
                ErrorKind::NotSupported,
                format!("EXECUTE runs queries only, and \"{}\" is none", execute.name),
            )
            .into());
        }
        let (given, expected) = (execute.arguments.len(), prepared.parameters().len());
        // PostgreSQL does not look at the arguments of what has no parameters.
        if expected > 0 && given != expected {
            let name = &execute.name;
            return Err(Error::new(
                ErrorKind::Syntax,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!("Expected {expected} parameters but got {given}."))
            .into());
        }
        let zone = self.zone()?;
        let mut values = Vec::with_capacity(expected);
        for (index, field) in prepared.parameters().iter().enumerate() {
            let argument = &execute.arguments[index];
            let text = match literal(argument) {
                Some(text) => text.map(str::to_owned),
                None => {
                    let found = self.session.constants(vec![argument.clone()]).await?.pop();
                    let found = found.ok_or_else(no_parameter)?;
                    if found.data_type() == *field.data_type() {
                        values.push(found);
                        continue;
                    }
                    Some(number(&found, index)?)
                }
            };
            let parameter = Parameter {
                oid: statement.parameter_oids[index],
                format: Format::Text,
                bytes: text.as_ref().map(|text| text.as_bytes()),
            };
            values.push(decode(parameter, field.data_type(), &zone, index)?);
        }
        Ok((statement, values))
    }
}

fn decode(
    parameter: Parameter<'_>,
    data_type: &DataType,
    zone: &Zone,
    index: usize,
) -> Result<ScalarValue> {
    decode_parameter(parameter, data_type, zone).map_err(|error| {
        error.with_detail(format!("This is the value of parameter ${}.", index + 1))
    })
}

/// The text of a literal whose type its place decides: `'x'`, NULL.
fn literal(argument: &ast::Expr) -> Option<Option<&str>> {
    let ast::Expr::Value(value) = argument else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(Some(text)),
        Value::Null => Some(None),
        _ => None,
    }
}

/// A number, to be read as the type that is expected; nothing else is turned into another type.
fn number(value: &ScalarValue, index: usize) -> Result<String> {
    let found = value.data_type();
    if !value.is_null() && (found.is_integer() || found.is_decimal()) {
        return Ok(value.to_string());
    }
    Err(Error::new(
        ErrorKind::DatatypeMismatch,
        format!("parameter ${} cannot be coerced to the expected type", index + 1),
    )
    .with_hint("You will need to rewrite or cast the expression."))
}
