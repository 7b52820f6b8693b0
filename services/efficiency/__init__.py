"""How well events are handled: rates, funnel, stay times, heat, supervision, replay."""
