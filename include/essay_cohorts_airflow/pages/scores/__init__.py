"""The pages of scores: figures and tables, two sides compared, and the downloads."""
