"""Updates of devices: signed metadata, rollouts in groups, a state machine for each device."""
