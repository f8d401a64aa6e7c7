//! Templates that people write, for sinks and for controllers: checked when they are loaded, so that none can take the stack, memory
//! or time of the engine.
//!
//! * `walk`: the syntax tree; how deep it is, how large its values become, how much work it is
//! * `filters`: what each filter and function makes of sizes
//! * `size`: an upper bound that grows with the values that a template is filled from
//! * `output`: what is inserted, escaped, up to a limit
//!
//! MiniJinja bounds the steps of a template (fuel), but one step can double a text. So the sizes are bounded before anything runs:
//! for values of an ordinary extent when the template is loaded, and again for the very values that it is filled from.

mod filters;
mod output;
mod size;
#[cfg(test)]
mod tests;
mod walk;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, machinery};

pub use output::{Escaping, escape};

use crate::stack::with_stack;
use output::Limited;
use size::{Extent, Shape, Size};
use walk::{Bounds, Walk};

/// Longest template, bytes. Chosen: ten times the longest that we know of.
const LONGEST: usize = 16 << 10;
/// Longest text that comes out, bytes. Chosen: Slack takes 40,000 characters, and what takes JSON seldom more than 1 MB.
pub const LONGEST_OUTPUT: usize = 256 << 10;
/// Steps after which a template is broken off.
const FUEL: u64 = 100_000;
/// Bytes that the values of a template may take at any one time.
const LARGEST: u64 = 32 << 20;
/// Work of a template, bytes read and written: about a second (measured: the slowest, `unique`, takes 3 s in a debug build).
const MOST_WORK: u64 = 512 << 20;
/// The values for which a template must be within its bounds when it is loaded. Chosen: ten times a large incident. What it is
/// filled from is bounded again, by its own extent.
const REFERENCE: Extent = Extent { text: 16 << 10, whole: 256 << 10, values: 16 << 10 };
/// The name that MiniJinja gives in its errors.
const NAME: &str = "message";

/// Why a template cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {problem}")]
struct Refused {
    line: usize,
    column: usize,
    problem: String,
}

/// A template that is within its bounds.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    bounds: Bounds,
}

impl Template {
    /// A template over the names in `known`, each with the JSON Schema of its value.
    pub fn new(
        source: &str,
        escaping: Escaping,
        undefined: UndefinedBehavior,
        known: &[(&str, serde_json::Value)],
    ) -> Result<Template, String> {
        if source.len() > LONGEST {
            return Err(format!("is {} bytes long: at most {LONGEST} are read", source.len()));
        }
        let bounds = with_stack(|| bounds(source, known))
            .map_err(|error| format!("there is no thread to read it: {error}"))??;
        let mut environment = output::environment(escaping);
        environment.set_undefined_behavior(undefined);
        environment.add_template_owned(NAME, source.to_string()).map_err(|problem| format!("{problem:#}"))?;
        Ok(Template { environment, bounds })
    }

    /// The template with these values put in.
    pub fn fill(&self, values: Value) -> Result<String, String> {
        let extent = serde_json::to_value(&values).map(|values| Extent::of(&values));
        let extent = extent.map_err(|problem| problem.to_string())?;
        if self.bounds.memory.at(&extent) > LARGEST || self.bounds.once.at(&extent) > MOST_WORK {
            return Err(format!("it could become too large: its values have {} bytes", extent.whole));
        }
        let left = MOST_WORK - self.bounds.once.at(&extent);
        let steps = left / self.bounds.step.at(&extent).max(1);
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(steps.min(FUEL)));
        let template = environment.get_template(NAME).map_err(|problem| format!("{problem:#}"))?;
        let mut output = Limited::default();
        template.render_captured_to(values, &mut output).map_err(|problem| words(&problem))?;
        output.into_text()
    }
}

/// An error of MiniJinja with what led to it.
fn words(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes too many steps for such values: loop over less, or do less with long texts in a loop".to_string();
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error:#}: {source}"),
        None => format!("{error:#}"),
    }
}

/// Parses a template, and bounds it. Needs a large stack.
fn bounds(source: &str, known: &[(&str, serde_json::Value)]) -> Result<Bounds, String> {
    let tree = machinery::parse(source, NAME, Default::default(), Default::default())
        .map_err(|problem| format!("{problem:#}"))?;
    let known = known.iter().map(|(name, schema)| (*name, Size::known(Shape::new(schema)))).collect();
    let mut walk = Walk::new(known);
    walk.statement(&tree).map_err(|refused| refused.to_string())?;
    Ok(walk.bounds)
}
