//! `import`: what becomes of a haproxy.cfg and an nginx.conf, line by line.

mod any;
mod cli;
mod common;
mod haproxy;
mod nginx;
mod recipes;
