"""Rules of a job's life that use cases and engine share."""
