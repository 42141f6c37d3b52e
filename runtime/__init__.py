"""What every process needs once: settings, logging, metrics, shutdown."""
