"""Voting policies for the prudent."""
