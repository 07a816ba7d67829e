"""The commands about scores: statistics, differences, groups, tables and files of scores."""
