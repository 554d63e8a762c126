//! Benchmarks, each with a smoke size that runs as a test. Pending: see `README.md`.
