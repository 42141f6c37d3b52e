"""The KIE.ai HTTP API: client, payload parser, errors."""
