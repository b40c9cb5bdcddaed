//! Carbon receivers: sockets → points → [`Db`](silverback_engine::Db).
