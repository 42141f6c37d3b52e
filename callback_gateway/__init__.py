"""The HTTP door for KIE: reads a POST and hands it on."""
