//! What a series is: its id, and the rules it is kept by.

use crate::schema::Policy;
use std::sync::Arc;

/// The number of a series in one database; dense, handed out in order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// A series' name and the rules it is kept by.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesInfo {
    /// Canonical name. Bytes, since senders need not send UTF-8.
    pub name: Vec<u8>,
    /// Archives, aggregation method and xFilesFactor.
    pub policy: Arc<Policy>,
}
