"""Replay of captured rows through another version, compared with the served one."""
