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
        AggregateUDF, Cast, Expr, ExprSchemable, HigherOrderUDF, LogicalPlan, ScalarUDF,
        TableSource, TryCast, WindowUDF,
        planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner},
        utils::merge_schema,
    },
    sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel},
    sql::sqlparser::ast,
};

use weir_catalogs::field::PG_TYPE;

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

    /// Gives PostgreSQL's own catalog forms (`'t'::regclass`) a shape that can be planned. Answers
    /// the names of types that parameters are cast to and the engine does not have.
    fn rewrite(&self, statement: &mut ast::Statement) -> Result<HashMap<String, &'static str>>;
}

/// A query with its names resolved and its parameters typed, not yet authorized.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: LogicalPlan,
    pub schema: SchemaRef,
    /// `$1`, `$2`, … with their types, and what PostgreSQL calls those where that is known.
    pub parameters: Vec<FieldRef>,
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
    let cast_parameters = names.rewrite(&mut statement)?;
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
    let parameters = parameter_fields(&plan, declared, &cast_parameters)?;
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

fn parameter_fields(
    plan: &LogicalPlan,
    declared: &[Option<DataType>],
    cast: &HashMap<String, &'static str>,
) -> Result<Vec<FieldRef>> {
    let number = |index: usize| format!("${}", index + 1);
    let field = |index, data_type| Arc::new(Field::new(number(index), data_type, true));
    let mut fields: Vec<FieldRef> = declared
        .iter()
        .enumerate()
        .map(|(index, declared)| field(index, declared.clone().unwrap_or(DataType::Utf8)))
        .collect();
    for (name, inferred) in inferred_parameters(plan)? {
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
        while fields.len() <= index {
            fields.push(field(fields.len(), DataType::Utf8));
        }
        if declared.get(index).is_some_and(Option::is_some) {
            continue;
        }
        let inferred = inferred.map(|inferred| inferred.as_ref().clone().with_name(name.clone()));
        fields[index] = match (cast.get(&name), inferred) {
            (Some(kind), inferred) => {
                let inferred = inferred.unwrap_or_else(|| only_postgresql(&name, kind));
                Arc::new(inferred.with_metadata(pg_type(kind)))
            }
            (None, Some(inferred)) => Arc::new(inferred),
            (None, None) => field(index, DataType::Utf8),
        };
    }
    Ok(fields)
}

fn pg_type(name: &str) -> HashMap<String, String> {
    HashMap::from([(PG_TYPE.to_owned(), name.to_owned())])
}

/// A parameter of a type for which the engine has another.
fn only_postgresql(name: &str, kind: &str) -> Field {
    let element = if kind.starts_with("oid") { DataType::Int64 } else { DataType::Utf8 };
    match kind.ends_with("[]") {
        true => Field::new(name, DataType::new_list(element, true), true),
        false => Field::new(name, element, true),
    }
}

/// Every parameter, with its type if its surroundings tell: what it is compared with, a cast, the
/// array of what it is compared with any element of, a count of rows.
fn inferred_parameters(plan: &LogicalPlan) -> Result<HashMap<String, Option<FieldRef>>> {
    let mut known: HashMap<String, Option<FieldRef>> = HashMap::new();
    let mut hints = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for bound in [&limit.skip, &limit.fetch].into_iter().flatten() {
                hint(bound, Some(DataType::Int64), &mut hints);
            }
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                match expression {
                    Expr::Placeholder(placeholder) => {
                        let field = known.entry(placeholder.id.clone()).or_default();
                        if field.is_none() {
                            *field = placeholder.field.clone().map(comparable);
                        }
                    }
                    Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                        hint(expr, Some(field.data_type().clone()), &mut hints);
                    }
                    Expr::ScalarFunction(function) if function.func.name() == "array_has" => {
                        if let [array, member] = function.args.as_slice() {
                            let member = member.get_type(&schema).ok();
                            let array_type = member.map(|member| DataType::new_list(member, true));
                            hint(array, array_type, &mut hints);
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    for (name, data_type) in hints {
        let field = known.entry(name.clone()).or_default();
        if field.is_none() {
            *field = Some(Arc::new(Field::new(name, data_type, true)));
        }
    }
    Ok(known)
}

/// The type of which a parameter is that is compared with a column: text for varchar, which has no
/// comparisons of its own.
fn comparable(column: FieldRef) -> FieldRef {
    match column.metadata().get(PG_TYPE) {
        Some(kind) if !kind.starts_with("character varying") => {
            let field = Field::new(column.name(), column.data_type().clone(), true);
            Arc::new(field.with_metadata(pg_type(kind)))
        }
        _ => Arc::new(Field::new(column.name(), column.data_type().clone(), true)),
    }
}

fn hint(expression: &Expr, data_type: Option<DataType>, hints: &mut HashMap<String, DataType>) {
    if let (Expr::Placeholder(placeholder), Some(data_type)) = (expression, data_type) {
        hints.entry(placeholder.id.clone()).or_insert(data_type);
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
