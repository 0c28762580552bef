"""What `make up` and the services are made of: addresses, processes, units, the database."""
