//! What keeps a measure from taking the stack, memory or time of the engine, before anything of it is evaluated.
//!
//! | what | bound |
//! |---|---|
//! | the text | [`LONGEST`] bytes |
//! | the syntax tree | [`DEEPEST`] levels; everything that walks one has a large stack ([`foreshock_core::stack`]) |
//! | functions | those in [`EVEN`], whose result is not much larger than their arguments |
//! | texts that are made of columns | [`MOST_COPIES`] in a measure, over [`super::tables::SLICE`] rows at a time |
//! | patterns | literal, [`MOST_PATTERNS`] in a measure, each of at most [`LONGEST_PATTERN`] bytes and [`PATTERN_MEMORY`] |
//! | groups | `series.sql_memory`, by DataFusion's memory pool |

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, Operator, expr::Like},
    scalar::ScalarValue,
    sql::sqlparser::{
        ast::{self, Spanned, Visit, Visitor},
        dialect::GenericDialect,
        parser::Parser,
        tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
    },
};

/// Longest measure, bytes. Chosen: ten times the longest that we know of.
const LONGEST: usize = 16 << 10;
/// Deepest syntax tree. Chosen: 200 terms joined by AND are 200 levels.
const DEEPEST: usize = 250;
/// Brackets, CASEs and signs within one another. The parser's time doubles with each where something in them is wrong.
const BRACKETS: usize = 16;
/// Texts that are made of columns, each as long as all of a slice.
const MOST_COPIES: usize = 64;
/// Patterns in a measure.
const MOST_PATTERNS: usize = 16;
/// Longest pattern, bytes.
const LONGEST_PATTERN: usize = 1024;
/// Most places in a pattern of LIKE that stand for any text.
const MOST_PLACES: usize = 16;
/// Largest program of a regular expression, bytes.
const PATTERN_MEMORY: usize = 1 << 20;
/// Most centroids of `approx_percentile_cont`.
const MOST_CENTROIDS: u64 = 1_000;

/// Functions whose result is at most about as large as their arguments, in time that grows as they do. Some of them are there only in
/// a build with more of DataFusion's features.
pub(super) const EVEN: &str = "
    abs acos acosh arrow_typeof ascii asin asinh atan atan2 atanh bit_length btrim cbrt ceil character_length chr coalesce
    concat concat_ws contains cos cosh cot date_bin date_part date_trunc decode degrees encode ends_with exp factorial
    find_in_set floor from_unixtime gcd get_field greatest initcap isnan iszero lcm least left ln log log10 log2 lower ltrim
    make_date make_time nanvl nullif nvl nvl2 octet_length overlay pi power radians regexp_count regexp_instr regexp_like
    regexp_match reverse right round rtrim signum sin sinh split_part sqrt starts_with strpos substr substr_index tan tanh
    to_char to_date to_hex to_local_time to_time to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos
    to_timestamp_seconds to_unixtime translate trunc upper version";

/// Functions that are refused, with the reason.
pub(super) const REFUSED: [(&str, &str); 9] = [
    ("repeat", "its result can be any number of times as large as its arguments"),
    ("lpad", "its result can be as long as a number says"),
    ("rpad", "its result can be as long as a number says"),
    (
        "replace",
        "its result can be many times as large as its arguments; translate replaces single characters",
    ),
    (
        "regexp_replace",
        "its result can be many times as large as its arguments; regexp_match takes parts of a text",
    ),
    ("levenshtein", "its time grows with the product of the lengths"),
    ("arrow_cast", "it makes values of any size; use CAST"),
    ("arrow_try_cast", "it makes values of any size; use TRY_CAST"),
    ("uuid", "it depends on more than its arguments, and so would the result"),
];

