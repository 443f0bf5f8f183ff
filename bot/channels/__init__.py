"""Channels: one file or folder each, both directions; none knows another."""
