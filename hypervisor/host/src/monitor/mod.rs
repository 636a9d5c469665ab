//! The serial monitor: a person at a terminal asks the host what it is and does.

mod history;
mod keys;
mod line;
