"""Understands Vietnamese: text in; normalised text, intent, facets, topics and entities out."""
