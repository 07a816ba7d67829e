"""The trigger forms: what a person may fill in, and the schemas that validate it."""
