"""Rollouts, the JSONL files that are the source of truth."""
