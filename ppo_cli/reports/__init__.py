"""Screens, live view, Markdown and HTML pages made from records. Computes no numbers."""
