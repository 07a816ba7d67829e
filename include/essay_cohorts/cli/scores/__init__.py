"""The commands about scores: statistics, agreement, differences, groups, tables and files of scores."""
