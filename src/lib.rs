//! Wiring of the `silverback` server.
