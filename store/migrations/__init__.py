"""Numbered SQL files, one folder for each of our databases."""
