"""Which version is served: flips of the aliases, canaries, and the ledger of both."""
