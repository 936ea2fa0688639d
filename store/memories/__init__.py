"""The memory pipeline: phase 1 makes a memory of each thread, phase 2 consolidates them in one folder."""
