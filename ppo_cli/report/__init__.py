"""What a person sees: the live view, plain lines, and the screens that end a command. Computes no numbers."""
