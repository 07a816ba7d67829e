"""The trigger forms: their fields, and the schemas of the fields."""
