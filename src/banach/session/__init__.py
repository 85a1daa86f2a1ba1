"""A run as a user sees it: its folder, first lines, hooks, scores, pictures, exit codes."""
