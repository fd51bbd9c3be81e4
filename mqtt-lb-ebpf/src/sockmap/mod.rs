//! The sockmap path: sk_skb verdict, sk_msg for brokers on this host, and the
//! sock_ops program that finds their sockets.

pub mod msg;
pub mod ops;
pub mod verdict;
