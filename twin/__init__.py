"""The twin: things, facts, time, who may see, and what happens next."""
