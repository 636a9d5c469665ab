//! The board as a guest and a host drive it, at random: no access panics, and a board that moved answers as
//! the one that stayed.

mod drive;
mod garbage;
mod guest;
mod messages;
mod moved;
mod older;
mod routing;
mod start;
mod time;
