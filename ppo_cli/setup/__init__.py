"""What a command needs before it computes: the resolved experiment, its lock, parent, reward and start model."""
