//! `kubernetes`: adds what the cluster says of the pod that a record comes from.

pub mod directory;
mod examine;
pub mod object;
pub mod options;

pub use examine::examine;
