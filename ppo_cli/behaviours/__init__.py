"""What a rule says of one answer, a family a file, each with its known misses."""
