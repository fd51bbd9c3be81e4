//! The BPF programs of mqtt-lb: map definitions and thin entry points.
#![no_std]
#![no_main]
