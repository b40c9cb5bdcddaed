//! Checks all of a sealed index, not only that its bytes are those that were written.

use super::layout::{IndexError, Layout, Part};
use super::{IndexView, Node};
use std::collections::{HashMap, HashSet};

/// Checks every checksum and everything that readers rely on. Takes memory for the distinct
/// directories.
///
/// # Errors
/// At the first thing that is wrong.
pub fn verify(bytes: &[u8]) -> Result<Layout, IndexError> {
    let layout = Layout::read(bytes)?;
    layout.check(bytes)?;
    let view = layout.view(bytes);
    check_segments(&view, &layout)?;
    let series = check_nodes(&view, &layout)?;
    if series != layout.names {
        return Err(malformed(Part::Footer, 0));
    }
    check_ids(&view, &layout)?;
    Ok(layout)
}

fn malformed(part: Part, item: u32) -> IndexError {
    IndexError::Malformed { part, item: u64::from(item) }
}

fn ensure(holds: bool, part: Part, item: u32) -> Result<(), IndexError> {
    if holds { Ok(()) } else { Err(malformed(part, item)) }
}

/// The dictionary is divided without gaps, strictly ascending, without dots.
fn check_segments(view: &IndexView<'_>, layout: &Layout) -> Result<(), IndexError> {
    ensure(view.segment_start(0) == 0, Part::Offsets, 0)?;
    let end = view.segment_start(layout.segments);
    ensure(end == layout.dictionary_bytes, Part::Offsets, layout.segments)?;
    let mut last: &[u8] = b"";
    for number in 0..layout.segments {
        let text = view.segment(number);
        // Empty also where the offsets go back.
        ensure(!text.is_empty(), Part::Offsets, number)?;
        ensure(last < text && !text.contains(&b'.'), Part::Dictionary, number)?;
        last = text;
    }
    Ok(())
}

/// What has to be known of a directory when its parent comes.
struct Seen {
    series: u32,
    levels: u8,
    has_parent: bool,
}

/// The directories follow each other without gaps, children first, each different, each used,
/// the top last; answers the number of series below the top.
fn check_nodes(view: &IndexView<'_>, layout: &Layout) -> Result<u32, IndexError> {
    ensure(view.word(0) == 0, Part::Nodes, 0)?;
    let mut seen: HashMap<u32, Seen> = HashMap::new();
    let mut texts = HashSet::new();
    let mut offset = 1;
    let mut series = 0;
    while offset < layout.words {
        let node = view.node(offset);
        let words = view.head(offset).words() as u64;
        let end = u64::from(offset) + words;
        ensure(end <= u64::from(layout.words), Part::Nodes, offset)?;
        let is_top = offset == layout.root;
        ensure(is_top == (end == u64::from(layout.words)), Part::Nodes, offset)?;
        ensure(!node.is_empty() || is_top, Part::Nodes, offset)?;
        ensure(texts.insert(view.words(offset, words as usize)), Part::Nodes, offset)?;
        series = check_node(&node, layout, &mut seen)?;
        seen.insert(offset, Seen { series, levels: node.levels(), has_parent: is_top });
        offset = end as u32;
    }
    let lost = seen.iter().find(|(_, seen)| !seen.has_parent);
    lost.map_or(Ok(series), |(&offset, _)| Err(malformed(Part::Nodes, offset)))
}

/// One directory; answers its number of series.
fn check_node(
    node: &Node<'_>,
    layout: &Layout,
    seen: &mut HashMap<u32, Seen>,
) -> Result<u32, IndexError> {
    let ensure = |holds| ensure(holds, Part::Nodes, node.offset);
    let (mut series, mut below, mut has_child) = (0_u32, 0, false);
    let mut last = None;
    for at in 0..node.len() {
        let entry = node.entry(at);
        ensure(entry.segment < layout.segments && last < Some(entry.segment))?;
        last = Some(entry.segment);
        ensure(entry.before == series && (entry.is_series || entry.child.is_some()))?;
        // An offset that is not below the parent's reads as none.
        ensure(entry.child.is_some() || node.child_bits(at) == 0)?;
        let mut more = u32::from(entry.is_series);
        if let Some(child) = entry.child {
            let child = seen.get_mut(&child);
            let child = child.ok_or(malformed(Part::Nodes, node.offset))?;
            child.has_parent = true;
            has_child = true;
            below = below.max(child.levels);
            more = more.checked_add(child.series).ok_or(malformed(Part::Nodes, node.offset))?;
        }
        series = series.checked_add(more).ok_or(malformed(Part::Nodes, node.offset))?;
    }
    ensure(node.leaves_alone() != has_child && node.levels() == below.saturating_add(1))?;
    Ok(series)
}

/// The two tables are inverse to each other, and the last id exists.
fn check_ids(view: &IndexView<'_>, layout: &Layout) -> Result<(), IndexError> {
    for ordinal in 0..layout.names {
        let id = view.id(ordinal);
        let back = id.and_then(|id| view.ordinal(id));
        ensure(back == Some(ordinal), Part::Ids, ordinal)?;
    }
    let last = layout.next_id.checked_sub(1);
    let has_last = last.is_none_or(|last| view.ordinal(last).is_some());
    // In pairs there are as many ids as names, and each was just found: none is beyond the last
    // if that is where it belongs.
    let is_complete = match view.paired_ids() {
        Some(ids) => ids.clone().is_sorted_by(|a, b| a < b) && ids.last() == last,
        None => {
            let known = (0..layout.next_id).filter(|&id| view.ordinal(id).is_some());
            known.count() == layout.names as usize
        }
    };
    ensure(has_last && is_complete, Part::Ordinals, layout.next_id)
}
