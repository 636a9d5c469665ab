//! The allocators to compare with, each as good as its kind is usually written.

mod lifo;
mod ordered;
mod published;

pub(crate) use lifo::Lifo;
pub(crate) use ordered::Ordered;
pub(crate) use published::Published;

#[cfg(test)]
mod tests;
