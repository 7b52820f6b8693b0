"""Events of the city: list, story, actions."""
