//! Pools of broker nodes: state, health checks, PROXY protocol header.
