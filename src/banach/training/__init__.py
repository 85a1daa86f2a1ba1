"""The training itself: players, state, steps and the loop, and their making from a config."""
