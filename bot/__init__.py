"""TALKS: gateway, turns, channels, store and command line."""