/// The one statement of a measure, if it is neither too long nor too deep. Needs a large stack.
pub(super) fn parse(sql: &str) -> Result<ast::Statement, String> {
    if sql.len() > LONGEST {
        return Err(format!("is {} bytes long: at most {LONGEST} are read", sql.len()));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| error.to_string())?;
    let statements = tokens.iter().position(|token| token.token == Token::SemiColon).unwrap_or(tokens.len());
    let is_more = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon);
    if let Some(more) = tokens[statements..].iter().find(is_more) {
        let Location { line, column } = more.span.start;
        return Err(format!(
            "line {line} column {column}: one statement is enough: leave out what comes after it"
        ));
    }
    brackets(&tokens)?;
    let parser = Parser::new(&dialect).with_recursion_limit(4 * BRACKETS);
    let mut parser = parser.with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| error.to_string())?;
    while parser.consume_token(&Token::SemiColon) {}
    parser.expect_token(&Token::EOF).map_err(|error| error.to_string())?;
    match statement.visit(&mut Depth::default()) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(why) => Err(why),
    }
}

/// Counts what nests, before the parser goes down it.
fn brackets(tokens: &[TokenWithSpan]) -> Result<(), String> {
    let (mut open, mut signs) = (0_usize, 0);
    for TokenWithSpan { token, span } in tokens {
        let word = match token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
            _ => String::new(),
        };
        let is_sign = match token {
            Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark | Token::AtSign => true,
            _ => {
                ["NOT", "INTERVAL", "DATE", "TIME", "TIMESTAMP", "DATETIME", "PRIOR"].contains(&word.as_str())
            }
        };
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ if word == "CASE" => open += 1,
            _ if word == "END" => open = open.saturating_sub(1),
            _ => {}
        }
        signs = if is_sign { signs + 1 } else { 0 };
        if open + signs > BRACKETS {
            return Err(too_deep(span.start, &format!("{BRACKETS} brackets, CASEs and signs")));
        }
    }
    Ok(())
}

fn too_deep(at: Location, what: &str) -> String {
    let Location { line, column } = at;
    format!(
        "line {line} column {column}: nests deeper than {what}: use fewer operators in one expression, or IN (…)"
    )
}

/// Goes down a syntax tree as far as it may be deep.
#[derive(Default)]
struct Depth {
    depth: usize,
    /// Where the latest part was that says where it is.
    at: Option<Location>,
}

impl Visitor for Depth {
    type Break = String;

