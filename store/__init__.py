"""Files and SQLite: everything Rollodex knows, without a terminal."""
