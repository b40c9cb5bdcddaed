mod log;
mod steps;