    fn pre_visit_expr(&mut self, expression: &ast::Expr) -> ControlFlow<String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let start = expression.span().start;
            let at = if start.line > 0 { start } else { self.at.unwrap_or(Location { line: 1, column: 1 }) };
            return ControlFlow::Break(too_deep(at, &format!("{DEEPEST} levels")));
        }
        if let ast::Expr::Identifier(name) = expression {
            self.at = Some(name.span.start);
        }
        match expression {
            ast::Expr::Cube(_) | ast::Expr::Rollup(_) | ast::Expr::GroupingSets(_) => ControlFlow::Break(
                "CUBE, ROLLUP and GROUPING SETS are not possible here: write one measure for each"
                    .to_string(),
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &ast::Expr) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<String> {
        let ast::SetExpr::Select(select) = &*query.body else {
            return ControlFlow::Break(
                "UNION, VALUES and the like are not possible here: write one SELECT".to_string(),
            );
        };
        let is_grouped_otherwise = match &select.group_by {
            ast::GroupByExpr::All(_) => false,
            ast::GroupByExpr::Expressions(_, modifiers) => !modifiers.is_empty(),
        };
        if is_grouped_otherwise {
            return ControlFlow::Break(
                "GROUP BY … WITH … is not possible here: write one measure for each".to_string(),
            );
        }
        match select.from.as_slice() {
            [from] if !from.joins.is_empty() => {
                ControlFlow::Break("select from one table, without JOIN".to_string())
            }
            [_, _, ..] => {
                ControlFlow::Break("select from one table: metrics, histograms, logs or spans".to_string())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// What a measure has used of what is bounded.
#[derive(Debug, Default)]
pub(super) struct Used {
    patterns: usize,
    copies: usize,
}

impl Used {
    /// Why a part of an expression is refused, if it is. Every part is asked for once, from the outside in.
    pub(super) fn refuses(&mut self, part: &Expr) -> Option<String> {
        let refused = match part {
            Expr::ScalarFunction(function) => {
                let name = function.func.name();
                let pattern = function.args.get(1).filter(|_| name.starts_with("regexp_"));
                known(name).or_else(|| pattern.and_then(|pattern| self.regex(pattern)))
            }
            Expr::Like(like) => self.like(like),
            Expr::SimilarTo(similar) => self.regex(&similar.pattern),
            Expr::BinaryExpr(operation) => match operation.op {
                Operator::RegexMatch
                | Operator::RegexIMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch => self.regex(&operation.right),
                _ => None,
            },
            Expr::Cast(cast) => cast_to(cast.field.data_type()),
            Expr::TryCast(cast) => cast_to(cast.field.data_type()),
            Expr::AggregateFunction(function) if function.func.name() == "approx_percentile_cont" => {
                let centroids = function.params.args.get(2);
                let is_few =
                    |centroids: &Expr| number(centroids).is_some_and(|count| count <= MOST_CENTROIDS);
                centroids.filter(|centroids| !is_few(centroids)).map(|_| {
                    format!(
                        "approx_percentile_cont takes a literal number of centroids, at most {MOST_CENTROIDS}"
                    )
                })
            }
            _ => None,
        };
        refused.or_else(|| self.copied(part))
    }

    /// Texts that are made of columns are as long as these.
    fn copied(&mut self, part: &Expr) -> Option<String> {
        let makes_text = match part {
            Expr::ScalarFunction(_) => true,
            Expr::BinaryExpr(operation) => operation.op == Operator::StringConcat,
            Expr::Cast(cast) => is_text(cast.field.data_type()),
            Expr::TryCast(cast) => is_text(cast.field.data_type()),
            _ => false,
        };
        if !makes_text {
            return None;
        }
        // Those of a part within are counted with that.
        let mut columns = 0;
        let within = part.apply_children(|child| {
            child.apply(|inner| {
                columns += usize::from(matches!(inner, Expr::Column(_)));
                Ok(TreeNodeRecursion::Continue)
            })
        });
        debug_assert!(within.is_ok());
        self.copies += columns;
        (self.copies > MOST_COPIES).then(|| {
            format!(
                "makes more than {MOST_COPIES} texts of columns: use fewer functions of text in one measure"
            )
        })
    }

    fn like(&mut self, like: &Like) -> Option<String> {
        let Some(pattern) = text(&like.pattern) else { return Some(not_literal("LIKE")) };
        self.pattern(pattern).or_else(|| {
            let places = pattern.matches('%').count();
            (places > MOST_PLACES)
                .then(|| format!("a pattern of LIKE has {places} times %: at most {MOST_PLACES}"))
        })
    }

    fn regex(&mut self, pattern: &Expr) -> Option<String> {
        let Some(pattern) = text(pattern) else { return Some(not_literal("a regular expression")) };
        self.pattern(pattern).or_else(|| {
            let built =
                regex::RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_MEMORY).build();
            built.err().map(|error| format!("the pattern {pattern:?}: {error}"))
        })
    }

    fn pattern(&mut self, pattern: &str) -> Option<String> {
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            return Some(format!(
                "has more than {MOST_PATTERNS} patterns: join some with | in one regular expression"
            ));
        }
        let length = pattern.len();
        (length > LONGEST_PATTERN)
            .then(|| format!("a pattern is {length} bytes long: at most {LONGEST_PATTERN}"))
    }
}

/// Whether a function is one of [`EVEN`].
pub(super) fn is_even(name: &str) -> bool {
    EVEN.split_whitespace().any(|even| even == name)
}

fn known(name: &str) -> Option<String> {
    if is_even(name) {
        return None;
    }
    let why = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why);
    Some(format!("{name}() is not possible here: {}", why.unwrap_or("nobody has looked at what it can take")))
}

fn cast_to(kind: &DataType) -> Option<String> {
    let is_sized = kind.is_nested() || matches!(kind, DataType::FixedSizeBinary(_));
    is_sized.then(|| format!("a cast to {kind} is not possible here: cast to a number, a text or a time"))
}

fn is_text(kind: &DataType) -> bool {
    kind.is_string() || kind.is_binary()
}

fn not_literal(what: &str) -> String {
    format!("the pattern of {what} has to be a literal text")
}

fn text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

fn number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Literal(ScalarValue::Int64(Some(count)), _) => u64::try_from(*count).ok(),
        _ => None,
    }
}
