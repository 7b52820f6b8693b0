"""Risk plans: declared, suggested by official warnings, confirmed by a person, led through their steps, reviewed."""
