//! What an SQL measure may say, and the plan that is made of it once. Every tick the plan's state is reset.
//!
//! One `SELECT` from one table, with `WHERE`, `GROUP BY` and `HAVING`. Aggregates are those whose parts can be put
//! together, so that a fleet of engines can share the work one day. Functions give the same for the same arguments.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use datafusion::{
    catalog::streaming::StreamingTable,
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext, runtime_env::RuntimeEnv},
    logical_expr::{Expr, LogicalPlan, Volatility, expr::AggregateFunction},
    physical_plan::{
        ExecutionPlan, collect, execution_plan::reset_plan_states, memory::MemoryStream,
        streaming::PartitionStream,
    },
    prelude::{SessionConfig, SessionContext},
    sql::{
        parser::Statement,
        sqlparser::ast::{self, SetExpr, visit_expressions},
    },
};
use foreshock_core::{
    config::Measure,
    types::{Batch, BatchSignal, Measured},
};

use super::{bounds, tables, values};

/// Aggregates whose parts can be put together.
const AGGREGATES: [&str; 22] = [
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "mean",
    "min",
    "regr_slope",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// A measure with its plan.
#[derive(Debug)]
pub(super) struct Planned {
    name: Arc<str>,
    signal: BatchSignal,
    context: Arc<TaskContext>,
    plan: Arc<dyn ExecutionPlan>,
    rows: Arc<Rows>,
    values: values::Values,
}

impl Planned {
    /// Plans a measure; an error says what is wrong with it. Needs a large stack, as all that walks a plan.
    pub(super) async fn new(measure: &Measure, environment: &Arc<RuntimeEnv>) -> Result<Planned, String> {
        let words = |error: DataFusionError| error.strip_backtrace();
        // One partition, so that the order of additions is the order of rows.
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, Arc::clone(environment));
        let state = context.state();
        let statement = Statement::Statement(Box::new(bounds::parse(&measure.sql)?));
        let names = state.resolve_table_references(&statement).map_err(words)?;
        let signal = match names.as_slice() {
            [name] => tables::named(name.table()),
            _ => None,
        }
        .ok_or("select from one table: metrics, histograms, logs or spans")?;
        let rows = Arc::new(Rows::new(tables::schema(signal, &attributes(&statement))));
        let parts: Vec<Arc<dyn PartitionStream>> = vec![rows.clone()];
        let table = StreamingTable::try_new(rows.schema.clone(), parts).map_err(words)?;
        context.register_table(tables::name(signal), Arc::new(table)).map_err(words)?;
        let state = context.state();
        let logical = state.statement_to_plan(statement).await.map_err(words)?;
        check(&logical)?;
        let plan = state.create_physical_plan(&logical).await.map_err(words)?;
        let values = values::Values::new(measure, &plan.schema())?;
        let name = Arc::from(measure.name.as_str());
        Ok(Planned { name, signal, context: context.task_ctx(), plan, rows, values })
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn signal(&self) -> BatchSignal {
        self.signal
    }

    /// The values over these rows, and how many rows of the result were left out. Without rows there is no value.
    pub(super) async fn run(&mut self, batches: &[Batch]) -> Result<(Vec<Measured>, u64), DataFusionError> {
        let Some(table) = tables::table(self.signal, &self.rows.schema, batches)? else {
            return Ok((Vec::new(), 0));
        };
        self.rows.set(tables::slices(&table));
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let result = collect(plan, Arc::clone(&self.context)).await;
        self.rows.set(Vec::new());
        Ok(self.values.of(&result?)?)
    }
}

/// The rows that the plan's scan reads.
#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    now: Mutex<Vec<RecordBatch>>,
}

impl Rows {
    fn new(schema: SchemaRef) -> Rows {
        Rows { schema, now: Mutex::new(Vec::new()) }
    }

    fn set(&self, rows: Vec<RecordBatch>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = MemoryStream::try_new(rows, self.schema.clone(), None);
        Box::pin(stream.expect("a stream without projection always fits its schema"))
    }
}

/// Names in double quotes that are no name of the result: attributes.
fn attributes(statement: &Statement) -> Vec<String> {
    let Statement::Statement(statement) = statement else { return Vec::new() };
    let given = aliases(statement);
    let mut found: Vec<String> = Vec::new();
    let mut see = |name: &ast::Ident| {
        let is_known = found.contains(&name.value) || given.contains(&name.value);
        if name.quote_style == Some('"') && !is_known {
            found.push(name.value.clone());
        }
    };
    let walked: ControlFlow<()> = visit_expressions(&**statement, |expression| {
        match expression {
            ast::Expr::Identifier(name) => see(name),
            ast::Expr::CompoundIdentifier(names) => names.last().into_iter().for_each(&mut see),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    debug_assert!(walked.is_continue());
    found
}

/// Names that the statement gives to columns of its result.
fn aliases(statement: &ast::Statement) -> Vec<String> {
    let ast::Statement::Query(query) = statement else { return Vec::new() };
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    let alias = |item: &ast::SelectItem| match item {
        ast::SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// Refuses what is no single `SELECT` with aggregates that can be put together.
fn check(plan: &LogicalPlan) -> Result<(), String> {
    let mut refused = None;
    let mut aggregates = 0;
    let mut used = bounds::Used::default();
    let walked = plan.apply(|node| {
        refused = match node {
            LogicalPlan::Aggregate(_) => {
                aggregates += 1;
                None
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::SubqueryAlias(_) => None,
            other => Some(format!(
                "{} is not possible here: write one SELECT … FROM … WHERE … GROUP BY … HAVING …",
                word(other)
            )),
        };
        if refused.is_none() {
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    refused = refused.take().or_else(|| refused_part(part)).or_else(|| used.refuses(part));
                    Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
                })
            })?;
        }
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|error| error.strip_backtrace())?;
    match (refused, aggregates) {
        (Some(why), _) => Err(why),
        (None, 1) => Ok(()),
        (None, _) => {
            Err("it aggregates nothing: a measure is a number per tick, as in SELECT count(*) AS value"
                .into())
        }
    }
}

/// How people call a part of a plan.
fn word(node: &LogicalPlan) -> String {
    let text = node.display().to_string();
    text.split([':', ' ']).next().unwrap_or_default().to_uppercase()
}

fn refused_part(part: &Expr) -> Option<String> {
    match part {
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let name = func.name();
            if !AGGREGATES.contains(&name) {
                return Some(format!(
                    "{name} cannot be put together from parts; use one of {}",
                    AGGREGATES.join(", ")
                ));
            }
            if params.distinct {
                return Some(format!(
                    "{name}(DISTINCT …) cannot be put together from parts; use approx_distinct"
                ));
            }
            (!params.order_by.is_empty()).then(|| format!("{name}(… ORDER BY …) is not possible here"))
        }
        Expr::ScalarFunction(function) => {
            let is_fixed = function.func.signature().volatility == Volatility::Immutable;
            (!is_fixed).then(|| {
                format!(
                    "{}() depends on more than its arguments, and so would the result",
                    function.func.name()
                )
            })
        }
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Some("a query within the query is not possible here".to_string())
        }
        _ => None,
    }
}
