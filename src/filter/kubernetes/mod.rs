//! `kubernetes`: adds what the cluster says of the pod that a record comes from.

pub mod api;
pub mod directory;
pub mod object;
pub mod options;
