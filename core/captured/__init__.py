"""Captured rows as jobs read them: a selection, what there is of it, the latest of each entity."""
