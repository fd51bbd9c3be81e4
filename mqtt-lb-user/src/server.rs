//! Wires listeners, workers, pools, admin and signals into one process.
