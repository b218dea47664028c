"""The screens that end a command, one file per command."""
