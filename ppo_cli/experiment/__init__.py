"""What an experiment is: its schema, how it is loaded from YAML, and how it is frozen."""
