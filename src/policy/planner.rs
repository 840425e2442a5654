//! Plans a row filter against its table, in a world that holds nothing else: no other table, no
//! function, no session setting.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, TableReference, config::ConfigOptions, plan_err},
    error::{DataFusionError, Result},
    logical_expr::{
        AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
        planner::ContextProvider,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    sql::planner::{PlannerContext, SqlToRel},
    sql::sqlparser::ast,
};

use super::ObjectPath;

/// Types are coerced here, against the raw columns, so that the meaning of a policy does not hang on
/// a query.
pub fn plan_predicate(
    predicate: &ast::Expr,
    schema: &DFSchema,
    table: &ObjectPath,
) -> Result<Expr> {
    let world = EmptyWorld::default();
    let planned = SqlToRel::new(&world)
        .sql_to_expr(predicate.clone(), schema, &mut PlannerContext::new())
        .and_then(|expression| ExprSimplifier::new(Default::default()).coerce(expression, schema))
        .and_then(|expression| match expression.get_type(schema)? {
            DataType::Boolean | DataType::Null => Ok(expression),
            found => plan_err!("a row filter must be boolean, found {found}"),
        });
    planned.map_err(|error| {
        tracing::error!(%table, %error, "a row filter does not fit its table");
        // The text of the policy is not the client's to read.
        DataFusionError::External(Box::new(
            crate::error::Error::new(
                crate::error::ErrorKind::PermissionDenied,
                format!("the policy for table \"{table}\" can't be applied"),
            )
            .with_hint("The server's log names the rule."),
        ))
    })
}

#[derive(Default)]
struct EmptyWorld {
    options: ConfigOptions,
}

impl ContextProvider for EmptyWorld {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("a row filter can't read another table: {name}")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn datafusion::logical_expr::planner::ExprPlanner>] {
        &[]
    }

    fn get_function_meta(&self, _: &str) -> Option<Arc<ScalarUDF>> {
        None
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
        Vec::new()
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
