"""Every way a person reaches the twin."""
