"""The command line: one file a command, found by name so that `banach --help` imports none of them."""
