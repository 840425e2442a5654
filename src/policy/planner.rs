//! Plans the expressions of a policy against their table, in a world that holds nothing else: no
//! other table, no session setting, and only functions that have an answer for every value.
//!
//! Invariant: what is planned here can't fail on a row. An error would tell of a value that policy
//! hides, to whoever provokes it.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use datafusion::{
    arrow::datatypes::{DataType, Field, TimeUnit},
    common::{DFSchema, ScalarValue, TableReference, config::ConfigOptions, plan_err},
    error::{DataFusionError, Result},
    functions::{core, string, unicode},
    logical_expr::{
        AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, Operator, ScalarUDF, TableSource,
        WindowUDF, cast,
        planner::{ContextProvider, ExprPlanner},
        simplify::SimplifyContext,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    sql::planner::{PlannerContext, SqlToRel},
    sql::sqlparser::ast,
};

use super::{
    ObjectPath,
    functions::{Truncate, is_unit},
};

/// The functions of policies, as docs/policy.md lists them.
pub const FUNCTIONS: &[&str] = &[
    "btrim",
    "char_length",
    "coalesce",
    "concat",
    "date_trunc",
    "left",
    "length",
    "lower",
    "ltrim",
    "nullif",
    "right",
    "rtrim",
    "starts_with",
    "substr",
    "substring",
    "trim",
    "upper",
];

static PLANNED: LazyLock<HashMap<&'static str, Arc<ScalarUDF>>> = LazyLock::new(|| {
    HashMap::from([
        ("btrim", string::btrim()),
        ("char_length", unicode::character_length()),
        ("coalesce", core::coalesce()),
        ("concat", string::concat()),
        ("date_trunc", Arc::new(ScalarUDF::from(Truncate::default()))),
        ("left", unicode::left()),
        ("length", unicode::character_length()),
        ("lower", string::lower()),
        ("ltrim", string::ltrim()),
        ("nullif", core::nullif()),
        ("right", unicode::right()),
        ("rtrim", string::rtrim()),
        ("starts_with", string::starts_with()),
        ("substr", unicode::substr()),
        ("substring", unicode::substr()),
        ("trim", string::btrim()),
        ("upper", string::upper()),
    ])
});

pub fn is_known_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// A row filter against its table. Types are coerced here, against the raw columns, so that the
/// meaning of a policy does not hang on a query.
pub fn plan_predicate(
    predicate: &ast::Expr,
    schema: &DFSchema,
    table: &ObjectPath,
) -> Result<Expr> {
    predicate_over(predicate, schema).map_err(|error| unusable(table, "row filter", &error))
}

/// A mask that is SQL, in the type of its column.
pub fn plan_mask(
    mask: &ast::Expr,
    schema: &DFSchema,
    column: &Field,
    table: &ObjectPath,
) -> Result<Expr> {
    mask_over(mask, schema, column).map_err(|error| unusable(table, "column mask", &error))
}

/// As [`plan_predicate`], for whoever may read why it does not fit.
pub fn predicate_over(predicate: &ast::Expr, schema: &DFSchema) -> Result<Expr> {
    let planned = total_over(predicate, schema)?;
    match planned.get_type(schema)? {
        DataType::Boolean | DataType::Null => Ok(planned),
        found => plan_err!("a row filter must be boolean, found {found}"),
    }
}

/// As [`plan_mask`], for whoever may read why it does not fit.
pub fn mask_over(mask: &ast::Expr, schema: &DFSchema, column: &Field) -> Result<Expr> {
    let planned = total_over(mask, schema)?;
    let (found, expected) = (planned.get_type(schema)?, column.data_type());
    if found == *expected {
        return Ok(planned);
    }
    if let Expr::Literal(value, _) = &planned {
        // Before any row: a constant that does not fit is a mistake, and no value's.
        let fitting = value.cast_to(expected)?;
        if fitting.is_null() == value.is_null() {
            return Ok(Expr::Literal(fitting, None));
        }
    }
    if is_total_cast(&found, expected) {
        return Ok(cast(planned, expected.clone()));
    }
    plan_err!("a mask of type {found} does not fit column {} of type {expected}", column.name())
}

fn unusable(table: &ObjectPath, what: &str, error: &DataFusionError) -> DataFusionError {
    tracing::error!(%table, %error, "a {what} does not fit its table");
    // The text of the policy is not the client's to read.
    DataFusionError::External(Box::new(
        crate::error::Error::new(
            crate::error::ErrorKind::PermissionDenied,
            format!("the policy for table \"{table}\" can't be applied"),
        )
        .with_hint("The server's log names the rule."),
    ))
}

