"""Synthetic Codex homes, invented from end to end: for `rollodex --demo`, for tests and for benchmarks."""

from store.demo.home import demo_home, make_home
from store.demo.live import LiveWriter
from store.demo.material import USER_HOME

__all__ = ["USER_HOME", "LiveWriter", "demo_home", "make_home"]
