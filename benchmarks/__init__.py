"""Measurements that docs quote; each prints its own table."""
