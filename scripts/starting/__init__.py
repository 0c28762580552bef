"""Parts of `make up` and of the services: addresses, processes, units, the database."""
