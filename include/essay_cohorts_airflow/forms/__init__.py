"""The trigger forms: their fields, and the schemas that validate each field."""
