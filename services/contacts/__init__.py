"""The address book: people, who is on duty, groups that are told together."""
