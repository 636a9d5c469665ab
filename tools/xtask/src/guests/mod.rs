//! Guests that the project itself builds.

mod micro;

pub(crate) use micro::{build as build_micro, cargo_build as cargo_build_micro, place as place_micro};
