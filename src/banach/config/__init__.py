"""What a run is told: keys with their readers and help, files of them, command lines, plugins."""
