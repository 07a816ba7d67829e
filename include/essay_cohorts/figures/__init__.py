"""Draws figures of scores as SVG and PNG. Pure."""
