"""The reward audit: checks of the scores themselves, of the features that explain them, and of exploit answers."""
