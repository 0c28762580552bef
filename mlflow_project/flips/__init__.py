"""Changes of the aliases (promotion, rollback, canary), and their ledger."""
