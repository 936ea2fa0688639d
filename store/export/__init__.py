"""A thread as a document of its own: Markdown, JSON or a web page, whole or in part, its secrets masked."""
