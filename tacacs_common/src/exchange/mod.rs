//! The state machines of an exchange, without sockets, clocks or randomness:
//! the edges ([`crate::client`] here, the server and the agent elsewhere) feed
//! bytes in and carry bytes out.
//!
//! * [`Session`]: the header rules of one session, seen from the client.
//! * [`authen`]: a login, enable or password change, prompt by prompt.
//! * [`server`]: a whole connection, seen from the server.
//! * [`author`]: what an authorization reply means for the request.

pub mod authen;
pub mod author;
mod seal;
pub mod server;
mod session;

pub use session::{NotOurs, Session};
