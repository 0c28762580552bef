"""Captured rows as jobs read them: selection, sources, and the latest row of each entity."""
