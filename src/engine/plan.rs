//! A classified statement to a logical plan, over the names that its session sees.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, SchemaRef},
    catalog::TableProvider,
    common::{
        ScalarValue, TableReference,
        config::ConfigOptions,
        not_impl_err, plan_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    datasource::{cte_worktable::CteWorkTable, provider_as_source},
    error::{DataFusionError, Result as DataFusionResult},
    execution::SessionState,
    logical_expr::{
        AggregateUDF, Cast, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, TryCast,
        WindowUDF,
        planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner},
    },
    sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel},
    sql::sqlparser::ast,
};

use super::{ComplexityLimits, Engine};
use crate::{
    error::{Error, ErrorKind, Result},
    policy::OpenTable,
};

/// What a session's names mean. No IO: snapshots answer.
pub trait Names: Send + Sync {
    /// The table, as its principal sees it; a hidden one is missing, with the same words.
    fn table(&self, reference: &TableReference) -> Result<Arc<dyn TableProvider>>;

    /// Functions that answer for this session alone, such as `current_user`.
    fn functions(&self) -> &[Arc<ScalarUDF>];

    /// Gives PostgreSQL's own catalog forms (`'t'::regclass`) a shape that can be planned.
    fn rewrite(&self, statement: &mut ast::Statement) -> Result<()>;
}

/// A query with its names resolved and its parameters typed, not yet authorized.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: LogicalPlan,
    pub schema: SchemaRef,
    /// The types of `$1`, `$2`, …
    pub parameters: Vec<DataType>,
}

impl Engine {
    /// Plans one query. `declared` are the parameter types that the client fixed; the others are
    /// inferred, and text where nothing tells.
    pub async fn plan(
        &self,
        names: Arc<dyn Names>,
        state: &SessionState,
        statement: ast::Statement,
        declared: Vec<Option<DataType>>,
    ) -> Result<Planned> {
        let state = state.clone();
        let limits = self.limits.complexity;
        self.on_big_stack(move || plan(names.as_ref(), &state, statement, &declared, &limits)).await
    }
}

fn plan(
    names: &dyn Names,
    state: &SessionState,
    mut statement: ast::Statement,
    declared: &[Option<DataType>],
    limits: &ComplexityLimits,
) -> Result<Planned> {
    names.rewrite(&mut statement)?;
    crate::meaning::type_integers(&mut statement);
    let functions: HashMap<&str, &Arc<ScalarUDF>> =
        names.functions().iter().map(|function| (function.name(), function)).collect();
    let world = World { names, functions, state };
    let parameters = declared
        .iter()
        .enumerate()
        .map(|(index, declared)| {
            let name = format!("${}", index + 1);
            declared.clone().map(|data_type| Arc::new(Field::new(name, data_type, true)))
        })
        .collect();
    let plan = SqlToRel::new_with_options(&world, parser_options())
        .sql_statement_to_plan_with_context(
            statement,
            &mut PlannerContext::new().with_prepare_param_data_types(parameters),
        )?;
    check_relations(&plan, limits)?;
    let plan = crate::meaning::correct(plan)?;
    let parameters = parameter_types(&plan, declared)?;
    let schema = Arc::clone(plan.schema().inner());
    Ok(Planned { plan, schema, parameters })
}

fn parser_options() -> ParserOptions {
    ParserOptions::new()
        // PostgreSQL's reading of `1.5` is numeric.
        .with_parse_float_as_decimal(true)
        .with_map_string_types_to_utf8view(false)
        .with_support_varchar_with_length(true)
        .with_default_null_ordering(NullOrdering::NullsMax)
}

/// A common table expression is planned once and used many times; each use counts.
fn check_relations(plan: &LogicalPlan, limits: &ComplexityLimits) -> Result<()> {
    let mut relations = 0;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::TableScan(_)) {
            relations += 1;
        }
        if relations > limits.relations {
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    limits.check_relations(relations)
}

