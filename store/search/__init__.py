"""Full text search of the threads: rows beside the threads' rows, a query language, and a streaming scan."""
