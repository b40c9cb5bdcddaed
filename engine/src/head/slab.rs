//! Where the streams of one shard keep their words: nodes of one size, in pages.
//!
//! Hundreds of thousands of streams grow a word at a time. With a buffer each, the allocator would
//! copy them again and again, round every one up, and free them one by one after a seal. Here a
//! stream is a chain of nodes: a word more is a store, a node more the next one of a page, and a
//! seal takes the whole slab along and drops it page by page. At most a node a stream and a page
//! a shard are not used. Nodes of streams that end before (their series is removed, or the chunk
//! is full) are handed out again.

use silverback_formats::bits::Words;

/// Words of a node: with the number of the next node, a cache line.
const NODE_WORDS: usize = 7;
/// Nodes of a page: 8 KiB.
const PAGE_NODES: usize = 128;
const NONE: u32 = u32::MAX;

/// The words of many streams.
#[derive(Debug, Default)]
pub(super) struct Slab {
    pages: Vec<Box<[Node; PAGE_NODES]>>,
    /// Nodes that were handed out at least once.
    used: u32,
    /// Nodes that are free again, chained.
    free: Option<u32>,
    /// Nodes of all chains.
    in_use: u32,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Node {
    words: [u64; NODE_WORDS],
    next: u32,
}

/// The words of one stream, in a slab.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    /// How many words.
    len: u32,
}

impl Chain {
    /// No words.
    pub(super) const fn new() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl Slab {
    /// Bytes that a stream takes more when its node is full.
    pub(super) const NODE_BYTES: usize = size_of::<Node>();

    /// Bytes that the chains take. There may be a page more, and what was freed.
    #[inline]
    pub(super) fn bytes_in_use(&self) -> usize {
        self.in_use as usize * size_of::<Node>()
    }

    /// Appends to `chain`.
    pub(super) fn end<'a>(&'a mut self, chain: &'a mut Chain) -> ChainEnd<'a> {
        ChainEnd { slab: self, chain }
    }

    /// The words of `chain`, big-endian.
    pub(super) fn bytes(&self, chain: &Chain) -> Vec<u8> {
        let mut left = chain.len as usize;
        let mut bytes = Vec::with_capacity((left + 1) * size_of::<u64>());
        let mut at = chain.first;
        while left > 0 {
            let node = self.node(at);
            let words = &node.words[..left.min(NODE_WORDS)];
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
            left -= words.len();
            at = node.next;
        }
        bytes
    }

    /// Takes the nodes of `chain` back, which is empty then.
    pub(super) fn clear(&mut self, chain: &mut Chain) {
        if chain.len > 0 {
            self.node_mut(chain.last).next = self.free.unwrap_or(NONE);
            self.free = Some(chain.first);
            self.in_use -= chain.len.div_ceil(NODE_WORDS as u32);
        }
        *chain = Chain::new();
    }

    #[inline]
    fn push(&mut self, chain: &mut Chain, word: u64) {
        let at = chain.len as usize % NODE_WORDS;
        if at == 0 {
            self.lengthen(chain);
        }
        self.node_mut(chain.last).words[at] = word;
        chain.len += 1;
    }

    fn lengthen(&mut self, chain: &mut Chain) {
        let new = self.take();
        if chain.len == 0 {
            chain.first = new;
        } else {
            self.node_mut(chain.last).next = new;
        }
        chain.last = new;
    }

    /// A node that no chain has.
    fn take(&mut self) -> u32 {
        self.in_use += 1;
        if let Some(node) = self.free {
            let next = self.node(node).next;
            self.free = (next != NONE).then_some(next);
            return node;
        }
        let node = self.used;
        if node as usize / PAGE_NODES == self.pages.len() {
            let empty = Node { words: [0; NODE_WORDS], next: NONE };
            self.pages.push(Box::new([empty; PAGE_NODES]));
        }
        self.used += 1;
        node
    }

    #[inline]
    fn node(&self, at: u32) -> &Node {
        &self.pages[at as usize / PAGE_NODES][at as usize % PAGE_NODES]
    }

    #[inline]
    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.pages[at as usize / PAGE_NODES][at as usize % PAGE_NODES]
    }
}

/// The end of a chain, where its stream goes on.
#[derive(Debug)]
pub(super) struct ChainEnd<'a> {
    slab: &'a mut Slab,
    chain: &'a mut Chain,
}

impl Words for ChainEnd<'_> {
    #[inline]
    fn push_word(&mut self, word: u64) {
        self.slab.push(self.chain, word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push { stream: usize, word: u64 },
        Clear { stream: usize },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let push = (0..5usize, any::<u64>()).prop_map(|(stream, word)| Step::Push { stream, word });
        let clear = (0..5usize).prop_map(|stream| Step::Clear { stream });
        proptest::collection::vec(prop_oneof![20 => push, 1 => clear], 0..600)
    }

    proptest! {
        #[test]
        fn streams_keep_their_words_apart(steps in steps()) {
            let mut slab = Slab::default();
            let mut chains = [Chain::new(); 5];
            let mut model = vec![Vec::new(); 5];
            for step in steps {
                match step {
                    Step::Push { stream, word } => {
                        slab.end(&mut chains[stream]).push_word(word);
                        model[stream].push(word);
                    }
                    Step::Clear { stream } => {
                        slab.clear(&mut chains[stream]);
                        model[stream].clear();
                    }
                }
                for (chain, words) in chains.iter().zip(&model) {
                    let expected: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
                    prop_assert_eq!(slab.bytes(chain), expected);
                }
            }
        }
    }

    #[test]
    fn nodes_are_handed_out_again() {
        let mut slab = Slab::default();
        let mut kept = Chain::new();
        for round in 0..1000 {
            let mut passing = Chain::new();
            (0..100).for_each(|word| slab.end(&mut passing).push_word(word));
            slab.end(&mut kept).push_word(round);
            slab.clear(&mut passing);
        }
        assert_eq!(slab.bytes_in_use(), 1000_usize.div_ceil(NODE_WORDS) * size_of::<Node>());
        assert_eq!(slab.pages.len(), 2, "158 nodes were in use at most");
    }
}
