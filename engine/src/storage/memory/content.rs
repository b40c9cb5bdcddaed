//! The bytes of one file, and those that a power cut would leave.

use std::ops::Range;

#[derive(Debug, Default, Clone)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes are durable, while none but appends were made.
    synced_bytes: usize,
    /// Those of them that are not, though a later sync went well: the one before it failed.
    lost: Vec<Range<usize>>,
    /// Once it was opened in place.
    pub(super) placed: Option<Placed>,
}

/// What a power cut would leave of a file that is written in place.
#[derive(Debug, Default, Clone)]
pub(super) struct Placed {
    pub(super) durable: Vec<u8>,
    /// What was done since.
    pub(super) unsynced: Vec<Change>,
}

/// One change of a file's bytes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Bytes { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

impl Change {
    pub(super) fn apply(&self, target: &mut Vec<u8>) {
        match self {
            Self::Bytes { offset, bytes } => {
                let end = offset + bytes.len();
                if target.len() < end {
                    target.resize(end, 0);
                }
                target[*offset..end].copy_from_slice(bytes);
            }
            Self::Len(len) => target.resize(*len, 0),
        }
    }
}

impl Content {
    /// A file of durable bytes.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { synced_bytes: bytes.len(), lost: Vec::new(), bytes, placed: None }
    }

    /// The durable bytes and at most the first `torn_bytes` of what followed them.
    pub(super) fn kept(&self, torn_bytes: usize) -> Vec<u8> {
        let kept = self.synced_bytes.saturating_add(torn_bytes).min(self.bytes.len());
        let mut bytes = self.bytes[..kept].to_vec();
        self.lost.iter().for_each(|lost| bytes[lost.clone()].fill(0));
        bytes
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.change(Change::Len(len));
        self.synced_bytes = self.synced_bytes.min(len);
        self.lost.retain_mut(|lost| {
            lost.end = lost.end.min(len);
            lost.start < lost.end
        });
    }

    /// A sync that fails: the system takes the unsynced bytes for written from now on.
    pub(super) fn fail_sync(&mut self) {
        self.lost.push(self.synced_bytes..self.bytes.len());
        self.synced_bytes = self.bytes.len();
        if let Some(placed) = &mut self.placed {
            placed.unsynced.clear();
        }
    }

    pub(super) fn place(&mut self) {
        if self.placed.is_none() {
            let (durable, rest) = self.bytes.split_at(self.synced_bytes);
            let tail = Change::Bytes { offset: durable.len(), bytes: rest.to_vec() };
            let unsynced = if rest.is_empty() { Vec::new() } else { vec![tail] };
            self.placed = Some(Placed { durable: durable.to_vec(), unsynced });
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        if let Some(placed) = &mut self.placed {
            placed.unsynced.push(change);
        }
    }

    /// Forgets that something is to be written to the disk.
    pub(super) fn give_up(&mut self) {
        if let Some(placed) = &mut self.placed {
            placed.unsynced.clear();
        }
    }

    /// The bytes as they are on the disk, with what is still to be written to it.
    pub(super) fn reread(&mut self) {
        if let Some(placed) = &self.placed {
            self.bytes.clone_from(&placed.durable);
            placed.unsynced.iter().for_each(|change| change.apply(&mut self.bytes));
        }
    }

    pub(super) fn sync(&mut self) {
        self.synced_bytes = self.bytes.len();
        if let Some(placed) = &mut self.placed {
            let unsynced = placed.unsynced.drain(..);
            unsynced.for_each(|change| change.apply(&mut placed.durable));
        }
    }
}
