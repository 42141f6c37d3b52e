"""The catalog file: loaded, checked, and applied to inputs."""