fn total_over(expression: &ast::Expr, schema: &DFSchema) -> Result<Expr> {
    let world = ClosedWorld::default();
    // A source may say NOT NULL and not keep it; what is simplified away is not looked at again.
    let schema = &nullable(schema)?;
    let planned = SqlToRel::new(&world).sql_to_expr(
        expression.clone(),
        schema,
        &mut PlannerContext::new(),
    )?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    // Constants are computed here, where they may fail.
    let planned = simplifier.simplify(simplifier.coerce(planned, schema)?)?;
    check_total(&planned, schema)?;
    Ok(planned)
}

fn nullable(schema: &DFSchema) -> Result<DFSchema> {
    let fields = schema
        .iter()
        .map(|(table, field)| {
            (table.cloned(), Arc::new(field.as_ref().clone().with_nullable(true)))
        })
        .collect();
    DFSchema::new_with_metadata(fields, schema.metadata().clone())
}

/// Refuses what could fail on some value of a column.
fn check_total(expression: &Expr, schema: &DFSchema) -> Result<()> {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    expression.apply(|node| {
        if let Some(why) = may_fail(node, schema)? {
            return plan_err!("{why} may fail on a value, and is not for policies");
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Why a node, its inputs aside, is not total.
fn may_fail(node: &Expr, schema: &DFSchema) -> Result<Option<String>> {
    Ok(match node {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Case(_)
        | Expr::TryCast(_) => None,
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::And
            | Operator::Or
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::StringConcat => None,
            other => Some(format!("operator {other}")),
        },
        Expr::Like(like) if matches!(like.pattern.as_ref(), Expr::Literal(..)) => None,
        Expr::Like(_) => Some("LIKE with a pattern that is no constant".to_owned()),
        Expr::Cast(inner) => {
            let from = inner.expr.get_type(schema)?;
            let to = inner.field.data_type();
            (!is_total_cast(&from, to)).then(|| format!("a cast from {from} to {to}"))
        }
        Expr::ScalarFunction(function) => {
            let name = function.func.name();
            let options = function.args.get(1..).unwrap_or_default();
            match name {
                "left" | "right" | "substr" | "btrim" | "ltrim" | "rtrim"
                    if !options.iter().all(is_harmless_option) =>
                {
                    Some(format!("{name} with an argument that is no constant"))
                }
                "date_trunc" if !function.args.first().is_some_and(is_unit_literal) => Some(
                    "date_trunc by another unit than year, quarter, month, week, day, hour, \
                          minute or second"
                        .to_owned(),
                ),
                _ if PLANNED.values().any(|known| known.name() == name) => None,
                _ => Some(format!("function {name}")),
            }
        }
        other => Some(format!("{other}")),
    })
}

fn is_harmless_option(option: &Expr) -> bool {
    match option {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number >= 0,
        Expr::Literal(value, _) => {
            matches!(value.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        _ => false,
    }
}

fn is_unit_literal(argument: &Expr) -> bool {
    matches!(argument, Expr::Literal(ScalarValue::Utf8(Some(word)), _) if is_unit(word))
}

/// Does every value of the one type have a value in the other? Digits behind the point may be lost.
fn is_total_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Decimal128, Float16, Float32, Float64, LargeUtf8, Null, Timestamp, Utf8,
        Utf8View,
    };
    let is_text = |data_type: &DataType| matches!(data_type, Utf8 | LargeUtf8 | Utf8View);
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) => true,
        (from, to) if is_text(from) && is_text(to) => true,
        (Boolean | Float16 | Float32 | Float64 | Decimal128(..), to) if is_text(to) => true,
        (from, to) if from.is_integer() && is_text(to) => true,
        (from, to) if from.is_integer() && to.is_integer() => {
            let (from_bits, to_bits) = (from.primitive_width(), to.primitive_width());
            let is_same_sign = from.is_signed_integer() == to.is_signed_integer();
            (is_same_sign || to.is_signed_integer()) && from_bits < to_bits
        }
        (from, Float64) if from.is_integer() => true,
        (Float16 | Float32 | Decimal128(..), Float64) => true,
        (from, Decimal128(precision, scale)) if from.is_integer() => {
            let digits = match from.primitive_width() {
                Some(1) => 3,
                Some(2) => 5,
                Some(4) => 10,
                _ => 20,
            };
            i32::from(*precision) - i32::from(*scale) >= digits
        }
        (Decimal128(precision, scale), Decimal128(to_precision, to_scale)) => {
            to_scale >= scale
                && i32::from(*to_precision) - i32::from(*to_scale)
                    >= i32::from(*precision) - i32::from(*scale)
        }
        (Date32, Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)) => true,
        _ => false,
    }
}

