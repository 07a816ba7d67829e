"""Turns templates into prompts, replies into scores, and tokens into USD. Pure."""
