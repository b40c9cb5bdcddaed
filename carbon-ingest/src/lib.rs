//! Carbon receivers: sockets → points → [`Db`](silverback_engine::Db).
//!
//! A receiver is a future that ends when its token is cancelled: bind a socket
//! with [`bind_tcp`] or [`bind_udp`], hand it to [`serve_tcp`] or [`serve_udp`],
//! and watch its [`ReceiverCounters`]. Nothing here answers queries or decides
//! how a series is kept.
//!
//! | module | its step |
//! |---|---|
//! | `listen` | addresses → bound sockets |
//! | `tcp`, `udp` | sockets → bytes; who waits, who ends, who is refused |
//! | `framing` | bytes → lines, no I/O |
//! | `batch` | lines → points that borrow the read buffer |
//! | `intake` | points → `Db`; back-pressure when it cannot write |
//! | [`limits`] | what a sender may take, with the defaults |
//! | [`counters`] | what happened, by reason |
//! | `refusals` | some of the refused lines, into the log |

mod batch;
pub mod counters;
mod framing;
mod intake;
pub mod limits;
mod listen;
mod refusals;
mod tcp;
mod udp;

pub use counters::{ReceiverCounters, ReceiverSnapshot};
pub use limits::{TcpOptions, UdpOptions};
pub use listen::{bind_tcp, bind_udp};
pub use tcp::serve_tcp;
pub use udp::serve_udp;