#[derive(Default)]
struct ClosedWorld {
    options: ConfigOptions,
}

impl ContextProvider for ClosedWorld {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("a policy can't read another table: {name}")
    }

    /// SUBSTRING has a syntax of its own.
    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        static PLANNERS: LazyLock<[Arc<dyn ExprPlanner>; 1]> =
            LazyLock::new(|| [Arc::new(unicode::planner::UnicodeFunctionPlanner)]);
        PLANNERS.as_slice()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        PLANNED.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.iter().map(|name| (*name).to_owned()).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Schema;

    use super::*;
    use crate::policy::expression::parse;

    fn schema() -> DFSchema {
        let column = |name, data_type| Field::new(name, data_type, true);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        DFSchema::try_from(Schema::new(vec![
            column("id", DataType::Int32),
            column("wide", DataType::Int64),
            column("note", DataType::Utf8),
            column("price", DataType::Decimal128(10, 2)),
            column("born", DataType::Date32),
            column("at", micros),
        ]))
        .unwrap()
    }

    /// `ok`, or why not.
    fn verdict(outcome: Result<Expr>) -> String {
        match outcome {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.strip_backtrace(),
        }
    }

    #[test]
    fn a_predicate_can_fail_on_no_value() {
        for (text, expected) in [
            ("note = 'x'", "ok"),
            ("id = 7 AND wide > 5000000000", "ok"),
            ("price < 1000 * 2", "ok"),
            ("born >= '2020-01-01'", "ok"),
            ("at >= '2020-01-01'", "ok"),
            ("at < DATE '2020-01-01'", "ok"),
            ("id = wide", "ok"),
            ("note IN ('a', NULL)", "ok"),
            ("note LIKE 'a%' OR note IS NULL", "ok"),
            ("CASE WHEN id > 1 THEN true ELSE note = 'x' END", "ok"),
            ("TRY_CAST(note AS INT) = 1", "ok"),
            ("upper(note) = 'X' AND starts_with(note, 'y')", "ok"),
            ("true", "ok"),
            ("NULL", "ok"),
            ("id", "must be boolean"),
            ("CAST(note AS INT) > 0", "a cast from Utf8 to Int32"),
            ("CAST(wide AS INT) = id", "a cast from Int64 to Int32"),
            ("10 / (id - 5) > 1", "operator"),
            ("id + 1 > 2", "operator +"),
            ("note ~ 'x'", "ok"),
            ("note ~ 'x+y|z'", "operator ~"),
            ("note LIKE note", "no constant"),
            ("left(note, id) = 'x'", "no constant"),
            ("substr(note, 1, -1) = 'x'", "no constant"),
            ("nosuch = 1", "nosuch"),
            ("CAST('x' AS INT) = id", "Cannot cast"),
        ] {
            let found = verdict(predicate_over(&parse(text).unwrap(), &schema()));
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn a_mask_has_the_type_of_its_column() {
        for (column, text, expected) in [
            ("note", "left(note, 1) || '***'", "ok"),
            ("note", "concat(upper(note), id)", "ok"),
            ("note", "substring(note FROM 1 FOR 2)", "ok"),
            ("note", "trim(note)", "ok"),
            ("note", "coalesce(note, 'none')", "ok"),
            ("note", "CASE WHEN id > 5 THEN note END", "ok"),
            ("note", "NULL", "ok"),
            ("note", "id", "ok"),
            ("id", "0", "ok"),
            ("wide", "id", "ok"),
            ("price", "0", "ok"),
            ("born", "date_trunc('year', born)", "ok"),
            ("at", "date_trunc('month', at)", "ok"),
            ("born", "'1970-01-01'", "ok"),
            ("id", "wide", "does not fit"),
            ("id", "'x'", "Cannot cast"),
            ("id", "5000000000", "Can't cast value 5000000000"),
            ("id", "note", "does not fit"),
            ("born", "at", "does not fit"),
            ("at", "date_trunc('eon', at)", "another unit"),
            ("note", "born || ''", "a cast from Date32"),
        ] {
            // A word alone is no mask in a policy; here it is the shortest expression.
            let expression = parse(text).unwrap();
            let schema = schema();
            let column = schema.field_with_unqualified_name(column).unwrap();
            let found = verdict(mask_over(&expression, &schema, column));
            assert!(found.contains(expected), "{column} {text}: {found}");
        }
    }
}
