//! One thing wrong in a file that is otherwise right, and what its author is told.
