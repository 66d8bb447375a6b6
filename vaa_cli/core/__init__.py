"""The package that all commands share: the method and everything around it."""
