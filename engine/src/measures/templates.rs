//! Log lines as templates: Drain (He, Zhu, Zheng, Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth
//! Tree", ICWS 2017), with masking of what is certainly variable before the tree is walked.
//!
//! The tree is by number of tokens, then by the first tokens; a leaf holds templates, and a line joins the most
//! similar one above a threshold. Not for structured fields: give those as attributes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateConfig {
    /// Share of equal tokens from which a line belongs to a template, 0..=1.
    pub similarity: f64,
    /// Leading tokens that the tree looks at.
    pub depth: usize,
    /// Most templates; a line that would need one more joins the most similar one of its length.
    pub max_templates: usize,
    /// Tokens that are looked at; the rest of a longer line is left out.
    pub max_tokens: usize,
}

impl Default for TemplateConfig {
    fn default() -> TemplateConfig {
        TemplateConfig { similarity: 0.5, depth: 2, max_templates: 1000, max_tokens: 128 }
    }
}

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateRef {
    /// Index of its template.
    pub index: usize,
    /// Whether the line made the template.
    pub is_new: bool,
}

/// Learns templates line by line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TemplateMiner {
    config: TemplateConfig,
    /// Leaf by number of tokens and leading tokens, joined by spaces.
    leaves: BTreeMap<(usize, String), Vec<usize>>,
    templates: Vec<Vec<String>>,
}

/// What stands for a variable part.
const WILDCARD: &str = "<*>";

impl TemplateMiner {
    /// A miner that has seen nothing.
    pub fn new(config: TemplateConfig) -> TemplateMiner {
        TemplateMiner { config, leaves: BTreeMap::new(), templates: Vec::new() }
    }

    /// The template of a line; learns it where it is new. `None` for an empty line.
    pub fn learn(&mut self, line: &str) -> Option<TemplateRef> {
        let mut tokens: Vec<&str> = Vec::new();
        tokens.extend(line.split_ascii_whitespace().take(self.config.max_tokens).map(mask));
        if tokens.is_empty() {
            return None;
        }
        let path: Vec<&str> = tokens.iter().take(self.config.depth).copied().collect();
        let leaf = self.leaves.entry((tokens.len(), path.join(" "))).or_default();
        let best = leaf
            .iter()
            .map(|&index| (similarity(&self.templates[index], &tokens), index))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        if let Some((share, index)) = best
            && (share >= self.config.similarity || self.templates.len() >= self.config.max_templates)
        {
            merge(&mut self.templates[index], &tokens);
            return Some(TemplateRef { index, is_new: false });
        }
        if self.templates.len() >= self.config.max_templates {
            return None;
        }
        let index = self.templates.len();
        leaf.push(index);
        self.templates.push(tokens.into_iter().map(str::to_string).collect());
        Some(TemplateRef { index, is_new: true })
    }

    /// The template as it stands now.
    pub fn template(&self, index: usize) -> String {
        self.templates.get(index).map_or_else(String::new, |tokens| tokens.join(" "))
    }

    /// Number of templates.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether nothing was learnt yet.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }
}

/// A token that is certainly variable becomes the wildcard: it holds a digit, or was redacted.
fn mask(token: &str) -> &str {
    let is_variable = token.bytes().any(|byte| byte.is_ascii_digit()) || token.starts_with('<');
    if is_variable { WILDCARD } else { token }
}

/// Share of positions with equal tokens; a wildcard of the template counts half: it fits anything.
fn similarity(template: &[String], tokens: &[&str]) -> f64 {
    let points = template.iter().zip(tokens).map(|(known, token)| match known.as_str() {
        known if known == *token && known != WILDCARD => 1.0,
        WILDCARD => 0.5,
        _ => 0.0,
    });
    points.sum::<f64>() / tokens.len() as f64
}

fn merge(template: &mut [String], tokens: &[&str]) {
    for (known, token) in template.iter_mut().zip(tokens) {
        if known != token && known != WILDCARD {
            WILDCARD.clone_into(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_statement_share_a_template() {
        let mut miner = TemplateMiner::new(TemplateConfig::default());
        let lines = [
            ("connected to db-1 after 12 ms", 0),
            ("connected to db-7 after 9 ms", 0),
            ("payment refused for order 17: limit", 1),
            ("payment refused for order 99: limit", 1),
            ("connected to cache after 3 ms", 0),
        ];
        for (line, expected) in lines {
            assert_eq!(miner.learn(line).map(|found| found.index), Some(expected), "{line}");
        }
        assert_eq!(miner.template(0), "connected to <*> after <*> ms");
    }

    #[test]
    fn the_number_of_templates_is_bounded() {
        let mut miner = TemplateMiner::new(TemplateConfig { max_templates: 3, ..TemplateConfig::default() });
        for word in ["a", "b", "c", "d", "e"] {
            miner.learn(&format!("{word} {word} {word}"));
        }
        assert_eq!(miner.len(), 3);
    }
}
