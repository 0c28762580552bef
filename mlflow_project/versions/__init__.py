"""Registered versions: the gate, flips and the ledger."""
