"""Chats with checkpoints of a run and its start model, side by side, and blind votes on their answers."""
