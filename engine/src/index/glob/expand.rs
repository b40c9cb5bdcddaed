//! Braces multiplied out, within bounds.

use super::parse::{Choice, Item, push};

/// Nodes of items without dots: one way to read a pattern.
pub(super) type Alternative = Vec<Vec<Item>>;

/// How much braces may stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most alternatives.
    pub(super) alternatives: usize,
    /// Most items and literal bytes in all of them together.
    pub(super) size: usize,
}

/// Every way to read `items` with the choices that `picks` selects replaced by one of their
/// branches, and the others left as they are; `None` when that is more than the bounds allow.
pub(super) fn expand(
    items: &[Item],
    picks: fn(&Choice) -> bool,
    bounds: Bounds,
) -> Option<Vec<Alternative>> {
    let mut expansion = Expansion::new();
    expansion.read(items, picks, bounds)?;
    Some(expansion.alternatives)
}

struct Expansion {
    alternatives: Vec<Alternative>,
    /// Items, literal bytes and nodes of all alternatives.
    size: usize,
}

impl Expansion {
    /// One alternative, still empty.
    fn new() -> Self {
        Self { alternatives: vec![vec![Vec::new()]], size: 1 }
    }

    fn read(&mut self, items: &[Item], picks: fn(&Choice) -> bool, bounds: Bounds) -> Option<()> {
        for item in items {
            match item {
                Item::Choice(choice) if picks(choice) => {
                    let ends = Self::ends(choice, picks, bounds)?;
                    self.join(&ends, bounds)?;
                }
                item => {
                    self.alternatives.iter_mut().for_each(|nodes| append(nodes, item));
                    self.size += size(item) * self.alternatives.len();
                }
            }
            // What is written out once may be as long as the pattern itself.
            if self.alternatives.len() > 1 && self.size > bounds.size {
                return None;
            }
        }
        Some(())
    }

    /// All branches of a choice.
    fn ends(choice: &Choice, picks: fn(&Choice) -> bool, bounds: Bounds) -> Option<Self> {
        let mut ends = Self { alternatives: Vec::new(), size: 0 };
        for branch in &choice.branches {
            let mut end = Self::new();
            end.read(branch, picks, bounds)?;
            ends.alternatives.append(&mut end.alternatives);
            ends.size += end.size;
            if ends.alternatives.len() > bounds.alternatives || ends.size > bounds.size {
                return None;
            }
        }
        Some(ends)
    }

    /// Each alternative goes on with each of the ends.
    fn join(&mut self, ends: &Self, bounds: Bounds) -> Option<()> {
        // Written in place, for patterns of very many braces with nothing to choose in them.
        if let [end] = &ends.alternatives[..] {
            self.alternatives.iter_mut().for_each(|nodes| extend(nodes, end));
            self.size += ends.size * self.alternatives.len();
            return Some(());
        }
        let (starts, ways) = (self.alternatives.len(), ends.alternatives.len());
        let size = self.size.checked_mul(ways)?.checked_add(ends.size.checked_mul(starts)?)?;
        if starts.checked_mul(ways)? > bounds.alternatives || size > bounds.size {
            return None;
        }
        let joined = self.alternatives.iter().flat_map(|start| {
            ends.alternatives.iter().map(|end| {
                let mut nodes = start.clone();
                extend(&mut nodes, end);
                nodes
            })
        });
        self.alternatives = joined.collect();
        self.size = size;
        Some(())
    }
}

/// The last node and the first of `end` become one, the others follow.
fn extend(nodes: &mut Alternative, end: &Alternative) {
    for (number, node) in end.iter().enumerate() {
        if number > 0 {
            nodes.push(Vec::new());
        }
        node.iter().for_each(|item| append(nodes, item));
    }
}

fn append(nodes: &mut Alternative, item: &Item) {
    match item {
        Item::Dot => nodes.push(Vec::new()),
        item => push(nodes.last_mut().expect("an alternative has a node"), item.clone()),
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Literal(text) => 1 + text.len(),
        _ => 1,
    }
}
