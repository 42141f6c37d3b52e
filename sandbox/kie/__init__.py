"""A stand-in for the KIE.ai HTTP API, with faults that can be switched on."""
