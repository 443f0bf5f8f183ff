"""The command line, one file a command: reading arguments and printing, nothing else."""
