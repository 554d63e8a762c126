//! rt/operator
