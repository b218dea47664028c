"""Models: finding and fetching them, loading them safely, sampling from them, comparing two of them."""