fn parameter_types(plan: &LogicalPlan, declared: &[Option<DataType>]) -> Result<Vec<DataType>> {
    let inferred = plan.get_parameter_types()?;
    let hints = parameter_hints(plan)?;
    let mut types: Vec<DataType> =
        declared.iter().map(|declared| declared.clone().unwrap_or(DataType::Utf8)).collect();
    for (name, inferred) in inferred {
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        let Some(index) = number.and_then(|number| number.checked_sub(1)) else {
            return Err(Error::new(
                ErrorKind::Syntax,
                format!("bad parameter \"{name}\", expected $1, $2, …"),
            ));
        };
        if index >= usize::from(u16::MAX) {
            return Err(Error::new(ErrorKind::ProgramLimitExceeded, "too many parameters"));
        }
        if types.len() <= index {
            types.resize(index + 1, DataType::Utf8);
        }
        if declared.get(index).is_none_or(Option::is_none) {
            let hint = hints.get(&name).cloned();
            types[index] = inferred.or(hint).unwrap_or(DataType::Utf8);
        }
    }
    Ok(types)
}

/// Types that the engine does not infer: `$1::bigint` asks for a bigint, and LIMIT counts rows.
fn parameter_hints(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut hints = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for bound in [&limit.skip, &limit.fetch].into_iter().flatten() {
                hint(bound, &DataType::Int64, &mut hints);
            }
        }
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) =
                    expression
                {
                    hint(expr, field.data_type(), &mut hints);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(hints)
}

fn hint(expression: &Expr, data_type: &DataType, hints: &mut HashMap<String, DataType>) {
    if let Expr::Placeholder(placeholder) = expression {
        hints.entry(placeholder.id.clone()).or_insert_with(|| data_type.clone());
    }
}

/// What a statement can speak of: its session's names, and the engine's functions.
struct World<'a> {
    names: &'a dyn Names,
    functions: HashMap<&'a str, &'a Arc<ScalarUDF>>,
    state: &'a SessionState,
}

/// Table functions that read nothing.
const TABLE_FUNCTIONS: &[&str] = &["generate_series", "range"];

impl ContextProvider for World<'_> {
    fn get_table_source(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        let table =
            self.names.table(&name).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(provider_as_source(table))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        arguments: Vec<Expr>,
    ) -> DataFusionResult<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(name);
        let (true, Some(function)) = (TABLE_FUNCTIONS.contains(&name), function) else {
            return plan_err!("function '{name}' does not exist or is no table function");
        };
        let arguments = arguments
            .into_iter()
            .map(|argument| fold_constant(argument, self.state))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let is_day = |argument: &Expr| matches!(argument, Expr::Literal(ScalarValue::Date32(_), _));
        if arguments.iter().any(is_day) {
            // Its rows are timestamps with time zone in PostgreSQL, and without one in the engine.
            return not_impl_err!("{name} of dates is not supported: cast them to timestamp");
        }
        let table = function.create_table_provider_with_args(
            datafusion::catalog::TableFunctionArgs::new(&arguments, self.state),
        )?;
        Ok(provider_as_source(Arc::new(OpenTable::new(table))))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> DataFusionResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let own = self.functions.get(name).map(|function| Arc::clone(function));
        own.or_else(|| {
            self.state.scalar_functions().get(crate::meaning::engine_name(name)?).cloned()
        })
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(crate::meaning::engine_name(name)?).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn get_variable_field(&self, _: &[String]) -> Option<FieldRef> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

fn fold_constant(argument: Expr, state: &SessionState) -> DataFusionResult<Expr> {
    use datafusion::{
        common::DFSchema, logical_expr::simplify::SimplifyContext,
        optimizer::simplify_expressions::ExprSimplifier,
    };
    let context =
        SimplifyContext::builder().with_config_options(Arc::clone(state.config_options())).build();
    let simplifier = ExprSimplifier::new(context);
    let argument = simplifier.coerce(argument, &DFSchema::empty())?;
    simplifier.simplify(argument)
}
