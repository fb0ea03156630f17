"""Anybody's tables."""
