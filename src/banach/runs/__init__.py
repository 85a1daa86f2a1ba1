"""A run on disk: its folder, lock, records and their keys, facts, checkpoints, environment. It knows no live object."""
