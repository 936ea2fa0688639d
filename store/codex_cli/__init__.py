"""Going on with threads through Codex's own commands, once the person asked for it; never just to look."""
