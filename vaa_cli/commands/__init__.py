"""One file a subcommand: its options, its help and what it prints."""
