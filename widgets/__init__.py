"""Panes and parts of the screen: told what to show, answering with messages."""
