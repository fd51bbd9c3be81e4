//! End-to-end test harness: network namespaces, brokers, faults.
