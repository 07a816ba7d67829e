"""What the store holds now, as the pages and the commands show it."""
