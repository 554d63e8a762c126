//! rt/robot
