//! A plain Drain, the peer: the algorithm and defaults of drain3 0.9.11 without its masks (depth 4, similarity 0.4,
//! 100 children). He, Zhu, Zheng & Lyu 2017, "Drain: An Online Log Parsing Approach with Fixed Depth Tree".

use std::collections::HashMap;

const SIMILARITY: f64 = 0.4;
const CHILDREN: usize = 100;
const WILDCARD: &str = "<*>";

/// Learns templates line by line.
#[derive(Debug, Default)]
pub struct Drain {
    /// By number of tokens, then by the first token (drain3's depth 4 leaves one level of tokens).
    lengths: HashMap<usize, HashMap<String, Vec<usize>>>,
    templates: Vec<Vec<String>>,
}

impl Drain {
    /// The index of the line's template.
    pub fn learn(&mut self, line: &str) -> usize {
        let tokens: Vec<&str> = line.split_whitespace().collect();
        let children = self.lengths.entry(tokens.len()).or_default();
        let first = if tokens.len() < 2 { "" } else { tokens[0] };
        let leaf = children.get(first).or_else(|| children.get(WILDCARD));
        if let Some(index) = leaf.and_then(|leaf| best(&self.templates, leaf, &tokens)) {
            for (known, token) in self.templates[index].iter_mut().zip(&tokens) {
                if known != token {
                    WILDCARD.clone_into(known);
                }
            }
            return index;
        }
        let index = self.templates.len();
        self.templates.push(tokens.iter().map(|token| (*token).to_string()).collect());
        children.entry(child(children, first).to_string()).or_default().push(index);
        index
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

/// The child under which a new template goes.
fn child<'a>(children: &HashMap<String, Vec<usize>>, token: &'a str) -> &'a str {
    let is_numeric = token.bytes().any(|byte| byte.is_ascii_digit());
    let room = CHILDREN - usize::from(!children.contains_key(WILDCARD));
    if children.contains_key(token) || (!is_numeric && children.len() < room) { token } else { WILDCARD }
}

/// The most similar template of a leaf, if it is similar enough; of equals the one with more wildcards.
fn best(templates: &[Vec<String>], leaf: &[usize], tokens: &[&str]) -> Option<usize> {
    let mut found: Option<(usize, usize, usize)> = None;
    for &index in leaf {
        let (mut equal, mut wild) = (0, 0);
        for (known, token) in templates[index].iter().zip(tokens) {
            if known == WILDCARD {
                wild += 1;
            } else if known == token {
                equal += 1;
            }
        }
        if found.is_none_or(|(most, wildest, _)| (equal, wild) > (most, wildest)) {
            found = Some((equal, wild, index));
        }
    }
    let (equal, _, index) = found?;
    (tokens.is_empty() || equal as f64 / tokens.len() as f64 >= SIMILARITY).then_some(index)
}
