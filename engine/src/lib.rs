//! The embeddable store of Silverback: points in, series out, behind one [`Db`].
//!
//! It knows no HTTP, JSON, tokio or carbon socket: it is synchronous and owns
//! its threads.

pub mod clock;
mod db;
pub mod error;
mod fetch;
pub mod index;
mod options;
pub mod schema;
mod series;

pub use clock::Clock;
pub use db::{Appended, Db, Refused};
pub use error::{AppendError, CloseError, FetchError, FindError, OpenError};
pub use fetch::{FetchRange, Fetched};
pub use index::{Dialect, FindLimits, Found, NodeKind};
pub use options::Options;
pub use series::{SeriesId, SeriesInfo};
