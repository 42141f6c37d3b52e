"""The public HTTP endpoint: hands KIE's callbacks on and serves links to media."""
