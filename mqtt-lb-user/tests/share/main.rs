//! Tables shared through a Redis of a few lines, under clocks that the tests move.

mod model;
mod node;
mod redis;
mod rules;
