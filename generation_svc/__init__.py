"""The service that owns every job: its rows, its states, its calls to KIE and its bytes."""
