//! End-to-end test harness: network namespaces, an impairment relay, real
//! brokers, byte-exact streams and the program under test.
//!
//! The harness panics on trouble: inside a test that is the right answer.

pub mod bpf;
pub mod bpffs;
pub mod brokers;
pub mod capture;
pub mod compare;
pub mod cpu;
pub mod ethtool;
pub mod forwarder;
pub mod gate;
pub mod haproxy;
pub mod hold;
pub mod http;
pub mod impair;
pub mod imported;
pub mod lab;
pub mod lb;
pub mod load;
pub mod metrics;
pub mod mosquitto_clients;
pub mod mqtt;
pub mod netns;
pub mod pairs;
pub mod process;
pub mod rawtcp;
pub mod require;
pub mod rng;
pub mod segment;
pub mod shaper;
pub mod size;
pub mod solo;
pub mod splice;
pub mod splice_load;
pub mod stream;
pub mod suites;
pub mod tmpfs;
pub mod vanish;
pub mod wait;
pub mod watchdog;
pub mod xdp;
