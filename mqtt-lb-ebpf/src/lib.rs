//! The contract between the kernel half and the userspace half of mqtt-lb.
#![no_std]
